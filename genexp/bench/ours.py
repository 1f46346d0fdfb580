"""An experiment on genexp's own trainer, at the gate."""

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from genexp.article import qualities
from genexp.bench.flops import describe
from genexp.bench.gate import Described, Gate
from genexp.data.base import Batch, Repeating, Stream
from genexp.fit.interrupts import Interrupts
from genexp.fit.loop import fit
from genexp.fit.validation import Watch
from genexp.folder.run_folder import RunFolder
from genexp.machine.device import all_digits, choose_precision, prepare_cpu
from genexp.models.base import GenerativeModel, Terms
from genexp.registry import models
from genexp.seeds import seed_for
from genexp.settings import RunSettings

NEVER = 1_000_000_000
Judged = tuple[float, bool]


def train(data: Any, gate: Gate, settings: RunSettings, quality: str) -> None:
    """Train the model of `settings` on `data`: in a race to the end of its budget, else until the gate stops it."""
    prepare_cpu()
    device, trainer = data_device(data), settings.trainer
    torch.manual_seed(seed_for(settings.seed, "model"))
    model = models.build(settings.model, data.spec).to(device)
    described = _described(model, data.train_stream(trainer.batch_size, 0).next())
    precision = choose_precision(trainer.precision, device)
    gate.describe(replace(described, precision=precision, compiled=trainer.compile))
    if gate.race is None or gate.race.budget is not None:
        endless = {"max_steps": NEVER, "max_epochs": None, "max_seconds": None, "eval_every": NEVER, "checkpoint_every": NEVER}
        trainer = trainer.model_copy(update=endless)
    if gate.race is not None:
        trainer = trainer.model_copy(update={"eval_every": gate.look_every})
    with TemporaryDirectory() as scratch:
        folder = RunFolder.create(settings.experiment, str(Path(scratch) / "run"))
        gate.restart()
        fit(model, GatedData(data, gate), trainer, folder, settings.seed, Interrupts(), None, Judge(gate, data, quality))


def _described(model: GenerativeModel, batch: Batch) -> Described:
    """Of a copy, so that the model itself has not seen a batch."""
    counted = copy.deepcopy(model).train()
    return describe(counted, len(batch.x), lambda: counted.loss(batch)["loss"])


def data_device(data: Any) -> torch.device:
    return data.train.x.device if hasattr(data, "train") else data.device


class GatedData:
    """A data set whose training batches pass the gate."""

    def __init__(self, data: Any, gate: Gate) -> None:
        self._data, self._gate = data, gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def train_stream(self, batch_size: int, seed: int) -> "GatedStream":
        return GatedStream(self._data.train_stream(batch_size, seed), self._gate)


class GatedStream:
    def __init__(self, stream: Stream, gate: Gate) -> None:
        self._stream, self._gate = stream, gate
        self.steps_per_epoch = stream.steps_per_epoch

    def next(self) -> Batch:
        self._gate.step()
        return self._stream.next()

    def prepare(self, reduce: Callable[[torch.Tensor], torch.Tensor | None]) -> None:
        if isinstance(self._stream, Repeating):
            self._stream.prepare(reduce)

    def state_dict(self) -> dict[str, Any]:
        return self._stream.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._stream.load_state_dict(state)


class Judge(Watch):
    """In a race, looks at the averaged model wherever the trainer evaluates.

    What the trainer does there itself, its held-out loss and its best weights, belongs to the look, as in `seconds` of a run.
    """

    def __init__(self, gate: Gate, data: Any, quality: str) -> None:
        self.gate, self.data, self.quality = gate, data, QUALITIES[quality]

    def validate(self, model: GenerativeModel, batch: Batch) -> Terms:
        if self.gate.race is not None:
            self.gate.hold()
        return super().validate(model, batch)

    def observe(self, model: GenerativeModel, batch: Batch, step: int) -> None:
        race = self.gate.race
        if race is not None and (race.budget is None or self.gate.due):
            self.gate.judge(lambda: self.quality(model, self.data))


def _kl(model: Any, data: Any) -> Judged:
    with all_digits(data.device):
        return qualities.kl(model.log_prob, data)


def _neg_elbo(model: Any, data: Any) -> Judged:
    return qualities.mean_over(data.test, lambda x: model.validate(Batch(x))["neg_elbo"], data.test.x.device)


def _leak(model: Any, data: Any) -> Judged:
    return qualities.leak_or_scan(model.sample, data)


QUALITIES: dict[str, Callable[[Any, Any], Judged]] = {
    "kl": _kl,
    "neg_elbo": _neg_elbo,
    "article_loss": qualities.article_loss,
    "leak": _leak,
}
