"""One contender in a process of its own, so that its memory is its own and nothing it imports or sets touches another."""

import importlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp.bench import processes
from genexp.bench.cases import Case, Contender
from genexp.bench.gate import Channel, Described, Gate, Race, Ran, Slice, Stop
from genexp.errors import UserError


@dataclass(frozen=True)
class Task:
    """What a worker is to train. `overrides` are the user's, for experiments only; `limit` in seconds ends a race."""

    case: Case
    contender: Contender
    overrides: tuple[str, ...] = ()
    race: Race | None = None
    limit: float = float("inf")


@dataclass(frozen=True)
class Ended:
    """How it ended: the process's largest memory in bytes, the race; `failure` says why nothing could be measured."""

    peak_memory: int
    race: Race | None = None
    failure: str | None = None


def work(channel: Channel, task: Task) -> None:
    """Build and train what `task` says, as the gate on `channel` allows; the last message is Ended, or the user's mistake."""
    gate = Gate(channel, task.race, task.limit)
    failure = None
    try:
        _train(task, gate)
    except Stop:
        pass
    except UserError as mistake:
        channel.send(mistake)
        return
    except ModuleNotFoundError as missing:
        failure = f"{missing.name} is not installed: pip install 'genexp[bench]'"
    except Exception:
        failure = traceback.format_exc()
    channel.send(Ended(processes.peak_memory(), gate.race, failure))


def _train(task: Task, gate: Gate) -> None:
    contender, case = task.contender, task.case
    if contender.loop is not None:
        module, _, function = contender.loop.partition(":")
        shared = [word for word in task.overrides if case.follows(word)]
        subject = build(case, case.trainer, shared)
        if any(word.startswith("seed=") for word in shared):
            import torch

            torch.manual_seed(subject.settings.seed)
        getattr(importlib.import_module(module), function or "train")(subject.data, gate)
        return
    from genexp.bench import ours

    subject = build(case, contender, task.overrides)
    ours.train(subject.data, gate, subject.settings, case.quality.name)


@dataclass(frozen=True)
class Ingredients:
    """A data set on its device and the settings of a run on it."""

    data: Any
    settings: Any


def build(case: Case, contender: Contender, overrides: Sequence[str] = ()) -> Ingredients:
    """The settings of a contender, and its data."""
    from genexp.machine.device import choose_device
    from genexp.registry import datasets

    settings = settings_of(case, contender, overrides)
    data = datasets.build(settings.dataset, Path(settings.data_dir)).to(choose_device(settings.device))
    return Ingredients(data, settings)


def settings_of(case: Case, contender: Contender, overrides: Sequence[str] = ()) -> Any:
    """The settings of a contender that is an experiment, on the embedded data where the real ones are not there."""
    from genexp.config.composition import compose

    elsewhere = any(word.startswith("dataset=") for word in overrides)  # what was set of the case's own data set has no meaning
    own = [word for word in contender.overrides if not (elsewhere and word.startswith("dataset."))]
    settings = compose([f"experiment={contender.experiment}", *own, *overrides]).settings
    if case.has_data():
        return settings
    embedded = compose([f"experiment={case.instead}"]).settings.dataset
    return settings.model_copy(update={"dataset": embedded})


def last_line(failure: str | None) -> str:
    """Of a traceback, what went wrong."""
    return (failure or "nothing was measured").strip().splitlines()[-1]


class Worker:
    """A worker process, seen from the process that measures. `with Worker(task) as worker:` starts and ends it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.described: Described | None = None
        self.ended: Ended | None = None

    def __enter__(self) -> "Worker":
        self._started = processes.start(work, self.task)
        answer = self._receive()
        if isinstance(answer, Described):
            self.described = answer
        return self

    def run(self, slice_: Slice) -> Ran | None:
        """Let it train for a while; None where it has ended, which is a failure."""
        if self.ended is not None:
            return None
        self._started.channel.send(slice_)
        answer = self._receive()
        return answer if isinstance(answer, Ran) else None

    def finish(self) -> Ended:
        """Let a race run to its end; or end what waits at the gate."""
        if self.ended is None:
            if self.task.race is None:
                self._started.channel.send(None)
            self._receive()
        assert self.ended is not None
        return self.ended

    def __exit__(self, *_: object) -> None:
        self._started.end()

    def _receive(self) -> object:
        try:
            answer = self._started.channel.recv()
        except EOFError:
            answer = Ended(0, None, f"the process ended with code {self._started.process.exitcode}")
        if isinstance(answer, UserError):
            self._started.end()
            raise answer
        if isinstance(answer, Ended):
            self.ended = answer
        return answer
