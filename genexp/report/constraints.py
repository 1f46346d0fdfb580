"""The five constraints on a generative model, each by the one number of a run that stands for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from genexp.measures.record import CONSTRAINTS
from genexp.report.gather import Number, Run

OF_AN_EARLIER_VERSION = "no number of this run stands for it"


@dataclass(frozen=True)
class Standing:
    """The number of one run that stands for a constraint; or why there is none."""

    number: Number | None
    reason: str


@dataclass(frozen=True)
class Constraint:
    """One of the five: what it asks for, and a cell for each run."""

    name: str
    asks: str
    cells: list[Standing]


def constraints(runs: Sequence[Run]) -> list[Constraint]:
    """All five; none where no run has a number for any."""
    found = [Constraint(name, asks, [standing(run, name) for run in runs]) for name, asks in CONSTRAINTS.items()]
    return found if any(cell.number for each in found for cell in each.cells) else []


def standing(run: Run, constraint: str) -> Standing:
    name = run.words.standing(constraint, {name: number.value for name, number in run.numbers.items()})
    return Standing(None if name is None else run.numbers[name], run.missing.get(constraint, OF_AN_EARLIER_VERSION))
