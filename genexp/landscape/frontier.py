"""Likelihood against CPU seconds of training: as data for the page, and as a picture."""

from collections import Counter
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


def names(field: Field) -> dict[int, str]:
    """What each point is called, by its identity: its model, or its experiment where several of them train that model."""
    kinds = {(entry.model, entry.experiment) for entry in field.points if entry.experiment}
    several = {model for model, count in Counter(model for model, _ in kinds).items() if count > 1}
    return {id(entry): (entry.experiment if entry.model in several else None) or entry.model for entry in field.points}


def best_of_each(field: Field) -> set[int]:
    """Of each name in the field the run with the lowest number; by identity."""
    called = names(field)
    best: dict[str, Entry] = {}
    for entry in sorted(field.points, key=field.height):
        best.setdefault(called[id(entry)], entry)
    return {id(entry) for entry in best.values()}


def draw(field: Field) -> Any:
    """The picture of a field; its dots are its points."""
    called, named = names(field), best_of_each(field)
    dots = [
        Dot(
            x=entry.seconds or 0.0,
            y=field.height(entry),
            label=called[id(entry)],
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
    called, named = names(field), best_of_each(field)
    points = [
        {
            "x": round(entry.seconds or 0.0, 3),
            "y": float(f"{field.height(entry):.5g}"),
            "label": called[id(entry)],
            "colour": entry.family.colour,
            "bound": entry.likelihood == "bound",
            "curve": [[float(f"{x:.4g}"), float(f"{y:.4g}")] for x, y in curve_of(entry, field)],
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
