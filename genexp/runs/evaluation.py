"""`genexp evaluate`: a trained run measured again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from genexp.config.catalogue import entries
from genexp.errors import UserError, unknown
from genexp.files import Replacing
from genexp.folder.data_digests import differing_data, read_otherwise
from genexp.folder.records import read_metrics, read_run
from genexp.folder.run_folder import finite
from genexp.measures.record import Metric
from genexp.measures.take import take
from genexp.paths import check_new
from genexp.registry import datasets
from genexp.runs.circumstances import data_record
from genexp.runs.trained import Trained, Which, open_run
from genexp.subject import Subject
from genexp.summary import results_table


def evaluate(
    path: Path,
    which: Which = "best",
    data: str | None = None,
    device: str | None = None,
    overrides: Sequence[str] = (),
    out: Path | None = None,
) -> str:
    """Measure the run in `path` and return what to say: the numbers beside their floors, and whether they are as before."""
    if out is not None:
        if out.suffix != ".json":
            raise UserError(f"--out {out}: must end in .json")
        check_new(out)
    trained = open_run(path, which, device, tuple(overrides))
    subject = trained.subject(None if data is None else other_data(trained, data))
    subject.training = {"best_step": trained.step}
    warnings: list[str] = []
    with subject.model.remembering():
        taken = take(subject, warnings.append)
    metrics = taken.metrics
    if out is not None:
        with Replacing(out) as (temporary, _):
            temporary.write_text(json.dumps(finite(metrics), indent=2) + "\n")
    said = [
        f"{path}, {which} checkpoint of step {trained.step}: {subject.data.describe()}",
        results_table(metrics, taken.words),
        *warnings,
        "",
    ]
    if data is None and (otherwise := data_then_and_now(path, subject)) is not None:
        said.append(f"{otherwise}; numbers may differ for that reason")
    if data is None and not overrides and which == "best":
        said.append(compared(finite(taken.timeless()), read_metrics(path)))
    return "\n".join(said)


def data_then_and_now(path: Path, subject: Subject) -> str | None:
    """How the data of `subject` differ from those that the run in `path` was trained on, in one line; None where they do not."""
    record, now = read_run(path), data_record(subject)
    return differing_data(record, now) or read_otherwise(record, now)


def other_data(trained: Trained, name: str) -> Any:
    """The data set `name` in its default settings. UserError where the model cannot take its examples."""
    if name not in entries("datasets"):
        raise unknown("dataset", name, entries("datasets"))
    try:
        data = datasets.build({"name": name}, Path(trained.settings.data_dir)).to(trained.device)
    except UserError as failure:
        if "dataset." not in failure.message:
            raise
        raise UserError(f"--data {name}: {failure.message}", hint="a data set is taken in its default settings") from None
    if data.spec.shape != trained.spec.shape:
        ours, theirs = ("×".join(map(str, spec.shape)) for spec in (trained.spec, data.spec))
        raise UserError(f"--data {name}: its examples are {theirs}, and this model's {ours}")
    if "classes" in trained.model.can and len(data.spec.classes) != len(trained.spec.classes):
        raise UserError(f"--data {name}: it has {len(data.spec.classes)} classes, and this model {len(trained.spec.classes)}")
    return data


def compared(metrics: Mapping[str, Metric], before: Mapping[str, Metric]) -> str:
    """In one line: whether the numbers are those of metrics.json, which is not there while a run trains (on)."""
    if not before:
        return "nothing to compare them with: the run has not come to its end, and has no metrics.json"
    common = [name for name in metrics if name in before]
    other = [name for name in common if metrics[name] != before[name]]
    if not common:
        return "metrics.json has none of these numbers"
    if not other:
        return f"all {len(common)} numbers are the same as at the end of training"
    shown = "; ".join(f"{name} {change(before[name], metrics[name])}" for name in other[:5])
    return f"{len(common) - len(other)} of {len(common)} numbers are the same as at the end of training; {shown}"


def change(before: Metric, now: Metric) -> str:
    """From what to what, in as few digits as tell them apart, and by how much of it."""
    if not isinstance(before, int | float) or not isinstance(now, int | float):
        return f"was {before} and is {now}"
    digits = next((few for few in range(4, 17) if f"{before:.{few}g}" != f"{now:.{few}g}"), 17)
    relative = f" (relative {(now - before) / abs(before):+.1e})" if before else ""
    return f"was {before:.{digits}g} and is {now:.{digits}g}{relative}"
