"""Lamps: which number notices which failing sampler, and with how many samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from genexp.figures.style import INK, SKY, drawn, figure_of

LIT = LinearSegmentedColormap.from_list("lit", ["#FFF6B0", "#F5C518", "#D9822B"])  # the fewer samples, the brighter
PAPER = "#EEF1F5"
GLIMMER = 0.15  # of the repetitions: what is noticed in fewer is dark
ACROSS, DOWN = 0.95, 0.5  # inches of a column and of a row
LEFT, TOP = 2.6, 3.7  # columns for the names of the numbers; rows for the small pictures and the names of the failures


@dataclass(frozen=True)
class Lamps:
    """S numbers, F failing samplers.

    Args:
        numbers: what each number is called, (S,). failures: and each sampler, (F,).
        noticed: the fewest samples that it takes, 0 where it is not noticed, (S, F); praised: likewise.
        shares: of the repetitions with the most samples in which it is noticed, (S, F).
        alarms: share of true repetitions that are called suspicious, (S,).
        ladder: numbers of samples that were tried, the least first.
        looks: samples of each sampler, and of the truth as the last one: points (n, 2), or a square of pictures (h, w[, 3]).
        limits: of the plane, (low, high); None of pictures.
    """

    numbers: Sequence[str]
    failures: Sequence[str]
    noticed: np.ndarray
    praised: np.ndarray
    shares: np.ndarray
    alarms: np.ndarray
    ladder: Sequence[int]
    looks: Sequence[np.ndarray]
    limits: tuple[float, float] | None


@drawn
def lamps(found: Lamps, title: str) -> Figure:
    """A row for each number, a column for each failure, both sorted by how much is noticed; the truth is the last column."""
    rows = np.argsort(-(found.noticed > 0).sum(1), kind="stable")
    columns = np.argsort(-(found.noticed > 0).sum(0), kind="stable")
    height, last = len(rows), len(columns) + 0.45
    width = LEFT + last + 0.6
    figure = figure_of(ACROSS * width, DOWN * (height + TOP + 1.9))
    figure.set_facecolor(INK)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1), facecolor=INK)
    axes.set(xlim=(-LEFT, last + 0.6), ylim=(-height - 1.0, TOP + 0.9))
    axes.set_axis_off()
    axes.text(-LEFT + 0.25, TOP + 0.25, title, color=PAPER, fontsize=15, va="center")
    for y, row in enumerate(rows):
        axes.text(-0.62, -y, found.numbers[row], ha="right", va="center", color=PAPER, fontsize=11)
        for x, column in enumerate(columns):
            noticed, praised, share = (
                int(found.noticed[row, column]),
                int(found.praised[row, column]),
                found.shares[row, column],
            )
            _lamp(axes, x, -y, noticed, praised, found.ladder, float(share))
        axes.text(last, -y, f"{100 * found.alarms[row]:.1f} %", ha="center", va="center", color=PAPER, fontsize=10)
    for x, which in zip([*range(len(columns)), last], [*columns, len(columns)], strict=True):
        name = "the truth:\nfalse alarms" if which == len(columns) else found.failures[which].replace(" ", "\n", 1)
        axes.text(x, 1.15, name, ha="center", va="center", color=PAPER, fontsize=10, linespacing=1.0)
        side = 0.88
        window = axes.inset_axes((x - side / 2, 1.85, side, side * ACROSS / DOWN), transform=axes.transData)
        _look(window, found.looks[which], found.limits)
    _legend(axes, -height - 0.25, found.ladder)
    return figure


def _lamp(axes: Axes, x: float, y: float, noticed: int, praised: int, ladder: Sequence[int], share: float = 0.0) -> None:
    """Lit where there is something to see, with the fewest samples in it; it glimmers where that is seen now and then."""
    size = {"width": 0.86 * DOWN / ACROSS, "height": 0.86}
    count = noticed or praised
    if not count:
        axes.add_patch(Ellipse((x, y), **size, fc=LIT(1.0), alpha=share * (share > GLIMMER), ec="none"))
        axes.add_patch(Ellipse((x, y), **size, fill=False, ec="#4d5b73", lw=1.0))
        return
    place = [*ladder].index(count) / max(len(ladder) - 1, 1)
    axes.add_patch(Ellipse((x, y), **size, fc=LIT(place) if noticed else SKY, ec="none"))
    axes.text(x, y, str(count), ha="center", va="center", color=INK, fontsize=9, fontweight="bold")


def _look(axes: Axes, look: np.ndarray, limits: tuple[float, float] | None) -> None:
    """What samples look like."""
    axes.set(xticks=[], yticks=[])
    axes.set_facecolor("white")
    for spine in axes.spines.values():
        spine.set_visible(False)
    if limits is None:
        axes.imshow(look, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
        return
    axes.plot(look[:, 0], look[:, 1], ".", ms=2.2, color=INK, mew=0, alpha=0.7)
    axes.set(xlim=limits, ylim=limits)


def _legend(axes: Axes, y: float, ladder: Sequence[int]) -> None:
    """What the lamps say."""
    x = -1.9
    for count in ladder:
        _lamp(axes, x, y, count, 0, ladder)
        x += 0.5
    axes.text(x - 0.15, y, "noticed, with so many samples", va="center", color=PAPER, fontsize=10)
    for place, said, praised, share in (
        (x + 2.8, "looks better than the truth", ladder[-1], 0.0),
        (x + 5.5, "now and then", 0, 0.4),
        (x + 7.2, "not noticed", 0, 0.0),
    ):
        _lamp(axes, place, y, 0, praised, ladder, share)
        axes.text(place + 0.3, y, said, va="center", color=PAPER, fontsize=10)
