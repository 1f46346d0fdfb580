"""The speed table: all contenders of a case alive at once, each given a slice of time in turn, round after round.

What slows the machine for a while then slows all of them, and the ratios stay honest.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from genexp.bench.cases import Case
from genexp.bench.gate import Described, Slice
from genexp.bench.statistics import Spread, ratios
from genexp.bench.worker import Task, Worker

WARM_UP = Slice(seconds=1.0, steps=5)


@dataclass(frozen=True)
class Row:
    """One contender. `steps_per_second` by round; `peak_memory` in bytes; `failure` says why nothing was measured.

    `seconds_to_start`: from the start of the process to the end of the warm-up: imports, data, compiling.
    """

    contender: str
    described: Described | None
    steps_per_second: list[float]
    peak_memory: int
    failure: str | None = None
    seconds_to_start: float = 0.0

    @property
    def examples_per_second(self) -> list[float]:
        assert self.described is not None
        return [rate * self.described.batch_size for rate in self.steps_per_second]

    @property
    def gigaflops(self) -> float:
        """The floating-point rate of the step, in GFLOP/s, of the median round."""
        assert self.described is not None
        return self.described.flops * Spread.of(self.steps_per_second).median / 1e9


def measure(case: Case, rounds: int, slice_: Slice, overrides: Sequence[str], say: Callable[[str], None]) -> list[Row]:
    """Train every contender of `case` for `rounds` slices, in turn."""
    with ExitStack() as stack:
        workers, starts = [], []
        for contender in case.contenders:
            say(f"{case.name}: starting {contender.name}")
            began = time.perf_counter()
            worker = stack.enter_context(Worker(Task(case, contender, tuple(overrides))))
            worker.run(WARM_UP)
            workers.append(worker)
            starts.append(time.perf_counter() - began)
        rates: list[list[float]] = [[] for _ in workers]
        for number in range(rounds):
            say(f"{case.name}: round {number + 1} of {rounds}")
            for worker, rate in zip(workers, rates, strict=True):
                ran = worker.run(slice_)
                if ran is not None:
                    rate.append(ran.steps / ran.seconds)
        return [_row(*measured) for measured in zip(workers, rates, starts, strict=True)]


def _row(worker: Worker, rates: list[float], start: float) -> Row:
    ended = worker.finish()
    return Row(worker.task.contender.name, worker.described, rates, ended.peak_memory, ended.failure, start)


def ratio(row: Row, yardstick: Row) -> Spread | None:
    """Examples per second over the yardstick's, round by round."""
    if not row.steps_per_second or len(row.steps_per_second) != len(yardstick.steps_per_second):
        return None
    return ratios(row.examples_per_second, yardstick.examples_per_second)
