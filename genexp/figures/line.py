"""Densities of numbers: beside the noise that they come from, beside the true one, as a sum of Gaussians."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from genexp.figures.style import BLUE, GREEN, GREY, INK, ORANGE, drawn, figure_of, label, panels

BINS = 80
OVER = 2.5  # where the true density is drawn: over the learnt one, which would hide it where both agree
ROOM = 1.3  # times the highest true density, or where that is not known the highest bar


@dataclass(frozen=True)
class OnLine:
    """A density of numbers at x (n,), and the data (m,) beside it; the true density at the same x where it is known."""

    x: np.ndarray
    model: np.ndarray
    data: np.ndarray
    truth: np.ndarray | None = None
    name: str = "x"  # of the numbers

    @property
    def top(self) -> float:
        """How high the axis of densities is, whatever the model is: in a film, the same in every frame."""
        return ROOM * max(float((self.histogram[0] if self.truth is None else self.truth).max()), 1e-12)

    @property
    def histogram(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the data: heights, whose integral is their share, and edges."""
        edges = np.linspace(self.x[0], self.x[-1], BINS + 1)
        counts, _ = np.histogram(self.data, edges)
        return counts / max(len(self.data), 1) / np.diff(edges), edges


@dataclass(frozen=True)
class Mapped:
    """x = f(z) at z (n,), the base's density there; and the same at `marks`, between which the base has equal mass."""

    z: np.ndarray
    x: np.ndarray
    base: np.ndarray
    marks: np.ndarray
    marked: np.ndarray


@drawn
def change_of_variables(mapped: Mapped, density: OnLine, title: str = "") -> Figure:
    """The base below, the function above it, and on its right the density of x along the same axis.

    Grey lines lead from places between which the base has a tenth of its mass to those between which x has it.
    """
    figure = figure_of(6.6, 6.0)
    grid = GridSpec(2, 2, figure=figure, width_ratios=(3, 1.6), height_ratios=(3, 1.3))
    function = figure.add_subplot(grid[0, 0])
    base = figure.add_subplot(grid[1, 0], sharex=function)
    aside = figure.add_subplot(grid[0, 1], sharey=function)
    low, high = float(density.x[0]), float(density.x[-1])

    lines: dict[str, Any] = {"color": GREY, "lw": 0.7, "alpha": 0.7}
    across = np.interp(mapped.marked, density.x, density.model)
    base.vlines(mapped.marks, 0, 1.1 * float(mapped.base.max()), **lines)
    function.vlines(mapped.marks, mapped.marked, low, **lines)
    function.hlines(mapped.marked, mapped.marks, float(mapped.z[-1]), **lines)
    aside.hlines(mapped.marked, 0, np.minimum(across, density.top), **lines)

    function.plot(mapped.z, mapped.x, color=BLUE, lw=2)
    function.set(
        title=title or "x = f(z)", ylabel=label(density.name), xlim=(float(mapped.z[0]), float(mapped.z[-1])), ylim=(low, high)
    )
    function.tick_params(labelbottom=False)
    base.fill_between(mapped.z, mapped.base, color=BLUE, alpha=0.2, lw=0)
    base.plot(mapped.z, mapped.base, color=BLUE, lw=1.5)
    base.set(xlabel="z", ylabel="density of z", ylim=(0, 1.1 * float(mapped.base.max())))

    heights, edges = density.histogram
    aside.stairs(heights, edges, orientation="horizontal", fill=True, color=GREY, alpha=0.35, label="data")
    if density.truth is not None:
        aside.plot(density.truth, density.x, color=INK, lw=1.2, ls="--", label="true density", zorder=OVER)
    aside.plot(density.model, density.x, color=ORANGE, lw=1.5, label="density of x")
    aside.set(xlabel="density of x", xlim=(0, density.top))
    aside.tick_params(labelleft=False)
    corner = figure.add_subplot(grid[1, 1])
    corner.set_axis_off()
    corner.legend(*aside.get_legend_handles_labels(), loc="center")
    return figure


@drawn
def learnt(density: OnLine) -> Figure:
    """The learnt density over the true one and the data; below it their difference, where the true one is known."""
    figure, rows = panels(1 if density.truth is None else 2, 1, 5.6, 2.4)
    above = rows[0][0]
    _data(above, density)
    above.plot(density.x, density.model, color=ORANGE, lw=1.5, label="model")
    above.set(ylabel="density", xlim=(density.x[0], density.x[-1]), ylim=(0, density.top))
    above.legend()
    if density.truth is not None:
        below = rows[1][0]
        difference = density.model - density.truth
        reach = 1.1 * max(float(np.quantile(np.abs(difference), 0.99)), 1e-9)
        below.axhline(0, color=INK, lw=0.8, ls="--")
        below.plot(density.x, difference, color=ORANGE, lw=1.2)
        below.set(ylabel="model − true", xlim=(density.x[0], density.x[-1]), ylim=(-reach, reach))
    rows[-1][0].set(xlabel=label(density.name))
    return figure


@drawn
def components(density: OnLine, parts: np.ndarray, title: str = "") -> Figure:
    """A mixture's density over the data, and that of each of its components times its weight, (components, n)."""
    figure, [[axes]] = panels(1, 1, 5.6, 3.6)
    _data(axes, density)
    for number, part in enumerate(parts):
        axes.plot(density.x, part, color=GREEN, lw=0.9, label=None if number else "components, times their weights")
    axes.plot(density.x, density.model, color=ORANGE, lw=1.8, label="model")
    axes.set(title=title, xlabel=label(density.name), ylabel="density", xlim=(density.x[0], density.x[-1]), ylim=(0, density.top))
    axes.legend()
    return figure


def _data(axes: Axes, density: OnLine) -> None:
    """The histogram of the data, and their true density where it is known."""
    axes.stairs(*density.histogram, fill=True, color=GREY, alpha=0.35, label="data")
    if density.truth is not None:
        axes.plot(density.x, density.truth, color=INK, lw=1.2, ls="--", label="true density", zorder=OVER)
