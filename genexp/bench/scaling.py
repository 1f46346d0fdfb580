"""`--scaling`: seconds and memory of a step against batch size and model width, and of sampling against the number of samples."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from genexp.bench.cases import Case, Contender
from genexp.bench.gate import Channel, Slice
from genexp.bench.processes import ask, peak_memory
from genexp.bench.statistics import exponent
from genexp.bench.worker import Task, Worker, build, last_line
from genexp.errors import UserError

LONGEST = 300.0  # seconds of sampling, beyond which a number of samples is left out


@dataclass(frozen=True)
class Point:
    """One measurement: `size` is what is varied, `value` as it is set on the command line."""

    value: str
    size: float
    seconds: float
    peak_memory: int


@dataclass(frozen=True)
class Growth:
    """How the cost of something grows with `what`; cost ∝ size^exponent. `failures`: what could not be measured, and why."""

    case: str
    what: str
    cost: str
    points: list[Point]
    failures: list[str] = field(default_factory=list)

    @property
    def time_exponent(self) -> float:
        return exponent([point.size for point in self.points], [point.seconds for point in self.points])

    @property
    def memory_exponent(self) -> float:
        """Of what is added to the memory of the smallest, so that the libraries' own does not hide it; NaN for too few."""
        base = min((point.peak_memory for point in self.points), default=0)
        grown = [point for point in self.points if point.peak_memory > base]
        return exponent([point.size for point in grown], [point.peak_memory - base for point in grown])


def measure_scaling(
    case: Case, slice_: Slice, samples: Sequence[int], overrides: Sequence[str], say: Callable[[str], None]
) -> Iterator[Growth]:
    """The batch, the width and the number of samples of our best settings."""
    best = case.best
    batches = [("trainer.batch_size", str(size), float(size)) for size in case.batch_sizes]
    key, values = case.widths
    widths = [(key, value, float(value.strip("[]").split(",")[0])) for value in values]
    for what, settings in (("trainer.batch_size", batches), (key, widths)):
        points: list[Point] = []
        failures: list[str] = []
        for name, value, size in settings:
            say(f"{case.name}: {name}={value}")
            contender = replace(best, overrides=(*best.overrides, f"{name}={value}"))
            point = _step(case, contender, value, size, slice_, overrides)
            if isinstance(point, Point):
                points.append(point)
            else:
                failures.append(f"{value}: {point}")
        yield Growth(case.name, what, "a training step", points, failures)
    points, failures = [], []
    for count in samples:
        expected = points[-1].seconds * count / points[-1].size if points else 0.0
        if expected > LONGEST:
            failures.append(f"{count:,}: it would take about {expected / 60:.0f} minutes")
            continue
        say(f"{case.name}: {count:,} samples")
        points.append(_sampling(case, best, count, overrides))
    yield Growth(case.name, "samples", "sampling", points, failures)


def _step(case: Case, contender: Contender, value: str, size: float, slice_: Slice, overrides: Sequence[str]) -> Point | str:
    """What was measured, or in one line why it was not."""
    try:
        with Worker(Task(case, contender, tuple(overrides))) as worker:
            worker.run(Slice(slice_.seconds / 2, 3))
            ran = worker.run(slice_)
            ended = worker.finish()
    except UserError as mistake:
        return mistake.message
    if ran is None:
        return last_line(ended.failure)
    return Point(value, size, ran.seconds / ran.steps, ended.peak_memory)


def _sampling(case: Case, contender: Contender, count: int, overrides: Sequence[str]) -> Point:
    seconds, memory = ask(_sample, case, contender, count, tuple(overrides))
    return Point(f"{count:,}", float(count), seconds, memory)


def _sample(channel: Channel, case: Case, contender: Contender, count: int, overrides: tuple[str, ...]) -> None:
    """Draw from the model as it is before training, a batch at a time, keeping nothing."""
    from genexp.bench.ours import data_device
    from genexp.machine.device import prepare_cpu, wait_for
    from genexp.registry import models

    prepare_cpu()
    subject = build(case, contender, overrides)
    size = min(count, subject.settings.evaluation.batch_size)
    model = models.build(subject.settings.model, subject.data.spec).to(data_device(subject.data)).eval()
    model.initialise(subject.data.first_look(2048, 0))
    wait_for(model.device)
    began = time.perf_counter()
    for start in range(0, count, size):
        model.sample(min(size, count - start))
    wait_for(model.device)
    channel.send((time.perf_counter() - began, peak_memory()))
