"""The pictures of a sweep: a metric against the value that was swept, and the held-out loss against the seconds of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from genexp.figures.style import GREY, classes, drawn, panels

DECADE = 10.0
DASHES = ("-", "--", "-.")  # lines on top of each other are all seen
LEGEND = 5  # more lines have theirs beside the picture


@dataclass(frozen=True)
class Line:
    """Runs that differ in x, and in their seed. `x` is (n,), numbers or words; `y` (n,) is the metric of each run."""

    label: str
    x: np.ndarray
    y: np.ndarray


@drawn
def metric_against(lines: Sequence[Line], key: str, metric: str, floor: float | None = None) -> Figure:
    """A dot for each run, a line through the means of equal x, and a band of ± one standard deviation.

    Axes are logarithmic where their values are spread over decades. Words stand side by side in the order they come in, a
    bar in place of the line, for there is nothing between two words.

    Args:
        key: what x is, for the axis.
        floor: the lowest value that the metric could have, where it is known.
    """
    figure, [[axes]] = panels(1, 1, 5.6, 3.8)
    if any(len(line.x) > len(set(line.x.tolist())) for line in lines):
        axes.set_title("mean ± standard deviation over seeds", fontsize=8)
    words = list(dict.fromkeys(word for line in lines for word in line.x.tolist())) if _are_words(lines) else None
    for number, (line, color, dash) in enumerate(zip(lines, classes(len(lines)), cycle(DASHES))):
        if words is not None:
            aside = 0.5 * ((number + 0.5) / len(lines) - 0.5)
            x = np.array([words.index(word) for word in line.x.tolist()]) + aside
            values, mean, sd = _by_value(x, line.y)
            axes.errorbar(values, mean, sd, fmt="_", ms=14, mew=2, lw=1.2, color=color, label=line.label)
        else:
            x = line.x.astype(float)
            values, mean, sd = _by_value(x, line.y)
            axes.fill_between(values, mean - sd, mean + sd, color=color, alpha=0.18, lw=0)
            axes.plot(values, mean, dash, color=color, lw=1.5, label=line.label)
        axes.plot(x, line.y, "o", color=color, ms=3.5, alpha=0.8, mew=0)
    axes.set(xlabel=key, ylabel=metric)
    heights = np.concatenate([line.y for line in lines]) if lines else np.zeros(0)
    logarithmic = _spread_out(heights, 2 * DECADE)
    if logarithmic:
        axes.set_yscale("log")
    if floor is not None and (floor > 0 or not logarithmic):
        axes.axhline(floor, color=GREY, ls=":", lw=1.2, label="floor")
    _set_x(axes, lines, words)
    if axes.get_legend_handles_labels()[1]:
        beside = len(lines) > LEGEND
        axes.legend(fontsize=8, frameon=False, loc="upper left" if beside else "best", bbox_to_anchor=(1, 1) if beside else None)
    return figure


@drawn
def loss_against_seconds(lines: Sequence[Line], floor: float | None = None, unit: str = "") -> Figure:
    """A line for each run, x seconds and y its held-out loss. The last value is marked; what lies far above it is cut off.

    Args:
        floor: the lowest value that the loss could have, where it is known.
        unit: of the loss, where it has one.
    """
    figure, [[axes]] = panels(1, 1, 5.6, 3.8)
    labels = list(dict.fromkeys(line.label for line in lines))
    colors = dict(zip(labels, classes(len(labels)), strict=True))
    for line in lines:
        again = line.label in axes.get_legend_handles_labels()[1]
        axes.plot(line.x, line.y, "-", color=colors[line.label], lw=1.5, alpha=0.8, label=None if again else line.label)
        axes.plot(line.x[-1:], line.y[-1:], "o", color=colors[line.label], ms=4)
    ends = np.array([line.y[-1] for line in lines])
    low = min(float(ends.min()), floor if floor is not None else np.inf)
    high = max(float(ends.max()), float(np.median(np.concatenate([line.y for line in lines]))))
    room = max(high - low, 1e-3 * max(abs(high), 1e-9))
    axes.set(xlabel="seconds of training", xscale="log", ylim=(low - 0.1 * room, high + 0.8 * room))
    axes.set_ylabel(f"held-out loss, {unit}" if unit else "held-out loss")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    if floor is not None:
        axes.axhline(floor, color=GREY, ls=":", lw=1.2, label="floor")
    beside = len(labels) > LEGEND
    axes.legend(fontsize=8, frameon=False, loc="upper left" if beside else "best", bbox_to_anchor=(1, 1) if beside else None)
    return figure


def _set_x(axes: Axes, lines: Sequence[Line], words: list[str] | None) -> None:
    """Ticks at the values that were swept, as far as there is room."""
    if words is not None:
        long = sum(map(len, words)) > 60
        axes.set_xticks(range(len(words)), words, rotation=30 if long else 0, ha="right" if long else "center")
        axes.set_xlim(-0.5, len(words) - 0.5)
        return
    values = np.unique(np.concatenate([line.x.astype(float) for line in lines])) if lines else np.zeros(0)
    if _spread_out(values, DECADE):
        axes.set_xscale("log")
    if 0 < len(values) <= 8:
        axes.xaxis.set_major_locator(FixedLocator(values.tolist()))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _by_value(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each different x: it, the mean of its y, and their sample standard deviation (0 of a single one)."""
    values = np.unique(x)
    groups = [y[x == value] for value in values]
    return values, np.array([g.mean() for g in groups]), np.array([g.std(ddof=1) if len(g) > 1 else 0.0 for g in groups])


def _are_words(lines: Sequence[Line]) -> bool:
    return any(line.x.dtype.kind not in "iuf" for line in lines)


def _spread_out(values: np.ndarray, ratio: float) -> bool:
    """Whether positive numbers are so far apart that only a logarithm shows them all."""
    return len(values) > 2 and bool((values > 0).all()) and float(values.max() / values.min()) >= ratio
