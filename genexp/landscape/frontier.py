"""Likelihood against CPU seconds of training: as data for the page, and as a picture."""

from typing import Any

import numpy as np

from genexp.figures.landscape import Dot, frontier
from genexp.landscape.entries import NATS, Entry
from genexp.landscape.families import FAMILIES
from genexp.landscape.fields import Field

MOST = 80  # points of a curve


def axis(field: Field) -> str:
    """What is drawn upwards."""
    name = "−ln p(x)" if field.unit == NATS else "−log₂ p(x)"
    above = " above the best possible" if field.is_logarithmic else ""
    return f"{name} of held-out {field.title.replace('_', ' ')}, {field.unit}{above}"


def seconds_axis(field: Field) -> str:
    """What is drawn to the right."""
    by_clock = sum(not entry.on_cpu for entry in field.points)
    if not by_clock:
        return "CPU seconds of training"
    return (
        "seconds of training by the clock" if by_clock == len(field.points) else "CPU seconds of training, of some by the clock"
    )


def curve_of(entry: Entry, field: Field) -> list[tuple[float, float]]:
    """Its best held-out loss so far, as far as that can be drawn."""
    logarithmic = field.is_logarithmic
    points = [point for point in entry.curve(above_floor=logarithmic) if point[1] > 0 or not logarithmic]
    few = points[:: max(1, len(points) // MOST)]
    return few + points[-1:] if points and few[-1] != points[-1] else few


def best_of_each(field: Field) -> set[int]:
    """Of each model in the field the run with the lowest number; by identity."""
    best: dict[str, Entry] = {}
    for entry in field.points:
        if entry.model not in best or field.height(entry) < field.height(best[entry.model]):
            best[entry.model] = entry
    return {id(entry) for entry in best.values()}


def draw(field: Field) -> Any:
    """The picture of a field; its dots are its points."""
    named = best_of_each(field)
    dots = [
        Dot(
            x=entry.seconds or 0.0,
            y=field.height(entry),
            label=entry.model,
            colour=entry.family.colour,
            bound=entry.likelihood == "bound",
            curve=np.array(curve_of(entry, field)).reshape(-1, 2),
            named=id(entry) in named,
        )
        for entry in field.points
    ]
    there = {entry.family for entry in field.points}
    families = [(family.title, family.colour) for family in FAMILIES if family in there]
    line = np.array([(entry.seconds, field.height(entry)) for entry in field.pareto])
    return frontier(dots, families, line, axis(field), seconds_axis(field), field.is_logarithmic)


def data(field: Field, numbers: dict[int, int]) -> dict[str, Any]:
    """For the page's script; `numbers`: which run of the page an entry is."""
    named = best_of_each(field)
    points = [
        {
            "x": round(entry.seconds or 0.0, 3),
            "y": float(f"{field.height(entry):.5g}"),
            "label": entry.model,
            "colour": entry.family.colour,
            "bound": entry.likelihood == "bound",
            "curve": [[round(x, 2), float(f"{y:.4g}")] for x, y in curve_of(entry, field)],
            "named": id(entry) in named,
            "run": numbers[id(entry)],
        }
        for entry in field.points
    ]
    line = [[entry.seconds, field.height(entry)] for entry in field.pareto]
    return {
        "title": field.title,
        "axis": axis(field),
        "seconds": seconds_axis(field),
        "log": field.is_logarithmic,
        "points": points,
        "pareto": line,
    }
