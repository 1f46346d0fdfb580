"""A table of results for a page of documentation: what was run, what it took, what came out beside what is known of it."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from genexp.compare.comparison import Comparison, Row
from genexp.compare.showing import cell_text
from genexp.compare.table import Table, markdown
from genexp.folder.records import Record
from genexp.printable import command_line
from genexp.summary import BESIDE, number_text

ELSEWHERE = ("run_dir=", "hydra.", "figures.", "data_dir=", "tracking=", "device=")  # of an override: no part of what was run
LONGEST = 4  # metrics of a row, unless others are asked for


def results(comparison: Comparison, columns: Sequence[str] | None = None, dropped: Sequence[str] = ()) -> str:
    """As Markdown: for each row of the comparison its command, its training, a line for each metric; below, where and how often.

    Args:
        columns: the metrics, in this order; None takes the one that a row is judged by, and others that something is known of.
        dropped: metrics to leave out.
    """
    lines, notes = [], []
    for row in comparison.rows:
        named = [name for name in columns if name in row.metrics] if columns else telling(row, comparison)
        chosen = [name for name in named if name not in dropped][: None if columns else LONGEST]
        first = [f"`{command_of(row)}`", training_of(row)]
        lines += [[*(first if index == 0 else ["", ""]), name, *measured(row, name)] for index, name in enumerate(chosen)]
        if (note := circumstances_of(row)) not in notes:
            notes.append(note)
    table = markdown(Table(["`genexp run …`", "training", "", "result", "known"], lines, numeric=[False] * 5))
    return "\n".join([table, "", *(f"{note}." for note in notes)]) + "\n"


def telling(row: Row, comparison: Comparison) -> list[str]:
    """The metric that the row is judged by, then the others that have a headline."""
    names = [
        name for name in row.metrics if name.partition("/")[0] not in BESIDE and comparison.words.headline(name) < float("inf")
    ]
    return sorted(names, key=comparison.words.headline)


def command_of(row: Row) -> str:
    """What was typed after `genexp run`, without where the run was put and, of several, without the seed."""
    leave_out = (*ELSEWHERE, "seed=") if len(row.records) > 1 else ELSEWHERE
    return command_line([word for word in row.records[0].overrides if not word.startswith(leave_out)]) or "(default)"


def training_of(row: Row) -> str:
    """Steps, and the seconds that the CPU computed, or those of the clock where nobody counted."""
    steps, counted = _mean(row.records, "steps"), _mean(row.records, "cpu_seconds_train")
    seconds = counted if counted is not None else _mean(row.records, "seconds_train")
    parts = [] if steps is None else [f"{steps:,.0f} steps"]
    if seconds is not None:
        parts.append(f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s")
        parts[-1] += " of CPU" if counted is not None else ""
    return ", ".join(parts)


def measured(row: Row, name: str) -> tuple[str, str]:
    """The number, and what is known of it."""
    known = [
        f"{kind.replace('_', ' ')} {number_text(row.value(f'{kind}/{name}'))}"
        for kind in BESIDE
        if f"{kind}/{name}" in row.metrics
    ]
    return cell_text(row, name), ", ".join(known)


def circumstances_of(row: Row) -> str:
    """Which seeds, and where it ran."""
    run = row.records[0].run
    seeds = sorted({str(record.config.get("seed", "?")) for record in row.records})
    often = f"seeds {', '.join(seeds)}, mean ± standard deviation" if len(row.records) > 1 else f"seed {seeds[0]}"
    versions = run.get("versions")
    torch = f", torch {versions['torch']}" if isinstance(versions, Mapping) and "torch" in versions else ""
    return f"{often}; {run.get('machine', 'machine unknown')}, {threads_of(run)}, {run.get('device', '?')}{torch}"


def threads_of(run: Mapping[str, Any]) -> str:
    """Among how many threads it computed, in words: `1 thread`."""
    count = run.get("threads", "?")
    return f"{count} thread{'' if count == 1 else 's'}"


def _mean(records: Sequence[Record], name: str) -> float | None:
    values: list[Any] = [record.metrics.get(name) for record in records]
    known = [float(value) for value in values if isinstance(value, int | float)]
    return fmean(known) if known else None
