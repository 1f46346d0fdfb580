"""One Gaussian on two peaks, by either divergence."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from genexp.figures.style import BLUE, GREY, INK, ORANGE, drawn, figure_of

SAME = 1e-4  # nats: two minima that are one
FORWARD, REVERSE = "forward KL: covers", "reverse KL: chooses"


@dataclass(frozen=True)
class Fits:
    """At distances m (k,): densities over x (k, n) of the data and of the two Gaussians, and the divergences (k,) that these
    reach beside the least possible forward one (k,) and the
    reverse ones at its two local minima (2, k).
    """

    m: np.ndarray
    x: np.ndarray
    data: np.ndarray
    covering: np.ndarray
    choosing: np.ndarray
    forward: np.ndarray
    reverse: np.ndarray
    best_forward: np.ndarray
    minima_reverse: np.ndarray


@drawn
def one_covers_one_chooses(fits: Fits, shown: list[int]) -> Figure:
    """On the left both divergences over m, with their minima as lines; on the right the Gaussians at the distances `shown`."""
    figure = figure_of(9.0, 4.6)
    grid = GridSpec(len(shown), 2, figure=figure, width_ratios=(1.35, 1))
    curves(figure.add_subplot(grid[:, 0]), fits)
    first = None
    for row, index in enumerate(shown):
        first = axes = figure.add_subplot(grid[row, 1], sharex=first)
        gaussians(axes, fits, index)
        axes.tick_params(labelbottom=row == len(shown) - 1)
    axes.set_xlabel("x")
    return figure


def curves(axes: Axes, fits: Fits, now: int | None = None) -> None:
    """Divergences over m; at the index `now` a mark."""
    limits = 0.5 * np.log1p(fits.m**2) - math.log(2)
    axes.plot(fits.m, np.where(limits > 0, limits, np.nan), color=BLUE, lw=1, ls=":", label="½ ln(1+m²) − ln 2")
    axes.axhline(math.log(2), color=ORANGE, lw=1, ls=":", label="ln 2")
    axes.plot(fits.m, fits.best_forward, color=BLUE, lw=1.6)
    axes.plot(fits.m, fits.forward, "o", color=BLUE, ms=4.5, label=FORWARD)
    covering, choosing = fits.minima_reverse
    apart = np.abs(choosing - covering) > SAME
    axes.plot(fits.m, covering, color=ORANGE, lw=1.2)
    axes.plot(fits.m[apart], choosing[apart], color=ORANGE, lw=1.2)
    axes.plot(fits.m, fits.reverse, "o", color=ORANGE, ms=4.5, label=REVERSE)
    if now is not None:
        axes.axvline(fits.m[now], color=GREY, lw=0.8)
    top = 1.25 * max(float(fits.best_forward.max()), math.log(2))
    axes.set(
        title="lines: minima of either divergence; dots: trained",
        xlabel="distance m of the peaks at ±m, standard deviations",
        ylabel="divergence, nats",
        xlim=(0, fits.m[-1] * 1.02),
        ylim=(-0.02 * top, top),
    )
    axes.legend(loc="upper left", fontsize=8, frameon=True, framealpha=1, edgecolor="none")


def gaussians(axes: Axes, fits: Fits, index: int) -> None:
    """The two peaks and both Gaussians at one distance."""
    x = fits.x[index]
    axes.fill_between(x, fits.data[index], color=GREY, alpha=0.35, lw=0)
    axes.plot(x, fits.data[index], color=INK, lw=0.8)
    axes.plot(x, fits.covering[index], color=BLUE, lw=1.8)
    axes.plot(x, fits.choosing[index], color=ORANGE, lw=1.8)
    axes.set(ylabel="density", ylim=(0, 0.47), xlim=(x[0], x[-1]))
    axes.text(0.02, 0.86, f"m = {fits.m[index]:.2f}", transform=axes.transAxes, color=INK)


@drawn
def frame(fits: Fits, index: int) -> Figure:
    """The same at one distance, as a picture of a film."""
    figure = figure_of(7.6, 3.6)
    grid = GridSpec(1, 2, figure=figure)
    curves(figure.add_subplot(grid[0, 0]), fits, index)
    axes = figure.add_subplot(grid[0, 1])
    gaussians(axes, fits, index)
    axes.set_xlabel("x")
    return figure
