"""What comes after training: samples per second, and the seconds of measuring and drawing in a default run."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from genexp.bench.cases import Case
from genexp.bench.gate import Channel
from genexp.bench.processes import ask

STEPS = ("trainer.max_steps=100", "trainer.max_epochs=null", "trainer.eval_every=50")


@dataclass(frozen=True)
class After:
    """Of a run of the case's experiment with its default measurements and pictures, but with few steps of training.

    `default_steps` is how many a whole run trains for; where that is not set in steps, None.
    """

    experiment: str
    samples_per_second: float
    seconds_measuring: float
    seconds_drawing: float
    default_steps: int | None


def measure_after(case: Case, overrides: Sequence[str]) -> After:
    """In a process of its own."""
    return ask(_run, case, tuple(overrides))


def _run(channel: Channel, case: Case, overrides: tuple[str, ...]) -> None:
    import torch

    from genexp import experiment
    from genexp.config import compose
    from genexp.runs.trained import open_run

    name = case.experiment
    if not case.has_data(Path(compose([f"experiment={name}"]).settings.data_dir)):
        assert case.instead is not None
        name = case.instead
    whole = compose([f"experiment={name}", *overrides]).settings
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "run"
        experiment.run(compose([f"experiment={name}", *STEPS, *overrides, f"run_dir={path}"]))
        record = json.loads((path / "run.json").read_text())
        model = open_run(path).model
        size = whole.evaluation.batch_size
        model.sample(size)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < 2:
            model.sample(size)
            count += size
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        rate = count / (time.perf_counter() - began)
    channel.send(After(name, rate, record["seconds_measuring"], record["seconds_drawing"], whole.trainer.max_steps))
