"""Pictures of a student beside its teacher: what each has learnt, and what each costs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genexp.figures import points
from genexp.figures.style import BLUE, DENSITY, INK, ORANGE, Window, drawn, figure_of, square

NAMES = ("teacher", "student")
COLOURS = {"teacher": BLUE, "student": ORANGE}
ROOM = 8.0  # times the longest bar, for its number


@dataclass(frozen=True)
class Cost:
    """What one of the two takes for a thousand of something, in seconds."""

    what: str
    who: str
    seconds: float


@drawn
def densities(teacher: np.ndarray, student: np.ndarray, window: Window, costs: Sequence[Cost], apart: str) -> Figure:
    """Both densities (side, side), y upwards, in one scale of colours, and in words how `apart` they are; a bar for each cost."""
    figure, cells, bars = _three()
    for cell, name, values in zip(cells, NAMES, (teacher, student), strict=True):
        cell.imshow(values, origin="lower", extent=window.extent, cmap=DENSITY, vmin=0, vmax=float(teacher.max()))
        square(cell, name if name == "teacher" else f"{name}, {apart}", window)
    cost_bars(bars, costs)
    return figure


@drawn
def samples(teacher: np.ndarray, student: np.ndarray, window: Window, costs: Sequence[Cost], apart: str) -> Figure:
    """The same with samples of both by their first two coordinates, (n, 2)."""
    figure, cells, bars = _three()
    for cell, name, x in zip(cells, NAMES, (teacher, student), strict=True):
        points.dots(cell, x)
        square(cell, f"{name}: {len(x):,} samples" if name == "teacher" else f"{name}, {apart}", window)
        cell.set(xlabel="x1", ylabel="x2")
    cost_bars(bars, costs)
    return figure


def _three() -> tuple[Figure, list[Axes], Axes]:
    figure = figure_of(12.6, 3.9)
    *cells, bars = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    return figure, cells, bars


def cost_bars(axes: Axes, costs: Sequence[Cost]) -> None:
    """A bar for each, from the top; beside what the teacher takes, how much of the student's time that is."""
    seconds = np.array([each.seconds for each in costs])
    place = np.arange(len(costs))[::-1]
    axes.barh(place, seconds, color=[COLOURS[each.who] for each in costs], height=0.62)
    axes.set_xscale("log")
    axes.set(title="seconds for a thousand (× the student's)", ylim=(-0.6, len(costs) - 0.4))
    axes.set_xlim(seconds.min() / 3, seconds.max() * ROOM)
    axes.set_yticks(place, [f"{each.who}: {each.what}" for each in costs])
    students = {each.what.split(",")[0]: each.seconds for each in costs if each.who == "student"}
    for y, each in zip(place, costs, strict=True):
        same = students.get(each.what.split(",")[0])
        share = None if same is None or each.who == "student" else each.seconds / same
        times = "" if share is None else f"   (× {share:.2g})" if share >= 1 else f"   (× 1/{1 / share:.2g})"
        axes.text(each.seconds * 1.1, y, f"{each.seconds:.2g} s{times}", va="center", fontsize=8, color=INK)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
