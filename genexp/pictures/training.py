"""Pictures of how a training went."""

import numpy as np
from matplotlib.figure import Figure

from genexp.figures import latent, points
from genexp.measures.excess import heldout_floor
from genexp.measures.record import Film, film, picture, terms
from genexp.subject import Subject


@picture("loss", "Loss curves, as the run drew them")
def loss(subject: Subject) -> Figure | None:
    """With the floor of the held-out loss where it is known, and what it was above that; none of what took no step."""
    if not any("loss" in line for line in subject.history):
        return None
    return points.loss_curve(subject.history, heldout_floor(subject), excess_of(subject))


def excess_of(subject: Subject) -> str:
    """The name in the history of the term that says how far the objective was above the best possible."""
    return "".join(f"heldout/{term.name}" for term in terms.met_by(subject)[:1])


@film("training", "The latent plane as training goes on", model={"latents", "plane"})
def training(subject: Subject) -> Film | None:
    figures, snapshots = subject.settings.figures, subject.snapshots
    if not snapshots:
        return None
    label = subject.data.validation.label if "examples" in subject.knows else None
    kept = [snapshots[index] for index in np.unique(np.linspace(0, len(snapshots) - 1, figures.gif_frames).round().astype(int))]
    shown = [(step, z.float().numpy()) for step, z in kept]
    colours = None if label is None else label[: len(shown[0][1])].cpu().numpy()
    return Film(latent.training_film(shown, colours, subject.data.spec.classes, figures.gif_size), fps=8)
