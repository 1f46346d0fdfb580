"""Likelihood against CPU seconds of training: as data for the page, and as a picture."""

from typing import Any

import numpy as np

from genexp.figures.landscape import Dot, frontier
from genexp.landscape.entries import Entry
from genexp.landscape.families import FAMILIES
from genexp.landscape.fields import Field

MOST = 80  # points of a curve


def is_logarithmic(field: Field) -> bool:
    """Whether the height above the floor is drawn: known of all runs, and more than nothing."""
    return field.floor is not None and all(field.above(entry) > 0 for entry in field.points)


def axis(field: Field) -> str:
    metrics = {entry.number.metric.partition("/")[0] for entry in field.points if entry.number}
    name = "−ln p(x)" if field.unit == "nats" else "−log₂ p(x)"
    what = f"{name} of held-out {field.title}, {field.unit}"
    return f"{what}, above the best possible" if is_logarithmic(field) and metrics else what


def curve_of(entry: Entry, field: Field) -> list[tuple[float, float]]:
    """Its best held-out loss so far, as far as that can be drawn."""
    floor = field.floor if is_logarithmic(field) else 0.0
    points = [(seconds, value - (floor or 0.0)) for seconds, value in entry.curve]
    points = [point for point in points if not is_logarithmic(field) or point[1] > 0]
    few = points[:: max(1, len(points) // MOST)]
    return few + points[-1:] if points and few[-1] != points[-1] else few


def height(entry: Entry, field: Field) -> float:
    assert entry.number is not None
    return field.above(entry) if is_logarithmic(field) else entry.number.value


def best_of_each(field: Field) -> set[int]:
    """Of each model in the field the run with the lowest number; by identity."""
    best: dict[str, Entry] = {}
    for entry in field.points:
        if entry.model not in best or height(entry, field) < height(best[entry.model], field):
            best[entry.model] = entry
    return {id(entry) for entry in best.values()}


def draw(field: Field) -> Any:
    """The picture of a field; its dots are its points."""
    named = best_of_each(field)
    dots = [
        Dot(
            x=entry.seconds or 0.0,
            y=height(entry, field),
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
    line = np.array([(entry.seconds, height(entry, field)) for entry in field.pareto])
    return frontier(dots, families, line, axis(field), is_logarithmic(field))


def data(field: Field, numbers: dict[int, int]) -> dict[str, Any]:
    """For the page's script; `numbers`: which run of the page an entry is."""
    named = best_of_each(field)
    points = [
        {
            "x": round(entry.seconds or 0.0, 3),
            "y": float(f"{height(entry, field):.5g}"),
            "label": entry.model,
            "colour": entry.family.colour,
            "bound": entry.likelihood == "bound",
            "curve": [[round(x, 2), float(f"{y:.4g}")] for x, y in curve_of(entry, field)],
            "named": id(entry) in named,
            "run": numbers[id(entry)],
        }
        for entry in field.points
    ]
    line = [[entry.seconds, height(entry, field)] for entry in field.pareto]
    return {"title": field.title, "axis": axis(field), "log": is_logarithmic(field), "points": points, "pareto": line}
