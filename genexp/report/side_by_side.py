"""What several runs say of the same thing, side by side: one run is the special case of one column."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genexp.report.charts import Chart, Floor, Line
from genexp.report.gather import Number, Run
from genexp.runs.words import Words

ADMINISTRATIVE = ("lr", "samples_per_second")  # curves that come last


@dataclass(frozen=True)
class Row:
    """One thing that is known of every run: its name, what it means, and a cell for each run."""

    name: str
    meaning: str
    cells: list[Any]

    @property
    def differs(self) -> bool:
        return len({str(cell) for cell in self.cells}) > 1


def number_rows(runs: Sequence[Run]) -> list[Row]:
    """Each metric that some run has, in the order in which runs have them."""
    names, words = list(dict.fromkeys(name for run in runs for name in run.numbers)), words_in(runs)
    return [Row(name, words.meaning(name), [run.numbers.get(name) for run in runs]) for name in names]


def headlines(runs: Sequence[Run], most: int = 4) -> list[Row]:
    """The few numbers to look at first: those that most runs have, those that some share, those of one alone."""
    rows, words = number_rows(runs), words_in(runs)
    known = [row for row in rows if words.headline(row.name) < math.inf]
    known.sort(key=lambda row: (rarity(row), words.headline(row.name)))
    return known[:most] or rows[:most]


def rarity(row: Row) -> int:
    """0: most runs have it; 1: several have; 2: one."""
    having = sum(cell is not None for cell in row.cells)
    return 0 if 2 * having > len(row.cells) else 1 if having > 1 else 2


def words_in(runs: Sequence[Run]) -> Words:
    """What the numbers, curves and pictures of these runs are, as the first run that has them says."""
    return Words(
        {name: words for run in reversed(runs) for name, words in run.words.measures.items()},
        {name: words for run in reversed(runs) for name, words in run.words.pictures.items()},
    )


def config_rows(runs: Sequence[Run]) -> list[Row]:
    """Each key of the configurations."""
    keys = list(dict.fromkeys(key for run in runs for key in run.config if key != "run_dir"))
    return [Row(key, "", [run.config.get(key) for run in runs]) for key in keys]


def record_rows(runs: Sequence[Run]) -> list[Row]:
    """Each key of the run.json files but those that the page says elsewhere."""
    keys = list(dict.fromkeys(key for run in runs for key in run.record if key not in ("id", "experiment")))
    return [Row(key, "", [run.record.get(key) for run in runs]) for key in keys]


def charts(runs: Sequence[Run]) -> list[Chart]:
    """One chart for each term of the histories. A term on training and on held-out data is one chart, except the objective,
    which need not be the same in both.
    """
    names, words = list(dict.fromkeys(name for run in runs for name in run.curves)), words_in(runs)
    found = []
    for name in names:
        base = name.removeprefix("heldout/")
        if name != base and base != "loss" and base in names:
            continue  # drawn with the training curve
        both = [name] if base != name or base == "loss" else [name, f"heldout/{name}"]
        lines = [
            Line(index, "held-out" if part.startswith("heldout/") else "training", run.curves[part])
            for part in both
            for index, run in enumerate(runs)
            if part in run.curves
        ]
        held_out = {line.run: runs[line.run].floors.get(f"heldout/{base}") for line in lines if line.part == "held-out"}
        found.append(Chart(name, words.curve(name), lines, floors(held_out)))
    found.sort(key=lambda chart: (chart.name in ADMINISTRATIVE, not chart.name.endswith("loss")))
    return [chart for chart in found if any(len(line.curve.steps) > 1 for line in chart.lines)]


def floors(of: Mapping[int, float | None]) -> list[Floor]:
    """The floors of runs that have a held-out line: one where it is the same for all, else to each its own."""
    if len(set(of.values())) == 1:
        (value,) = set(of.values())
        return [] if value is None else [Floor(value)]
    return [Floor(value, run) for run, value in of.items() if value is not None]


@dataclass(frozen=True)
class Shelf:
    """Pictures of one name, those of each run that has one: (index of the run, picture)."""

    name: str
    caption: str
    pictures: list[tuple[int, Any]]


def shelves(found: Sequence[Sequence[Any]], words: Words) -> list[Shelf]:
    """The pictures (or films, or explorers) of each run, by name; the most telling first."""
    every = [(index, picture) for index, pictures in enumerate(found) for picture in pictures]
    names = sorted({picture.name for _, picture in every})
    names.sort(key=lambda name: (words.lead(name), name == "samples_picture"))
    return [
        Shelf(name, words.caption(name), [(index, picture) for index, picture in every if picture.name == name]) for name in names
    ]


def distance(number: Number) -> str | None:
    """How a number stands to what it cannot fall below, in words; None where nothing is to be said."""
    floor = number.beside.get("floor")
    numeric = isinstance(number.value, float | int) and isinstance(floor, float | int)
    if not numeric or not floor:
        return None
    gap = float(number.value) - float(floor)  # type: ignore[arg-type]
    return f"{gap:.3g} above its floor" if gap > 0 else None
