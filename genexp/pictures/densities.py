"""Pictures of learnt densities in the plane."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from genexp.figures import densities, points
from genexp.figures.style import Window
from genexp.measures.quadrature import ODE_GRID_SIDE, in_float64, in_parts
from genexp.measures.record import picture
from genexp.pictures import line
from genexp.pictures.points import window_of
from genexp.quadrature import midpoints
from genexp.subject import Subject, once

PICTURE_SIDE = 240
SAMPLED_SIDE = 200  # of a histogram of samples
PART = 16_384  # points whose densities are found at once
COARSE = 0.5  # times the model's own steps of an ODE: what they leave uncertain, about a tenth of a nat, is no shade of a colour


@picture("density", "The true density, the learnt one and their difference", model={"exact"}, data={"plane", "box"})
def density(subject: Subject) -> Figure:
    found = over_window(subject)
    return densities.side_by_side(found.true, found.learnt, found.window)


@dataclass(frozen=True)
class OverWindow:
    """The true density and the learnt one over a window of the plane, both (side, side) with y upwards."""

    window: Window
    true: np.ndarray
    learnt: np.ndarray


@once
def over_window(subject: Subject) -> OverWindow:
    return OverWindow(window_of(subject), on_grid(subject, subject.density), on_grid(subject, in_float64(subject.model)))


def on_grid(subject: Subject, known: Any) -> np.ndarray:
    """What has a `log_prob`, in float64 on the CPU, over the window of the subject's data: its density, (side, side)."""
    side = ODE_GRID_SIDE if "refined" in subject.can else PICTURE_SIDE
    low, high = map(torch.tensor, window_of(subject).corners)
    grid = midpoints(low, high, side)
    return in_parts(known.log_prob, grid.points, PART).exp().reshape(side, side).numpy()


@picture("density", "Density of the samples", data={"cells"})
def density_of_samples(subject: Subject) -> Figure:
    """Over about SAMPLED_SIDE pixels a side, so many to each cell: of pixels that cut cells the picture shows the cuts."""
    cells = round(2 / subject.density.cell)
    pixels = cells * max(1, round(SAMPLED_SIDE / cells))
    return points.density(subject.samples.numpy(), 1 / subject.density.area, pixels)


@picture("log_density", "The learnt log density", model={"exact"}, data={"cells"})
def log_density(subject: Subject) -> Figure:
    """Over the square in which the cells lie, [−1, 1]²."""
    side, corner = subject.settings.figures.log_density_side, torch.ones(2)
    parts = midpoints(-corner, corner, side).points.float().to(subject.device).split(subject.settings.evaluation.batch_size)
    model = subject.model
    find = (lambda x: model.refined_log_prob(x, COARSE)) if "refined" in subject.can else model.log_prob
    log_p = torch.cat([find(part).float().cpu() for part in parts]).reshape(side, side)
    return densities.log_density(log_p.numpy(), -subject.density.entropy)


def kept_density(subject: Subject) -> dict[str, np.ndarray]:
    """Of numbers or points of the plane: `density`, the learnt one, and `density_true`, (n,) or (side, side) with y upwards; and
    `density_ends`, of their axes.
    """
    if "line" in subject.knows:
        found = line.learnt_density(subject)
        ends, true, learnt = found.x[[0, -1]], found.truth, found.model
    else:
        plane = over_window(subject)
        ends, true, learnt = np.asarray(plane.window.extent), plane.true, plane.learnt
    arrays = {"density": learnt, "density_true": true, "density_ends": ends}
    return {name: np.asarray(values, np.float32) for name, values in arrays.items()}
