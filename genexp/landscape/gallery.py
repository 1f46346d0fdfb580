"""Every model on every toy: samples of the plane in each cell, and how far the model is from the data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genexp.figures.gallery import Cell, Column, gallery
from genexp.landscape.entries import Entry
from genexp.landscape.families import FAMILIES
from genexp.landscape.fields import Field
from genexp.landscape.thumbnails import arrays, histogram, of_points, window

KL = "kl"
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
    """Models, a family after the other, on toys; None where there is no run."""

    toys: tuple[Toy, ...]
    rows: dict[str, list[Entry | None]]

    def best(self, column: int) -> Entry | None:
        """The one that is nearest to the data."""
        known = [entries[column] for entries in self.rows.values()]
        there = [entry for entry in known if entry is not None and distance(entry) < math.inf]
        return min(there, key=distance, default=None)


def distance(entry: Entry) -> float:
    """KL(data ‖ model), by quadrature where that was taken, else the nll above its floor; infinite where neither is known."""
    if (kl := entry.metric(KL)) is not None and entry.number is not None and entry.number.metric == "nll":
        return kl
    if entry.number is not None and entry.number.floor is not None:
        return entry.number.value - entry.number.floor
    return math.inf


def toys_of(fields: Sequence[Field]) -> list[Toy]:
    """Those in the plane whose runs have kept examples."""
    found = []
    for field in fields:
        if field.entries[0].data.shape != (2,):
            continue
        kept = (arrays(entry.record.path, ("target",))[0] for entry in field.entries)
        target = next((points for points in kept if points is not None and points.ndim == 2 and len(points) >= 1000), None)
        if target is not None:
            found.append(Toy(field, target, window(target)))
    return found


def grid_of(toys: Sequence[Toy]) -> Grid | None:
    """Of each model on each toy the run that is nearest to the data; None of a single toy or model."""
    best: dict[str, list[Entry | None]] = {}
    families: dict[str, int] = {}
    for column, toy in enumerate(toys):
        for entry in toy.field.entries:
            row = best.setdefault(entry.model, [None] * len(toys))
            families.setdefault(entry.model, FAMILIES.index(entry.family))
            there = row[column]
            if there is None or distance(entry) < distance(there):
                row[column] = entry
    names = sorted(best, key=lambda name: (families[name], name))
    if len(toys) < 2 or len(names) < 2:
        return None
    return Grid(tuple(toys), {name: best[name] for name in names})


def draw(grid: Grid) -> Any:
    """The grid as a figure."""
    columns = [Column(toy.field.title, histogram(toy.target, toy.ends), np.array(toy.ends)) for toy in grid.toys]
    rows = {name: [_cell(entry, toy) for entry, toy in zip(row, grid.toys, strict=True)] for name, row in grid.rows.items()}
    return gallery(columns, rows)


def _cell(entry: Entry | None, toy: Toy) -> Cell:
    if entry is None:
        return Cell(None, "")
    (samples,) = arrays(entry.record.path, ("samples",))
    here = samples is not None and samples.shape[1:] == (2,)
    density = histogram(samples, toy.ends) if here and samples is not None else None
    far = distance(entry)
    return Cell(density, f"kl {far:.2g}" if far < math.inf else "no density")
