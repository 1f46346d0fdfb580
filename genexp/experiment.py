"""One run, from configuration to folder: build → fit → evaluate → draw."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from genexp import checkpoint, trainer
from genexp.artifacts import RunFolder
from genexp.config import Composed, compose_stored
from genexp.device import autocast, choose_device, choose_precision
from genexp.progress import Interrupted
from genexp.registry import datasets, models, studies
from genexp.settings import RunSettings
from genexp.studies.base import Evaluation, Subject
from genexp.summary import next_steps, results_table

LIBRARIES = ("torch", "numpy", "hydra-core", "omegaconf", "torchdiffeq", "pillow")


def run(composed: Composed, run_dir: str | None = None) -> RunFolder:
    """Train, evaluate and draw what `composed` describes, in a new folder."""
    settings = composed.settings
    subject = build(settings)
    folder = RunFolder.create(settings.experiment, run_dir or settings.run_dir)
    folder.write_config(settings.model_dump(), composed.overrides)
    return _carry_out(subject, folder, state=None)


def resume(path: Path, overrides: Sequence[str] = ()) -> RunFolder:
    """Go on with the run in `path` from its last checkpoint, exactly as if it had never stopped."""
    composed = compose_stored(path, overrides)
    state = checkpoint.load(path / "checkpoints" / "last.pt")
    subject = build(composed.settings)
    folder = RunFolder(path)
    folder.cut_history(state["position"]["step"])
    folder.write_config(composed.settings.model_dump(), composed.overrides)
    return _carry_out(subject, folder, state)


def build(settings: RunSettings) -> Subject:
    """Data and model on the device, the seed set: everything random follows from it."""
    device = choose_device(settings.device)
    torch.set_flush_denormal(True)  # denormal numbers make a training step several times slower on CPUs
    torch.manual_seed(settings.seed)
    data = datasets.build(settings.dataset, Path(settings.data_dir)).to(device)
    model = models.build(settings.model, data.spec).to(device)
    return Subject(model, data, settings, device)


def _carry_out(subject: Subject, folder: RunFolder, state: dict[str, Any] | None) -> RunFolder:
    """Fit, evaluate and draw inside `folder`, whose run.json says at any time how it stands."""
    started = time.perf_counter()
    folder.update(status="running", error=None, **_circumstances(subject))
    try:
        position, evaluation = _fit_and_evaluate(subject, folder, state)
    except (Interrupted, KeyboardInterrupt):
        folder.update(status="interrupted")
        folder.say(f"stopped; go on with: genexp resume {folder.path}")
        raise
    except BaseException as failure:
        folder.update(status="failed", error=f"{type(failure).__name__}: {failure}")
        raise
    folder.update(status="finished", steps=position.step, seconds=round(time.perf_counter() - started, 2))
    folder.say(results_table(evaluation.metrics))
    folder.say(next_steps(folder, subject.settings.experiment))
    return folder


def _fit_and_evaluate(subject: Subject, folder: RunFolder, state: dict[str, Any] | None) -> tuple[trainer.Position, Evaluation]:
    settings, model = subject.settings, subject.model
    study = studies[subject.data.study]()
    parameters = sum(weights.numel() for weights in model.parameters())
    folder.say(f"{settings.experiment}   {subject.data.describe()}")
    folder.say(f"{settings.model['name']}, {parameters:,} parameters, on {subject.device}, seed {settings.seed} → {folder.path}")
    position = trainer.fit(model, subject.data, settings.trainer, folder, settings.seed, state, partial(study.validate, subject))
    folder.update(steps=position.step)
    folder.say(f"trained {position.step} steps in {position.seconds:.1f} s; evaluating")
    with autocast(subject.device, choose_precision(settings.trainer.precision, subject.device)):
        evaluation = study.evaluate(subject)
        training = {
            "steps": position.step,
            "best_step": position.best_step,
            "seconds_train": round(position.seconds, 3),
            "samples_per_second": round(position.step * settings.trainer.batch_size / max(position.seconds, 1e-9), 1),
            "parameters": parameters,
            "heldout_loss": position.best_loss,
        }
        evaluation.metrics = {**evaluation.metrics, **training}
        folder.write_metrics(evaluation.metrics)
        folder.save_samples(evaluation.samples, study.picture(evaluation))
        if settings.figures.enabled:
            folder.say("drawing")
            study.draw(subject, evaluation, folder)
    return position, evaluation


def _circumstances(subject: Subject) -> dict[str, Any]:
    """What a result may depend on besides the configuration."""
    return {
        "experiment": subject.settings.experiment,
        "seed": subject.settings.seed,
        "device": str(subject.device),
        "precision": choose_precision(subject.settings.trainer.precision, subject.device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES} | {"genexp": version("genexp")},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "git_commit": _git_commit(),
        "command": " ".join(sys.argv),
    }


def _git_commit() -> str | None:
    """The commit of the code that runs, when it runs from a checkout."""
    try:
        question = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
        answer = subprocess.run(question, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None
