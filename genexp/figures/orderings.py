"""Likelihoods of one model in many orders: a forest of dots, the orders, and what each pixel costs in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from matplotlib.figure import Figure

from genexp.figures.style import BLUE, DENSITY, GREEN, GREY, INK, ORANGE, drawn, figure_of

COLOURS = {"trained": BLUE, "new": ORANGE, "named": GREEN, "mixture": INK}
SAID = {
    "trained": "an order that it was trained in",
    "new": "a random order, new to it",
    "named": "columns, from below, …: new to it, too",
}
SAID["mixture"] = "mixture of the trained orders"


@dataclass(frozen=True)
class Line:
    """−E ln p(x) in one order, nats, and the standard error of what it is more than the mixture's; `kind`: as in COLOURS."""

    name: str
    nll: float
    error: float
    kind: str


@dataclass(frozen=True)
class Walk:
    """An order as the place of each pixel in it, and what each pixel then costs, nats; (height, width) both."""

    name: str
    place: np.ndarray
    cost: np.ndarray


@drawn
def forest(lines: Sequence[Line], walks: Sequence[Walk]) -> Figure:
    """Dots with two standard errors each; the orders as maps, the first pixel dark, over the mean cost of each pixel."""
    figure = figure_of(6.0 + 1.55 * len(walks), max(3.9, 0.22 * len(lines) + 1.0))
    left, right = cast(np.ndarray, figure.subfigures(1, 2, width_ratios=[6.0, 1.55 * len(walks)]))
    axes = left.subplots()
    for row, line in enumerate(lines):
        first = line.kind not in [each.kind for each in lines[:row]]
        marker = "D" if line.kind == "mixture" else "o"
        axes.errorbar(
            line.nll, row, xerr=2 * line.error, fmt=marker, color=COLOURS[line.kind], ms=5, lw=1.4,
            label=SAID[line.kind] if first else None,
        )  # fmt: skip
    axes.axvline(lines[-1].nll, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.set_yticks(range(len(lines)), [line.name for line in lines])
    axes.invert_yaxis()
    axes.set(
        xlabel="−ln p(x) of the same test examples, nats\nbars: two standard errors of the distance to the mixture",
        title="one model, many orders",
    )
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.19), ncols=2, fontsize=8)
    grid = right.subplots(2, len(walks), squeeze=False)
    top = max(float(walk.cost.max()) for walk in walks)
    for (above, below), walk in zip(grid.T, walks, strict=True):
        order = above.imshow(walk.place, cmap=DENSITY, interpolation="nearest")
        cost = below.imshow(walk.cost, cmap="magma", vmin=0, vmax=top, interpolation="nearest")
        above.set_title(walk.name)
        below.set_xlabel(f"{walk.cost.sum():.2f} nats")
        for each in (above, below):
            each.set(xticks=[], yticks=[])
    right.colorbar(order, ax=grid[0].tolist(), label="place in the order", shrink=0.8)
    right.colorbar(cost, ax=grid[1].tolist(), label="mean cost of a pixel, nats", shrink=0.8)
    return figure
