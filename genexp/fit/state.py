"""The state of a training: how it is saved, restored and judged."""

import math
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.errors import UserError, unknown
from genexp.fit.base import Fitter
from genexp.fit.validation import Watch, same_noise
from genexp.folder import checkpoint
from genexp.folder.records import read_plugins
from genexp.folder.run_folder import RunFolder
from genexp.machine.device import autocast, choose_precision
from genexp.machine.distributed import gathered, mean_over_ranks, world
from genexp.machine.launch import typed, with_plugins
from genexp.settings import TrainerSettings


@dataclass
class Position:
    """Where training stands: steps, and the `examples` they took (a small set has fewer than a batch asks for); `seconds` is
    training time, and `cpu_seconds` what the CPU computed in it; `best` the lowest monitored value, and where it was seen.
    """

    step: int = 0
    examples: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    best: float = math.inf
    best_step: int = 0
    best_loss: float = math.inf
    evaluated_at: int = -1


class Training:
    """Everything a training depends on from one step to the next."""

    def __init__(
        self,
        fitter: Fitter,
        settings: TrainerSettings,
        folder: RunFolder,
        watch: Watch,
    ) -> None:
        self.fitter, self.settings, self.folder, self.watch = fitter, settings, folder, watch
        self.model, self.device = fitter.trained, fitter.trained.device
        self.position = Position()
        self.window = LossWindow()

    def save(self) -> None:
        """checkpoints/last.pt; refused when something in it is not finite, so that the last one stays good."""
        self.check_finite()
        randomness = gathered(checkpoint.random_state(self.device))
        for name, weights in self.model.named_parameters():
            if not torch.isfinite(weights).all():
                raise self._diverged(self.position.step, f"the weights {name} are")
        self.folder.save_checkpoint("last", self._state(randomness))

    @contextmanager
    def rescued(self) -> Iterator[None]:
        """Where the run folder cannot be written any more, the state goes into the system's folder for temporary files."""
        try:
            yield
        except OSError as failure:
            raise self._rescue(failure) from failure

    def _rescue(self, failure: OSError) -> UserError:
        """Save the state elsewhere; what to say of it."""
        why = f"{failure.filename or self.folder.path}: {(failure.strerror or 'cannot be written').lower()}"
        if world().size > 1:
            return UserError(f"{why}; {self._last()}")
        self.position.evaluated_at = -1  # if that is what failed, it is done again
        try:
            kept = _safe_place(self.folder.id) / "last.pt"
        except OSError:
            return UserError(f"{why}; {self._last()}")
        try:
            checkpoint.save(kept, self._state([checkpoint.random_state(self.device)]))
        except (OSError, UserError):
            shutil.rmtree(kept.parent, ignore_errors=True)
            return UserError(f"{why}; {self._last()}")
        back = shlex.join(["mv", str(kept), str(self.folder.path / "checkpoints" / "last.pt")])
        again = typed(["resume", *with_plugins(read_plugins(self.folder.path)), str(self.folder.path)])
        return UserError(
            f"{why}; the state of step {self.position.step} is kept in {kept}",
            hint=f"when there is room again: {back}; {again}",
        )

    def _state(self, randomness: list[dict[str, Any]]) -> dict[str, Any]:
        """All that `restore` needs; `randomness` of every process."""
        return {
            "position": vars(self.position),
            "model": self.model.state_dict(),
            "stream": self.fitter.stream.state_dict(),
            **self.fitter.state_dict(),
            "window": self.window.terms,
            "watch": self.watch.state_dict(),
            "random": randomness[0],
            "random_of_others": randomness[1:],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Put everything back as `save` found it. A best.pt of a later step belongs to a future that is forgotten.

        UserError where the state is not one of this model and these settings.
        """
        try:
            self._restore(state)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError):
            last = self.folder.path / "checkpoints" / "last.pt"
            raise UserError(f"{last} does not fit the run's config.yaml", hint=checkpoint.CHANGED) from None

    def _restore(self, state: dict[str, Any]) -> None:
        position = state["position"]
        taken = position["step"] * self.settings.batch_size  # as far as checkpoints tell that count no examples
        self.position = Position(**{"examples": taken, **position})
        self.model.load_state_dict(state["model"])
        self.fitter.load_state_dict(state)
        self.fitter.stream.load_state_dict(state["stream"])
        self.window.restore(state["window"], self.device)
        self.watch.load_state_dict(state["watch"])
        for randomness in random_states(state)[world().rank :][:1]:
            checkpoint.set_random_state(randomness, self.device)
        best = self.folder.checkpoints / "best.pt"
        if not best.exists() or checkpoint.load(best)["step"] != self.position.best_step:
            self.position.best = math.inf

    @torch.no_grad()
    def evaluate(self, heldout: Batch, seconds: float) -> float:
        """The held-out loss, always with the same random numbers; checkpoints/best.pt when what is monitored is lowest yet
        (or always, where the last weights are kept).
        """
        self.check_finite()
        position, terms = self.position, self._validate(heldout, observe=True)
        position.evaluated_at = position.step
        monitor = self.settings.monitor or self.watch.monitor
        value = terms[monitor]
        if not math.isfinite(value):
            raise self._diverged(position.step, f"the held-out {monitor} is {value},")
        named = {f"heldout/{name}": value for name, value in terms.items()}
        self.folder.log_history({"step": position.step, "seconds": seconds, "cpu_seconds": position.cpu_seconds, **named})
        if value < position.best or self.fitter.keeps_last:
            position.best, position.best_step, position.best_loss = value, position.step, terms["loss"]
            weights = self.fitter.model.state_dict()
            self.folder.save_checkpoint("best", {"step": position.step, "model": weights, **named})
        return terms["loss"]

    def check_monitor(self, heldout: Batch) -> None:
        """UserError when validation has no term called `trainer.monitor`."""
        few = heldout[:8]
        terms, monitor = self._validate(few), self.settings.monitor
        if monitor is not None and monitor not in terms:
            raise unknown("trainer.monitor", monitor, terms)

    def losses(self) -> dict[str, float]:
        """The mean of every loss term since the last call."""
        self.check_finite()
        return self.window.empty()

    def check_finite(self) -> None:
        """UserError that names the first step whose loss is not finite."""
        bad = self.window.first_not_finite()
        if bad is not None:
            step = self.position.step - len(self.window.terms) + 1 + bad
            advice = self.fitter.first_advice if step == 1 else None
            raise self._diverged(step, f"the loss is {float(self.window.terms[bad]['loss'])},", advice)

    @torch.no_grad()
    def _validate(self, batch: Batch, observe: bool = False) -> dict[str, float]:
        model = self.fitter.model
        model.eval()
        with same_noise(self.device), autocast(self.device, choose_precision(self.settings.precision, self.device)):
            terms = {name: float(value) for name, value in self.watch.validate(model, batch).items()}
            if observe:
                self.watch.observe(model, batch, self.position.step)
        self.model.train()
        return terms

    def _diverged(self, step: int, what: str, advice: str | None = None) -> UserError:
        return UserError(f"step {step}: {what} not finite; {self._last()}", hint=advice or self.fitter.advice)

    def _last(self) -> str:
        """What there is to go on from."""
        last = self.folder.path / "checkpoints" / "last.pt"
        if not last.exists():
            return "no checkpoint had been written yet"
        return f"the last good checkpoint is of step {checkpoint.load(last)['position']['step']}: {last}"


def _safe_place(name: str) -> Path:
    """A new folder of this user alone among the system's temporary files: it holds no rescue of another run that is called
    `name` too, and nobody can have planted a link in it.
    """
    return Path(tempfile.mkdtemp(prefix=f"genexp_{name[:50]}_"))


def step_of(state: dict[str, Any]) -> int:
    """Of a checkpoint: the step after which it was saved."""
    position = state.get("position")
    if not isinstance(position, dict) or not all(isinstance(number, int | float) for number in position.values()):
        raise UserError("the checkpoint does not say where the training stood")
    return int(position.get("step", 0))


def random_states(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a checkpoint: the random state of every process that trained."""
    return [state["random"], *state.get("random_of_others", [])]


class LossWindow:
    """The loss terms of the latest steps, left on the device, and with their own process, until somebody asks."""

    def __init__(self) -> None:
        self.terms: list[dict[str, Tensor]] = []
        self._joined = 0  # so many of them are means over all processes already

    def add(self, terms: dict[str, Tensor]) -> None:
        self.terms.append({name: value.detach() for name, value in terms.items()})

    def restore(self, terms: list[dict[str, Tensor]], device: torch.device) -> None:
        self.terms = [{name: value.to(device) for name, value in step.items()} for step in terms]
        self._joined = len(terms)

    def first_not_finite(self) -> int | None:
        self._join()
        if not self.terms:
            return None
        finite = torch.isfinite(torch.stack([terms["loss"] for terms in self.terms]))
        return None if bool(finite.all()) else int((~finite).nonzero()[0])

    def empty(self) -> dict[str, float]:
        """The mean of each term; forgets them."""
        self._join()
        means = {name: float(torch.stack([terms[name] for terms in self.terms]).mean()) for name in self.terms[0]}
        self.terms, self._joined = [], 0
        return means

    def _join(self) -> None:
        """Replace what is this process's own by means over all processes."""
        own = self.terms[self._joined :]
        if own and world().size > 1:
            means = mean_over_ranks(torch.stack([torch.stack([*terms.values()]) for terms in own]))
            self.terms[self._joined :] = [dict(zip(own[0], row, strict=True)) for row in means]
        self._joined = len(self.terms)
