"""What comes after training: samples per second, and the seconds of measuring and drawing in a default run."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from genexp.bench.cases import Case, Contender
from genexp.bench.gate import Channel
from genexp.bench.processes import ask
from genexp.bench.worker import settings_of

STEPS = ("trainer.max_steps=100", "trainer.max_epochs=null", "trainer.eval_every=50")
SAMPLED_FOR = 2.0  # seconds


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
    from genexp.config.composition import Composed
    from genexp.machine.device import wait_for
    from genexp.runs import experiment
    from genexp.runs.trained import open_run

    ours = Contender("a default run", experiment=case.experiment)
    whole = settings_of(case, ours, overrides)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "run"
        short = settings_of(case, ours, (*STEPS, *overrides, f"run_dir={path}"))
        experiment.run(Composed(short, overrides))
        record = json.loads((path / "run.json").read_text())
        model = open_run(path).model
        size = whole.evaluation.batch_size
        model.sample(size)
        wait_for(model.device)
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < SAMPLED_FOR:
            model.sample(size)
            count += size
        wait_for(model.device)
        rate = count / (time.perf_counter() - began)
    channel.send(
        After(case.experiment, rate, record["seconds_measuring"], record.get("seconds_drawing", 0.0), whole.trainer.max_steps)
    )
