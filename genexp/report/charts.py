"""Curves as data for the page's script, and as a drawing that needs none."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from genexp.report.gather import Curve

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 260, 58, 30, 10, 12  # of the drawing
HALF = 3.4  # of a letter's width


@dataclass(frozen=True)
class Line:
    """The curve of one run: `part` is training or held-out."""

    run: int
    part: str
    curve: Curve


@dataclass(frozen=True)
class Floor:
    """What nothing falls below: `run`'s alone, or where that is None every line's."""

    value: float
    run: int | None = None


@dataclass(frozen=True)
class Tick:
    place: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One term over the steps, with a line for each run (and part), and the floors of the held-out ones."""

    name: str
    title: str
    lines: list[Line]
    floors: list[Floor]

    @cached_property
    def logarithmic(self) -> bool:
        """Whether it is better read on a logarithmic axis: positive, and over more than a decade and a half."""
        low, high = self.span
        return self.name != "lr" and low > 0 and high / low > 30

    @cached_property
    def span(self) -> tuple[float, float]:
        values = [value for line in self.lines for value in line.curve.values] + [floor.value for floor in self.floors]
        return min(values), max(values)

    def data(self) -> dict[str, Any]:
        """For the script."""
        lines = [
            {
                "run": line.run,
                "part": line.part,
                "steps": line.curve.steps,
                "seconds": [round(second, 2) for second in line.curve.seconds],
                "values": [float(f"{value:.6g}") for value in line.curve.values],
            }
            for line in self.lines
        ]
        floors = [{"run": floor.run, "value": floor.value} for floor in self.floors]
        return {"title": self.title, "lines": lines, "floors": floors, "log": self.logarithmic}

    # --- the drawing -----------------------------------------------------------------------------------------

    def x(self, step: float) -> float:
        most = max(line.curve.steps[-1] for line in self.lines) or 1
        return round(LEFT + (WIDTH - LEFT - RIGHT) * step / most, 1)

    def y(self, value: float) -> float:
        low, high = self._limits
        value = math.log10(value) if self.logarithmic else value
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * share, 1)

    def path(self, line: Line) -> str:
        points = zip(line.curve.steps, line.curve.values, strict=True)
        return "M" + "L".join(f"{self.x(step)} {self.y(value)}" for step, value in points)

    def y_ticks(self) -> list[Tick]:
        low, high = self._limits
        marks = ticks(low, high)
        if self.logarithmic:
            return [Tick(self.y(10**mark), f"{10**mark:.3g}") for mark in marks]
        return [Tick(self.y(mark), text) for mark, text in zip(marks, apart(marks), strict=True)]

    def x_ticks(self) -> list[Tick]:
        """The last one is moved to the left as far as it takes to be whole."""
        marks = ticks(0, max(line.curve.steps[-1] for line in self.lines))
        texts = [f"{mark:,.0f}" for mark in marks]
        return [Tick(min(self.x(mark), WIDTH - HALF * len(text)), text) for mark, text in zip(marks, texts, strict=True)]

    @cached_property
    def _limits(self) -> tuple[float, float]:
        low, high = (math.log10(value) for value in self.span) if self.logarithmic else self.span
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 1.0
        return low - margin, high + margin


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between low and high, about that many."""
    raw = max(high - low, 1e-300) / about
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)][:20]


def apart(numbers: list[float]) -> list[str]:
    """Numbers with three digits each, or as many more as it takes that no two read alike."""
    for digits in range(3, 16):
        texts = [f"{number:.{digits}g}" for number in numbers]
        if len({*texts}) == len(texts):
            break
    return texts
