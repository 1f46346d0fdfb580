"""Pictures of single latents: what changes when one of them moves, and which factor of the data it follows."""

import math

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import factors as figures
from genexp.figures import images
from genexp.measures.disentanglement import found
from genexp.measures.latents import test_latents
from genexp.measures.record import Film, film, picture
from genexp.subject import Subject

ROWS, COLUMNS = 12, 13  # latents at most, and pictures of each
REACH = 2.0  # standard deviations of the latent to either side
UNUSED = 0.15  # of the spread of the latent that varies most: the decoder does not see what varies less
LEAST = 0.15  # of a factor's entropy, for it to be named
PLAIN = str.maketrans("₀₁₂₃₄₅₆₇₈₉–", "0123456789 ")  # the font of films has no others
MODEL, DATA = {"latents"}, {"examples", "pictures"}


def latents_shown(subject: Subject) -> list[int]:
    """Those that vary most over the test pictures, without what has collapsed; where factors are known, in the order of the one
    that each says most of.
    """
    spread = test_latents(subject).std(0, correction=0)
    most = [j for j in spread.argsort(descending=True).tolist() if float(spread[j]) >= UNUSED * float(spread.max())][:ROWS]
    if "factors" not in subject.knows:
        return most
    told = {j: found(subject).shares[j] for j in most}
    return sorted(most, key=lambda j: (float(told[j].max()) < LEAST, int(told[j].argmax()), -float(told[j].max())))


def names_of(subject: Subject, latents: list[int]) -> list[str]:
    """z₃, and what it says."""
    if "factors" not in subject.knows:
        return [f"z{figures.subscript(j + 1)}" for j in latents]
    shares = found(subject).shares
    told = [
        [name for name, share in zip(subject.data.factors.names, shares[j].tolist(), strict=True) if share > LEAST]
        for j in latents
    ]
    return [f"z{figures.subscript(j + 1)} {', '.join(names) or '–'}" for j, names in zip(latents, told, strict=True)]


def moved(subject: Subject, latents: list[int], steps: Tensor) -> np.ndarray:
    """What is decoded as each latent is put at `steps` standard deviations from its mean, the others those of a test picture in
    the middle of all: (latents, steps, *shape).
    """
    z = test_latents(subject)
    spread, mean = z.std(0, correction=0), z.mean(0)
    middle = int(((z - mean) / spread.clamp(min=1e-6)).square()[:, latents].sum(1).argmin())
    label = subject.test_part[middle : middle + 1].label
    rows = []
    for j in latents:
        points = z[middle].repeat(len(steps), 1)
        points[:, j] = mean[j] + steps * spread[j]
        labels = None if label is None else label.expand(len(steps)).to(subject.device)
        rows.append(subject.model.decode(points.to(subject.device), labels).float().cpu().numpy())
    return np.stack(rows)


@picture("traversals", "What changes as one latent moves and the others stay", lead=6, model=MODEL, data=DATA)
def traversals(subject: Subject) -> Figure:
    """Two standard deviations to either side."""
    latents = latents_shown(subject)
    shown = moved(subject, latents, torch.linspace(-REACH, REACH, COLUMNS))
    named = dict(zip(names_of(subject, latents), shown, strict=True))
    unused = subject.model.latent - len(latents)
    rest = f"; {unused} more say nothing" if unused and len(latents) < ROWS else ""
    return images.rows(named, f"one latent moves by ±{REACH:g} standard deviations, the others stay{rest}", width=9.0)


@film("traversals", "What changes as one latent moves and the others stay", lead=6, model=MODEL, data=DATA | {"factors"})
def traversals_film(subject: Subject) -> Film:
    """There and back, all of them side by side."""
    settings, latents = subject.settings.figures, latents_shown(subject)
    phase = 2 * math.pi * torch.arange(settings.gif_frames) / settings.gif_frames
    frames = moved(subject, latents, REACH * phase.sin()).swapaxes(0, 1)
    names = [name.translate(PLAIN) for name in names_of(subject, latents)]
    made = images.film(frames, names, max(2, 4 * settings.gif_size // len(latents)))
    return Film(made, settings.gif_fps, hold_last=1 / settings.gif_fps)


@picture("factors", "Which latent says what of which factor", lead=5, model=MODEL, data=DATA | {"factors"})
def factors(subject: Subject) -> Figure:
    """I(z; v)/H(v) of the test pictures."""
    latents = latents_shown(subject)
    return figures.information(
        found(subject).shares[latents].numpy(),
        [f"z{figures.subscript(j + 1)}" for j in latents],
        subject.data.factors.names,
        found(subject).gaps.numpy(),
    )
