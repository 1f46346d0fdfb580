"""`genexp evaluate`: a trained run measured again."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from genexp.artifacts import finite
from genexp.catalogue import entries
from genexp.errors import UserError, unknown
from genexp.files import Replacing
from genexp.machine.circumstances import data_record
from genexp.machine.device import autocast, choose_precision
from genexp.paths import check_new
from genexp.registry import datasets, studies
from genexp.runs.data_digests import differing_data, read_otherwise
from genexp.runs.records import read_metrics, read_run
from genexp.runs.trained import Trained, Which, open_run
from genexp.studies.base import Evaluation, Metric, Study, Subject
from genexp.summary import results_table
from genexp.training.validation import heldout_batch, same_noise

OF_TRAINING = ("steps", "best_step", "seconds_train", "samples_per_second")  # facts of the training, not of the model


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
    evaluation = measure(studies[subject.data.study](subject), trained.step)
    metrics = evaluation.metrics
    if out is not None:
        with Replacing(out) as (temporary, _):
            temporary.write_text(json.dumps(finite(metrics), indent=2) + "\n")
    said = [f"{path}, {which} checkpoint of step {trained.step}: {subject.data.describe()}", results_table(metrics), ""]
    said += [f"warning: {note}" for note in evaluation.notes]
    if data is None and (otherwise := data_then_and_now(path, subject)) is not None:
        said.append(f"{otherwise}; numbers may differ for that reason")
    if data is None and not overrides and which == "best":
        said.append(compared(finite(metrics), read_metrics(path)))
    return "\n".join(said)


def data_then_and_now(path: Path, subject: Subject) -> str | None:
    """How the data of `subject` differ from those that the run in `path` was trained on, in one line; None where they do not."""
    record, now = read_run(path), data_record(subject)
    return differing_data(record, now) or read_otherwise(record, now)


def measure(study: Study, step: int) -> Evaluation:
    """All that a study finds of a model with the weights of `step`, and what is asked of every model."""
    subject, settings = study.subject, study.subject.settings
    with autocast(subject.device, choose_precision(settings.trainer.precision, subject.device)):
        evaluation = study.evaluate()
        with same_noise(subject.device), torch.no_grad():
            heldout = study.validate(subject.model, heldout_batch(subject.data, settings.trainer.eval_size, settings.seed))
    evaluation.metrics |= {"heldout_loss": float(heldout["loss"]), "best_step": step, "parameters": parameters(subject)}
    return evaluation


def parameters(subject: Subject) -> int:
    """How many numbers the model has to learn."""
    return sum(weights.numel() for weights in subject.model.parameters())


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
    if getattr(trained.model, "conditional", False) and len(data.spec.classes) != len(trained.spec.classes):
        raise UserError(f"--data {name}: it has {len(data.spec.classes)} classes, and this model {len(trained.spec.classes)}")
    return data


def compared(metrics: Mapping[str, Metric], before: Mapping[str, Metric]) -> str:
    """In one line: whether the numbers are those of metrics.json, which is not there while a run trains (on)."""
    if not before:
        return "nothing to compare them with: the run has not come to its end, and has no metrics.json"
    common = [name for name in metrics if name in before and name not in OF_TRAINING]
    other = [name for name in common if metrics[name] != before[name]]
    if not common:
        return "metrics.json has none of these numbers"
    if not other:
        return f"all {len(common)} numbers are the same as at the end of training"
    shown = "; ".join(f"{name} was {before[name]}" for name in other[:5])
    return f"{len(common) - len(other)} of {len(common)} numbers are the same as at the end of training; {shown}"
