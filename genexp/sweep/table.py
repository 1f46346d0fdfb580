"""What a sweep's folder shows: sweep.csv and sweep.png, always as far as the sweep is."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genexp.compare.selection import as_text
from genexp.compare.table import comma_separated
from genexp.errors import UserError
from genexp.figures.sweep import Line, metric_against
from genexp.files import Replacing
from genexp.folder.records import Record, read_record
from genexp.runs.words import words_of
from genexp.summary import BESIDE
from genexp.sweep.plan import Plan

CSV, PNG = "sweep.csv", "sweep.png"
TRAIN = "train_"  # before the name of a metric: the same on the training examples


def records(plan: Plan) -> list[Record | None]:
    """The run of each job, or None where there is none yet."""
    found: list[Record | None] = []
    for number in range(len(plan.jobs)):
        try:
            found.append(read_record(plan.folder(number)))
        except UserError:
            found.append(None)
    return found


def write_table(plan: Plan) -> None:
    """sweep.csv, a line for each job, and sweep.png, the metric of the finished ones, as they are now."""
    found, swept = records(plan), plan.swept
    with Replacing(plan.root / CSV) as (temporary, _):
        temporary.write_bytes(table(found, swept).encode())
    picture = draw(found, swept, plan.settings.metric)
    if picture is not None:
        with Replacing(plan.root / PNG) as (temporary, _):
            picture.savefig(temporary, format="png", dpi=120)


def table(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]]) -> str:
    """CSV: number and status of each job, the values that were swept, its metrics, and what went wrong."""
    names = list(dict.fromkeys(name for record in found if record for name in record.metrics))
    rows = []
    for number, record in enumerate(found):
        values = [_plain(column[number]) for column in swept.values()]
        metrics = [record.metrics.get(name) if record else None for name in names]
        error = record.run.get("error") if record else None
        rows.append([number, record.status if record else "not started", *values, *metrics, error])
    return comma_separated(["job", "status", *swept, *names, "error"], rows)


def draw(found: Sequence[Record | None], swept: Mapping[str, Sequence[Any]], wanted: str | None) -> Any:
    """The picture, or None while there is nothing to see: no number of that name, or nothing that was swept."""
    finished = {number: record for number, record in enumerate(found) if record and record.status == "finished"}
    there = {number: record.metrics for number, record in finished.items()}
    metric = chosen_metric([*finished.values()], wanted) or ""
    heights = {number: float(metrics[metric] or 0) for number, metrics in there.items() if _is_number(metrics.get(metric))}
    if not heights or not swept:
        return None
    last = {repr([column[number] for column in swept.values()]): number for number in heights}  # of jobs that are the same
    heights = {number: heights[number] for number in last.values()}
    along = x_key(swept)
    others = [key for key in swept if key not in (along, "seed")]
    groups: dict[str, list[int]] = {}
    for number in heights:
        label = ", ".join(f"{short(key, swept)}={as_text(swept[key][number])}" for key in others)
        groups.setdefault(label, []).append(number)
    lines = [
        _line(label, numbers, swept[along], heights) for label, numbers in sorted(groups.items(), key=lambda group: group[1])
    ]
    on_training = {number: there[number].get(f"{TRAIN}{metric}") for number in heights}
    if len(groups) == 1 and all(map(_is_number, on_training.values())):
        numbers = [*heights]
        lines = [_line("test", numbers, swept[along], heights), _line("train", numbers, swept[along], on_training)]
    known = [metrics.get(f"floor/{metric}") for metrics in there.values()]
    floors = {float(value) for value in known if isinstance(value, int | float)}
    return metric_against(lines, along, metric, floors.pop() if len(floors) == 1 else None)


def _line(label: str, numbers: Sequence[int], values: Sequence[Any], heights: Mapping[int, Any]) -> Line:
    """The heights of some jobs over what was swept."""
    x = [values[number] if all(map(_is_number, values)) else as_text(values[number]) for number in numbers]
    return Line(label, np.array(x), np.array([float(heights[number]) for number in numbers]))


def chosen_metric(found: Sequence[Record], wanted: str | None) -> str | None:
    """The metric that is drawn: the one wanted, else what the runs are judged by."""
    if wanted is not None:
        return wanted
    names = dict.fromkeys(name for record in found for name, value in record.metrics.items() if _is_number(value))
    return words_of(found).first(name for name in names if name.partition("/")[0] not in BESIDE)


def x_key(swept: Mapping[str, Sequence[Any]]) -> str:
    """What is drawn along x: the first swept key that has numbers, else the first; the seed only where there is no other."""
    keys = [key for key in swept if key != "seed"] or list(swept)
    return next((key for key in keys if all(map(_is_number, swept[key]))), keys[0])


def short(key: str, swept: Mapping[str, Any]) -> str:
    last = key.rpartition(".")[2]
    return last if [other.rpartition(".")[2] for other in swept].count(last) == 1 and last != "name" else key


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    return value if _is_number(value) else as_text(value)
