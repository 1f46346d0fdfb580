"""The frontier: what a likelihood costs to learn. A dot for each run, its curve behind it, and the line that no run is below."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from genexp.figures.style import GREY, INK, classes, drawn, panels

ROOM = 2.0  # times the distance from the best to the median: what is higher is drawn at the upper edge
WIDE = 2.2  # decades of seconds: of fewer not only whole powers of ten are marked
PLACES = (  # of a name, in points from its dot
    *((8, 5, "left"), (-8, 5, "right"), (8, -11, "left"), (-8, -11, "right")),
    *((0, 12, "center"), (0, -18, "center"), (8, 16, "left"), (-8, 16, "right")),
)
COLUMN = 40  # pixels within which dots stand above one another


@dataclass(frozen=True)
class Dot:
    """A run: `x` seconds, `y` its number, `curve` (n, 2) seconds and held-out loss; a bound is hollow."""

    x: float
    y: float
    label: str
    colour: int
    bound: bool
    curve: np.ndarray
    named: bool


@drawn
def frontier(
    dots: Sequence[Dot], families: Sequence[tuple[str, int]], pareto: np.ndarray, words: str, seconds: str, log: bool
) -> Figure:
    """Dots and curves over seconds.

    Args:
        families: names and colours, for the legend.
        pareto: seconds and numbers (n, 2) of the runs that none beats.
        words, seconds: of the vertical and of the horizontal axis.
        log: whether the vertical one is logarithmic: where the numbers are above what they can be at best.
    """
    figure, [[axes]] = panels(1, 1, 9.6, 5.6)
    palette = classes(10)
    axes.set(xscale="log", yscale="log" if log else "linear", xlabel=seconds, ylabel=words)
    low, high = limits([dot.y for dot in dots], log)
    for dot in dots:
        if len(dot.curve) > 1:
            axes.plot(*dot.curve.T, color=palette[dot.colour], lw=0.9, alpha=0.35)
    axes.step(*np.vstack([pareto, [max(dot.x for dot in dots) * 1.6, pareto[-1, 1]]]).T, where="post", color=INK, lw=1.1, ls="--")
    for dot in dots:
        inside = dot.y <= high
        face = "white" if dot.bound else palette[dot.colour]
        mark = "o" if inside else "^"
        axes.plot(dot.x, min(dot.y, high), mark, ms=7, mfc=face, mec=palette[dot.colour], mew=1.7, clip_on=False, zorder=3)
    taken = [dot.x for dot in dots]
    begun = [float(dot.curve[0, 0]) for dot in dots if len(dot.curve) > 1]
    first = min([min(taken) / 1.6, *([float(np.median(begun))] if begun else [])])  # where half of the curves begin
    axes.set(xlim=(first, max(taken) * 1.6), ylim=(low, high))
    decades = np.log10(max(taken) * 1.6 / first)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if decades > WIDE else (1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    if log:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25, lw=0.6)
    handles = [Line2D([], [], marker="o", ls="", color=palette[colour], label=name) for name, colour in families]
    if any(dot.bound for dot in dots):
        handles += [Line2D([], [], marker="o", ls="", mfc="white", mec=GREY, mew=1.7, label="hollow: a bound")]
    if begun:
        handles += [Line2D([], [], color=GREY, lw=0.9, label="faint: held-out loss so far")]
    handles += [Line2D([], [], color=INK, ls="--", lw=1.1, label="no run ends below")]
    axes.legend(handles=handles, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    figure.canvas.draw()
    figure.set_layout_engine("none")  # or what is measured here would move
    place_labels(axes, [dot for dot in dots if dot.named], dots, palette)
    return figure


def limits(values: Sequence[float], log: bool) -> tuple[float, float]:
    """Where an axis of these numbers begins and ends: a few that are far above the others do not press them together."""
    found = np.array(sorted(values))
    if log:
        return float(found[0]) / 1.5, float(found[-1]) * 1.5
    best, middle = float(found[0]), float(np.median(found))
    high = min(float(found[-1]), best + ROOM * max(middle - best, 0.02 * abs(best), 1e-9))
    room = max(high - best, 1e-6)
    return best - 0.08 * room, high + 0.06 * room


def place_labels(axes: Axes, named: Sequence[Dot], dots: Sequence[Dot], palette: Sequence[str]) -> None:
    """Names beside their dots, each at the first place where it covers neither another name nor a dot, and where names of dots
    that stand above one another do so too; else none.
    """
    high = axes.get_ylim()[1]
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    pixels = axes.transData.transform([(dot.x, min(dot.y, high)) for dot in dots])
    taken: list[tuple[float, float, float, float]] = [(x - 7, y - 7, x + 7, y + 7) for x, y in pixels]
    frame, below = axes.get_window_extent(renderer), list[tuple[float, float]]()
    for dot in sorted(named, key=lambda dot: dot.y):
        words = dot.label if dot.y <= high else f"{dot.label} {dot.y:.3g}"
        x = axes.transData.transform((dot.x, min(dot.y, high)))[0]
        for dx, dy, align in PLACES:
            text = axes.annotate(
                words,
                (dot.x, min(dot.y, high)),
                (dx, dy),
                textcoords="offset points",
                ha=align,
                fontsize=8,
                color=palette[dot.colour],
            )
            box = text.get_window_extent(renderer)
            edges = (box.x0, box.y0, box.x1, box.y1)
            within = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1 + 10
            middle = (box.y0 + box.y1) / 2
            in_order = all(middle > other for column, other in below if abs(column - x) < COLUMN)
            if within and in_order and not any(overlap(edges, other) for other in taken):
                taken.append(edges)
                below.append((x, middle))
                break
            text.remove()


def overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Of two rectangles, left, bottom, right, top."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
