"""The pictures of a sweep over models and data sets: a density in each cell; what a density and a sample cost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genexp.figures.style import BLUE, DENSITY, GREY, INK, ORANGE, drawn, middles, panels

CELL = 1.6  # inches
EMPTY = "#f3f4f6"


@dataclass(frozen=True)
class Column:
    """A data set: its name, its density, (side, side) with y upwards or of numbers (n,), and the ends of its axes: left, right,
    bottom, top. None where no run of it has come so far.
    """

    name: str
    truth: np.ndarray | None
    ends: np.ndarray | None


@dataclass(frozen=True)
class Cell:
    """What a model learnt, like the truth above it or None; and what is to be said below: its number, or why there is nothing."""

    density: np.ndarray | None
    words: str


@drawn
def gallery(columns: Sequence[Column], rows: Mapping[str, Sequence[Cell]]) -> Figure:
    """The true densities on top, then a row for each model; the colours of a column are those of its truth."""
    figure, grid = panels(len(rows) + 1, len(columns), CELL, CELL + 0.25)
    for axes, column in zip(grid[0], columns, strict=True):
        _density(axes, column.truth, column, INK)
        axes.set_title(column.name, fontsize=9)
    grid[0][0].set_ylabel("true", fontsize=9)
    for line, (name, cells) in zip(grid[1:], rows.items(), strict=True):
        line[0].set_ylabel(name, fontsize=9)
        for axes, column, cell in zip(line, columns, cells, strict=True):
            _density(axes, cell.density, column, ORANGE)
            axes.set_xlabel(cell.words, fontsize=8)
    return figure


def _density(axes: Axes, density: np.ndarray | None, column: Column, color: str) -> None:
    axes.set(xticks=[], yticks=[])
    axes.set_box_aspect(1)
    if density is None or column.truth is None or column.ends is None or density.ndim != column.truth.ndim:
        axes.set_facecolor(EMPTY)
    elif density.ndim == 1:
        low, high = column.ends.tolist()
        if color != INK:
            axes.plot(middles(low, high, len(column.truth)), column.truth, color=GREY, lw=1)
        axes.plot(middles(low, high, len(density)), density, color=color, lw=1.2)
        axes.set(xlim=(low, high), ylim=(0, 1.3 * float(column.truth.max())))
    else:
        axes.imshow(density, origin="lower", extent=column.ends.tolist(), cmap=DENSITY, vmin=0, vmax=float(column.truth.max()))


@drawn
def costs(names: Sequence[str], density: Sequence[float], sample: Sequence[float]) -> Figure:
    """Two bars for each model: seconds for a thousand densities, and for a thousand samples; NaN where there are none."""
    figure, [[axes]] = panels(1, 1, max(4.5, 1.2 + 0.75 * len(names)), 3.8)
    at = np.arange(len(names))
    for aside, color, label, seconds in ((-0.2, BLUE, "density", density), (0.2, ORANGE, "sampling", sample)):
        values = np.asarray(seconds, float)
        bars = axes.bar(at + aside, np.where(values > 0, values, np.nan), 0.38, color=color, label=label)
        axes.bar_label(bars, [f"{value:.2g}" if value > 0 else "" for value in values], fontsize=7, padding=1)
    least = min(value for value in (*density, *sample) if value > 0)
    long = sum(map(len, names)) > 60 or max(map(len, names)) > 10
    axes.set_xticks(at, names, rotation=35 if long else 0, ha="right" if long else "center")
    axes.set(ylabel="seconds for a thousand examples", yscale="log")
    axes.margins(y=0.15)
    axes.set_ylim(bottom=10.0 ** (math.ceil(math.log10(least)) - 1))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure
