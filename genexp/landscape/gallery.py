"""Every model on every toy: samples of the plane in each cell, and how far the model is from the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genexp.figures.gallery import Cell, Column, gallery
from genexp.folder.samples import kept_arrays
from genexp.landscape.families import FAMILIES
from genexp.landscape.fields import FEWEST, Field, Group
from genexp.landscape.thumbnails import histogram, of_points, window

Ends = tuple[float, float, float, float]


@dataclass(frozen=True)
class Toy:
    """A data set in the plane: examples of it, and the window in which all are shown."""

    field: Field
    target: np.ndarray
    ends: Ends

    @property
    def truth(self) -> str:
        return of_points(self.target, self.ends)


@dataclass(frozen=True)
class Grid:
    """Models, a family after the other, on toys; None where there is no run. Of each the configuration that is nearest to the
    data in the mean over its seeds: more of them are no advantage.
    """

    toys: tuple[Toy, ...]
    rows: dict[str, list[Group | None]]

    def best(self, column: int) -> Group | None:
        """The one that is nearest to the data."""
        known = [groups[column] for groups in self.rows.values()]
        there = [group for group in known if group is not None and group.distance < math.inf]
        return min(there, key=lambda group: group.distance, default=None)


def toys_of(fields: Sequence[Field]) -> list[Toy]:
    """Those in the plane whose runs have kept examples."""
    found = []
    for field in fields:
        if field.entries[0].data.shape != (2,):
            continue
        kept = (kept_arrays(entry.record.path, ("target",)).get("target") for entry in field.entries)
        target = next(
            (points for points in kept if points is not None and points.shape[1:] == (2,) and len(points) >= 1000), None
        )
        if target is not None:
            found.append(Toy(field, target, window(target)))
    return found


def grid_of(toys: Sequence[Toy]) -> Grid | None:
    """Of each model on each toy the nearest to the data; those that are there once are left out."""
    best: dict[str, list[Group | None]] = {}
    families: dict[str, int] = {}
    for column, toy in enumerate(toys):
        for group in toy.field.groups:
            row = best.setdefault(group.first.model, [None] * len(toys))
            families.setdefault(group.first.model, FAMILIES.index(group.first.family))
            there = row[column]
            if there is None or group.distance < there.distance:
                row[column] = group
    names = sorted((name for name in best if many(best[name])), key=lambda name: (families[name], name))
    columns = [column for column in range(len(toys)) if many([best[name][column] for name in names])]
    if len(columns) < FEWEST or len(names) < FEWEST:
        return None
    return Grid(tuple(toys[column] for column in columns), {name: [best[name][column] for column in columns] for name in names})


def many(cells: Sequence[Group | None]) -> bool:
    """Whether there is enough in a row or a column to hold against one another."""
    return sum(cell is not None and cell.distance < math.inf for cell in cells) >= FEWEST


def draw(grid: Grid) -> Any:
    """The grid as a figure."""
    columns = [Column(toy.field.title, histogram(toy.target, toy.ends), np.array(toy.ends)) for toy in grid.toys]
    rows = {name: [_cell(group, toy) for group, toy in zip(row, grid.toys, strict=True)] for name, row in grid.rows.items()}
    return gallery(columns, rows)


def _cell(group: Group | None, toy: Toy) -> Cell:
    if group is None:
        return Cell(None, "")
    samples = kept_arrays(group.first.record.path, ("samples",)).get("samples")
    here = samples is not None and samples.shape[1:] == (2,)
    density = histogram(samples, toy.ends) if here and samples is not None else None
    return Cell(density, f"kl {group.sign}{group.distance:.2g}" if group.distance < math.inf else "no density")
