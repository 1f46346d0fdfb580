"""Runs beside each other by the five constraints on a generative model, each by the one number that stands for it."""

from collections.abc import Mapping
from typing import Any

from genexp.compare.comparison import Comparison, Row, Spread
from genexp.compare.showing import spread_text
from genexp.compare.table import Table
from genexp.measures.record import CONSTRAINTS
from genexp.summary import BESIDE, number_text

LONGEST = 200  # characters of a reason


def by_constraints(comparison: Comparison) -> tuple[Table, list[str]]:
    """The table; and below it, where a cell is a dash, why: as the run says it."""
    cells = [[row.label, *(_cell(comparison, row, constraint) for constraint in CONSTRAINTS)] for row in comparison.rows]
    reasons = dict.fromkeys(
        f"{constraint} —: {reason}"
        for row in comparison.rows
        for constraint, reason in reasons_of(row.records[0].run).items()
        if comparison.words.standing(constraint, row.metrics) is None
    )
    return Table(["run", *CONSTRAINTS], cells, numeric=[False] * (1 + len(CONSTRAINTS))), [*reasons]


def _cell(comparison: Comparison, row: Row, constraint: str) -> str:
    """Its number, what it is called, and what is known beside it."""
    name = comparison.words.standing(constraint, row.metrics)
    if name is None:
        return "—"
    known = [(kind, row.value(f"{kind}/{name}")) for kind in BESIDE if row.value(f"{kind}/{name}") is not None]
    beside = f" ({known[0][0].replace('_', ' ')} {number_text(known[0][1])})" if known else ""
    cell = row.cell(name)
    return f"{spread_text(cell, row.n) if isinstance(cell, Spread) else number_text(cell)} {name}{beside}"


def reasons_of(run: Mapping[str, Any]) -> dict[str, str]:
    """What a run.json says of constraints that no number stands for: lines of text, or nothing."""
    words = run.get("words")
    said = words.get("missing") if isinstance(words, dict) else None
    said = said if isinstance(said, dict) else {}
    return {name: said[name][:LONGEST] for name in CONSTRAINTS if isinstance(said.get(name), str)}
