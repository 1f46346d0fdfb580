"""When training ends, and how far it has come."""

import time
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from genexp.data.base import Stream
from genexp.errors import UserError
from genexp.machine.device import wait_for
from genexp.settings import TrainerSettings


class Timed(Protocol):
    """What has counted the seconds of a training: those of the clock, and those that were computed for."""

    @property
    def seconds(self) -> float: ...

    @property
    def cpu_seconds(self) -> float: ...


@dataclass(frozen=True)
class Budget:
    """The limits of a training; of several, the one that is nearest counts. `clock` says which seconds are limited."""

    steps: int | None
    seconds: float | None
    clock: Literal["wall", "cpu"] = "wall"

    @classmethod
    def of(cls, settings: TrainerSettings, stream: Stream, last_step: int | None = None) -> "Budget":
        """Of the settings, and the step with which a fitter will have finished, where that is known."""
        limits = [limit for limit in (settings.max_steps, last_step) if limit is not None]
        if settings.max_epochs is not None:
            if stream.steps_per_epoch is None:
                raise UserError("trainer.max_epochs: this data set draws fresh samples, without epochs", hint="set max_steps")
            limits.append(settings.max_epochs * stream.steps_per_epoch)
        return cls(min(limits, default=None), settings.max_seconds, settings.clock)

    def reading(self, timed: Timed) -> float:
        """The seconds that the budget is about."""
        return timed.cpu_seconds if self.clock == "cpu" else timed.seconds

    def progress(self, step: int, seconds: float) -> float:
        """The share of the budget that is used, in [0, 1]."""
        by_step = step / self.steps if self.steps else 0.0
        by_time = seconds / self.seconds if self.seconds is not None else 0.0
        return min(1.0, max(by_step, by_time))

    def spent(self, step: int, seconds: float) -> bool:
        """Seconds alone never end a training before its first step."""
        by_time = self.seconds is not None and seconds >= self.seconds and step > 0
        return by_time or (self.steps is not None and step >= self.steps)


class Stopwatch:
    """Seconds of training; evaluation and checkpoints run inside `with stopwatch.paused():` and do not count.

    `cpu_seconds` are those that this process has computed for, all its threads together: a busy machine makes `seconds` more, and
    these not. What the `device` has been asked for before a pause is done before it.
    """

    def __init__(self, device: torch.device, seconds: float = 0.0, cpu_seconds: float = 0.0) -> None:
        self._device = device
        self._before, self._cpu_before = seconds, cpu_seconds
        self._since: float | None = time.perf_counter()
        self._cpu_since = time.process_time()

    @property
    def seconds(self) -> float:
        return self._before + (0.0 if self._since is None else time.perf_counter() - self._since)

    @property
    def cpu_seconds(self) -> float:
        return self._cpu_before + (0.0 if self._since is None else time.process_time() - self._cpu_since)

    def stop(self) -> None:
        wait_for(self._device)
        self._before, self._cpu_before, self._since = self.seconds, self.cpu_seconds, None

    def paused(self) -> "Stopwatch":
        return self

    def __enter__(self) -> None:
        self.stop()

    def __exit__(self, *_: object) -> None:
        wait_for(self._device)
        self._since, self._cpu_since = time.perf_counter(), time.process_time()
