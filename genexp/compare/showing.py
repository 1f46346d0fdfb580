"""A comparison as text: for the terminal, as Markdown, as CSV."""

import math
from collections.abc import Sequence
from typing import Any

from genexp.compare.comparison import Comparison, Row, Spread
from genexp.compare.selection import as_text as setting_text
from genexp.compare.table import Table, comma_separated, markdown, text
from genexp.summary import BESIDE, number_text

ROUNDING = 1e-12  # of a mean: what differs by less differs by the order of a sum
LEAST_METRICS = 3  # with room for fewer, a table is set on its side


def as_text(comparison: Comparison, columns: Sequence[str], width: int | None, exact: bool = False) -> str:
    """For a terminal `width` characters wide (None: any). Columns without room are named, unless it must be `exact`ly these."""
    table, columns = _table(comparison, columns, exact)
    metrics = sum(key in comparison.metrics for key in columns)
    needed = None if exact else len(columns) - metrics + min(LEAST_METRICS, metrics)
    body, left = text(table, width, needed)
    notes = _notes(comparison, columns, exact)
    if left:
        notes.append(f"no room for {', '.join(left)}: --columns chooses, --csv has everything")
    return "\n".join([body, *notes]) + "\n"


def as_markdown(comparison: Comparison, columns: Sequence[str], exact: bool = False) -> str:
    """As GitHub shows it."""
    table, columns = _table(comparison, columns, exact)
    notes = _notes(comparison, columns, exact)
    return "\n".join([markdown(table), *(f"\n{note}" for note in notes)]) + "\n"


def as_csv(comparison: Comparison, columns: Sequence[str] | None = None) -> str:
    """Every number in full, a mean beside its standard deviation (`leak`, `leak/sd`) and, where that is another number than `n`,
    of how many runs it is (`leak/n`); `run` is the path of the first run.

    Args:
        columns: which ones; None takes `csv_columns`.
    """
    header, cells = [], []
    for key in csv_columns(comparison) if columns is None else columns:
        own = [str(row.records[0].path) if key == "run" else row.cell(key) for row in comparison.rows]
        header.append(key)
        cells.append([_exact(row.value(key)) if key != "run" else cell for row, cell in zip(comparison.rows, own, strict=True)])
        if any(isinstance(cell, Spread) and cell.sd != 0 for cell in own):
            header.append(f"{key}/sd")
            cells.append([_exact(cell.sd) if isinstance(cell, Spread) else None for cell in own])
        if any(isinstance(cell, Spread) and cell.n != row.n for row, cell in zip(comparison.rows, own, strict=True)):
            header.append(f"{key}/n")
            cells.append([cell.n if isinstance(cell, Spread) else None for cell in own])
    return comma_separated(header, list(zip(*cells, strict=True)))


def csv_columns(comparison: Comparison, constant: bool = False) -> list[str]:
    """The settings that differ, or all of them where those are wanted that are `constant` too, and every metric."""
    settings = comparison.settings if constant else comparison.differing()
    return ["run", "n", "status", *settings, *comparison.metrics]


def _table(comparison: Comparison, columns: Sequence[str], exact: bool) -> tuple[Table, list[str]]:
    """The table, and its columns: what is known of a metric is a foot where it is the same for all."""
    known = _feet(comparison, columns, exact)
    columns = [key for key in columns if key not in {name for names in known.values() for name in names.values()}]
    feet = []
    for kind, names in known.items():
        cells = [kind.replace("_", " "), *(_metric_of(comparison, names.get(key)) for key in columns[1:])]
        feet.append(cells)
    rows = [[_cell(row, key, comparison) for key in columns] for row in comparison.rows]
    numeric = [
        key not in ("run", "status") and all(not isinstance(row.value(key), str) for row in comparison.rows) for key in columns
    ]
    return Table(_headers(columns), rows, feet, numeric), columns


def _feet(comparison: Comparison, columns: Sequence[str], exact: bool) -> dict[str, dict[str, str]]:
    """{kind: {metric: the name of what is known of it}} where that is one number for all, and no column by demand."""
    constants = set(comparison.constants()) - set(columns if exact else ())
    found = {kind: {key: f"{kind}/{key}" for key in columns if f"{kind}/{key}" in constants} for kind in BESIDE}
    return {kind: names for kind, names in found.items() if names}


def _notes(comparison: Comparison, columns: Sequence[str], exact: bool) -> list[str]:
    """What stands below a table: the metrics that are the same for all, and what ± means."""
    notes = []
    constants = comparison.constants()
    same = [name for name in constants if name not in columns and name.partition("/")[0] not in BESIDE]
    same = [name for name in same if any(row.value(name) is not None for row in comparison.rows)]
    if same and not exact and len(comparison.rows) > 1:
        notes.append(f"same for all: {', '.join(f'{name} {_metric_of(comparison, name)}' for name in same)}")
    if any(len(row.records) > 1 for row in comparison.rows):
        notes.append("mean ± sample standard deviation over n seeds; --each shows every run")
    if repeated := sum(row.repeated for row in comparison.rows):
        notes.append(f"left out: {repeated} that repeat a seed; --each shows every run")
    return notes


def cell_text(row: Row, key: str) -> str:
    """A metric of a row: mean ± sd, or the number of its single run."""
    cell = row.cell(key)
    return spread_text(cell, row.n) if isinstance(cell, Spread) else number_text(cell)


def _cell(row: Row, key: str, comparison: Comparison) -> str:
    if key in comparison.settings:
        return setting_text(row.cell(key)) if key in row.settings else "—"
    return cell_text(row, key)


def _metric_of(comparison: Comparison, name: str | None) -> str:
    """A metric that is the same for all, once."""
    if name is None:
        return ""
    cell = next(row.metrics[name] for row in comparison.rows if name in row.metrics)
    return number_text(cell.mean if isinstance(cell, Spread) else cell)


def spread_text(spread: Spread, runs: int) -> str:
    """mean ± sd with two digits of the latter, and of how many runs where not of as many as the row says."""
    few = f" ({spread.n})" if spread.n != runs else ""
    if math.isnan(spread.sd) or spread.sd <= ROUNDING * abs(spread.mean):
        return number_text(spread.mean) + few
    decimals = 1 - math.floor(math.log10(spread.sd))
    if decimals > 4 and abs(spread.mean) < 1e-3:
        return f"{spread.mean:.1e} ± {spread.sd:.1e}{few}"
    return f"{spread.mean:,.{max(decimals, 0)}f} ± {spread.sd:,.{max(decimals, 0)}f}{few}"


def _headers(columns: Sequence[str]) -> list[str]:
    """Keys without their section where that leaves no doubt (`lr`); `model.name` and `figures.enabled` keep it; the name of a
    part is called as the part.
    """
    last = [(key.removesuffix(".name") if key.count(".") > 1 else key).rpartition(".")[2] for key in columns]
    return [
        short if last.count(short) == 1 and short not in ("name", "enabled") else key
        for key, short in zip(columns, last, strict=True)
    ]


def _exact(value: Any) -> Any:
    if isinstance(value, bool | list | tuple):
        return setting_text(value)
    return None if isinstance(value, float) and math.isnan(value) else value
