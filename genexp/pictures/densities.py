"""Pictures of learnt densities in the plane."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.data.cells import UniformCells
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
NEAR, NEAR_PIXELS = 20, 3  # cells a side that are shown from near, and pixels a side of each
ROUNDING = 1e-3  # of a cell
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
    """By a whole number of pixels to a cell: others would show how they cut cells, not the density. Where `log_density_side`
    allows no more than one, that is at the middle of each cell, and a part is shown from near.
    """
    side, density = subject.settings.figures.log_density_side, subject.density
    left, top, cells = grid_of(density)

    def seen(title: str, column: int, row: int, count: int, pixels: int) -> densities.LogDensity:
        """So many pixels a side of `count` cells a side, from a column and row on."""
        x, y, width = left + column * density.cell, top - row * density.cell, count * density.cell
        low, high = torch.tensor([x, y - width]), torch.tensor([x + width, y])
        log_p = _log_p(subject, midpoints(low, high, pixels).points).reshape(pixels, pixels).numpy()
        return densities.LogDensity(title, log_p, Window(x + width / 2, y - width / 2, width / 2))

    if side >= 2 * cells:
        views = [seen("learnt log density", 0, 0, cells, side // cells * cells)]
    elif 2 * side < cells:
        views = [seen("learnt log density", 0, 0, cells, side)]
    else:
        count = min(NEAR, cells)
        where, column, row = near(density, count)
        views = [
            seen("learnt log density, at the middle of each cell", 0, 0, cells, cells),
            seen(f"learnt log density, {where}", column, row, count, NEAR_PIXELS * count),
        ]
    return densities.log_density(views, -density.entropy)


def grid_of(density: UniformCells) -> tuple[float, float, int]:
    """The upper left corner of [−1, 1]², or a little beyond, so that whole cells lie between it and those of the density; and how
    many cells a side reach to the other end.
    """
    before, above = (math.ceil(gap / density.cell - ROUNDING) for gap in (density.left + 1, 1 - density.top))
    left, top = density.left - before * density.cell, density.top + above * density.cell
    return left, top, math.ceil((1 + max(-left, top)) / density.cell - ROUNDING)


def near(density: UniformCells, count: int) -> tuple[str, int, int]:
    """A part of `count` cells a side in the grid, and the column and row where it begins: the upper left corner where enough of
    it is black, as a code's is, else the middle.
    """
    left, top, cells = grid_of(density)
    column, row = (round(gap / density.cell) for gap in (density.left - left, top - density.top))
    if int(density.mask[: max(0, count - row), : max(0, count - column)].sum()) > count**2 / 5:
        return "upper left corner", 0, 0
    return "the middle", (cells - count) // 2, (cells - count) // 2


def _log_p(subject: Subject, x: Tensor) -> Tensor:
    """ln p of points x, (n, 2), to what a colour shows."""
    model, most = subject.model, subject.settings.evaluation.batch_size
    parts = x.float().to(subject.device).chunk(math.ceil(len(x) / most))  # none much smaller than the others
    find = (lambda x: model.refined_log_prob(x, COARSE)) if "refined" in subject.can else model.log_prob
    return torch.cat([find(part).float().cpu() for part in parts])


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
