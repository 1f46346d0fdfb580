"""The gate that every measured training loop passes before each step: it keeps the time, and ends the loop."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


class Channel(Protocol):
    """One end of a pipe to the process that measures."""

    def send(self, message: Any) -> None: ...

    def recv(self) -> Any: ...


class Stop(BaseException):
    """Raised inside a loop that has run long enough."""


@dataclass(frozen=True)
class Slice:
    """Permission to go on for so many seconds, and for so many steps at least."""

    seconds: float
    steps: int = 1


@dataclass(frozen=True)
class Described:
    """What a contender trains: the floating-point operations of one step's matrix products, forward and backward.

    `precision` is that of the products; `compiled` says that the step was.
    """

    parameters: int
    batch_size: int
    flops: int
    precision: str = "float32"
    compiled: bool = False

    @property
    def arithmetic(self) -> str:
        return f"{self.precision}, compiled" if self.compiled else self.precision


@dataclass(frozen=True)
class Ran:
    """What was done in one slice."""

    steps: int
    seconds: float


@dataclass
class Race:
    """How a training comes nearer to a quality: (seconds, steps, value) at each look. `target` None: the judge says.

    `cpu_seconds` until the last look: what all threads computed for in those seconds, which a busy machine makes more of.

    A look comes after each `every` examples, so that no contender's seconds are rounded up by more than another's.
    With a `budget` of CPU seconds the only look is where the first one after it would be, and ends the race.
    """

    target: float | None
    every: int
    looks: list[tuple[float, int, float]] = field(default_factory=list)
    reached: bool = False
    cpu_seconds: float = 0.0
    budget: float | None = None


class Gate:
    """`step()` before each step: returns at once while the granted slice lasts; then reports and waits for the next.

    In a race there are no slices: `judge` looks at the model now and then, outside of the clock, and ends it.
    """

    def __init__(self, channel: Channel, race: Race | None = None, limit: float = float("inf")) -> None:
        self.channel, self.race, self.limit = channel, race, limit
        self.steps = 0
        self.look_every = 1 if race is None else race.every  # in steps
        self._granted: Slice | None = None
        self._before, self._since = (0.0, 0.0), _now()
        self._held = False

    @property
    def seconds(self) -> float:
        return self._read()[0]

    def _read(self) -> tuple[float, float]:
        """Seconds of the clock, and those that were computed for, but for what was no training."""
        if self._held:
            return self._before
        (wall, cpu), (wall_before, cpu_before), (wall_since, cpu_since) = _now(), self._before, self._since
        return wall_before + wall - wall_since, cpu_before + cpu - cpu_since

    def restart(self) -> None:
        self.steps, self._before, self._since, self._held = 0, (0.0, 0.0), _now(), False

    def hold(self) -> None:
        """Stop the clock until the next step: what follows is not training. Before the first step everything is."""
        if self.steps:
            self._before, self._held = self._read(), True

    def announce(self, model: Any, batch_size: int, loss: Callable[[], Any]) -> None:
        """Tell what is trained by a loop that is not ours, before its first step."""
        from genexp.bench.flops import describe

        self.describe(describe(model, batch_size, loss))

    def describe(self, described: Described) -> None:
        """Tell what is trained, once, before the first step."""
        if self.race is not None:
            self.look_every = max(1, round(self.race.every / described.batch_size))
        self.channel.send(described)

    def step(self) -> None:
        if self.race is not None:
            if self._held:
                self._since, self._held = _now(), False
            if self.seconds > self.limit:
                raise Stop
            self.steps += 1
            return
        if self._granted is not None:
            if self.seconds < self._granted.seconds or self.steps < self._granted.steps:
                self.steps += 1
                return
            _wait_for_accelerator()
            self.channel.send(Ran(self.steps, self.seconds))
        granted = self.channel.recv()
        if granted is None:
            raise Stop
        self._granted = granted
        self.restart()
        self.steps = 1

    @property
    def due(self) -> bool:
        """Whether it is time for the next look at the model."""
        if self.race is None or self.steps == 0 or self.steps % self.look_every:
            return False
        return self.race.budget is None or self._read()[1] >= self.race.budget

    def judge(self, quality: Callable[[], tuple[float, bool]]) -> None:
        """Look at the model: its quality, and whether that is good enough in itself where the race has no target."""
        assert self.race is not None
        _wait_for_accelerator()
        with self.paused():
            value, enough = quality()
        seconds, self.race.cpu_seconds = self._read()
        self.race.looks.append((seconds, self.steps, value))
        if self.race.budget is not None:
            enough = True
        elif self.race.target is not None:
            enough = value <= self.race.target
        self.race.reached = enough
        if self.race.reached:
            raise Stop

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not training."""
        held = self._held
        self._before, self._held = self._read(), True
        try:
            yield
        finally:
            self._since, self._held = _now(), held


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _wait_for_accelerator() -> None:
    """A loop that is not ours does not say on which device it trains: on the accelerator, where there is one."""
    from genexp.machine.device import choose_device, wait_for

    wait_for(choose_device("auto"))
