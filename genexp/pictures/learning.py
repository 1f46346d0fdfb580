"""Films of how a model comes about: the same picture of it, drawn with the weights that were kept as it was trained."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from genexp.figures import densities, line
from genexp.figures.style import as_image
from genexp.measures.quadrature import in_float64
from genexp.measures.record import Film, film
from genexp.pictures.asked import LEARNING
from genexp.pictures.densities import on_grid
from genexp.pictures.line import density_of, mapped_by, parts_of
from genexp.pictures.mixtures import ellipses
from genexp.pictures.points import window_of
from genexp.subject import Subject

CAPTION, FPS = "How the model comes about, step by step", 6


def filmed(subject: Subject, draw: Callable[[Any, str], Figure]) -> Film | None:
    """`draw(model, title)` of each state that was kept, and of the model as it is; None where none was."""
    if not subject.states:
        return None
    return Film([as_image(draw(model, title)) for model, title in as_it_was(subject)], FPS)


def as_it_was(subject: Subject) -> Iterator[tuple[Any, str]]:
    """The model after the steps whose weights were kept, at most as many as a film has frames, in float64 on the CPU."""
    best, most = int(subject.training.get("best_step", subject.states[-1][0])), subject.settings.figures.gif_frames
    before = [state for state in subject.states if state[0] < best]
    chosen = np.unique(np.linspace(0, len(before) - 1, min(len(before), most - 1)).round().astype(int)) if before else ()
    for step, weights in (before[index] for index in chosen):
        model = copy.deepcopy(subject.model)
        model.load_state_dict(weights)
        yield in_float64(model), f"after {step:,} step{'s' * (step != 1)}"
    yield in_float64(subject.model), f"after {best:,} steps"


@film(LEARNING, CAPTION, lead=2, model={"gaussians"}, data={"plane", "drawn"})
def of_components(subject: Subject) -> Film | None:
    return filmed(subject, lambda model, title: ellipses(subject, model, title))


@film(LEARNING, CAPTION, lead=2, model={"layers", "exact"}, data={"line", "drawn"})
def of_function(subject: Subject) -> Film | None:
    return filmed(
        subject, lambda model, title: line.change_of_variables(mapped_by(subject, model), density_of(subject, model), title)
    )


@film(LEARNING, CAPTION, lead=2, model={"exact"}, data={"line", "drawn"})
def of_numbers(subject: Subject) -> Film | None:
    """Of a mixture also its components."""

    def draw(model: Any, title: str) -> Figure:
        parts = parts_of(subject, model) if "gaussians" in subject.can else np.zeros((0, 1))
        return line.components(density_of(subject, model), parts, title)

    return filmed(subject, draw)


@film(LEARNING, CAPTION, lead=2, model={"exact"}, data={"plane", "box"})
def of_density(subject: Subject) -> Film | None:
    window, top = window_of(subject), float(on_grid(subject, subject.density).max())
    return filmed(subject, lambda model, title: densities.one(on_grid(subject, model), window, top, title))
