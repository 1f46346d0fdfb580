"""What a model costs in use: seconds for ln p of a thousand examples, and for a thousand samples.

Each is the median of several calls, after some that warm up, of a thousand examples at once; of fewer, where these would take too
much memory or time: but for an ODE, whose steps take as long for a few as for hundreds. On a CPU what counts is the lesser of the
clock's seconds and those that were computed for, so that other programs do not.
"""

import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

from genexp.machine.device import all_digits, wait_for
from genexp.measures.record import Value, cannot_see, measure
from genexp.sampling import Part
from genexp.subject import Subject, once

THOUSAND = 1_000
SIZES = (8, 32, 125, 500, THOUSAND)  # of the calls
VALUES = 12_000_000  # numbers in the examples of one call: 50 MB
LONG_ENOUGH = 0.05  # seconds that the measured calls take together
TOO_LONG = 0.5  # seconds: no call is made that would take longer, as far as those before it tell


@measure(
    "seconds_density",
    "to find ln p of a thousand examples, or a bound of it by one sample each, seconds",
    better="lower",
    model={"exact|estimate|posterior"},
    wall_clock=True,
)
@once
@cannot_see("other machines and batch sizes")
def seconds_density(subject: Subject) -> Value:
    """Of the test examples, in turn again where they are few."""
    few = subject.test[:THOUSAND]
    turn = torch.arange(THOUSAND, device=few.x.device) % len(few.x)
    x, label = few.x[turn], None if few.label is None else few.label[turn]

    def find(size: int) -> None:
        if {"exact", "estimate"} & subject.can:
            subject.model.log_prob(x[:size])
            return
        with subject.model.remembering():  # as of examples that are new to it
            subject.model.importance(x[:size], None if label is None else label[:size], 1).log_weights()

    with all_digits(subject.device):
        return Value(seconds_per_thousand(subject, find, (THOUSAND,) if "refined" in subject.can else SIZES))


@measure("seconds_sample", "to draw a thousand samples, seconds", better="lower", model={"sample"}, wall_clock=True)
@once
@cannot_see("other machines and batch sizes")
def seconds_sample(subject: Subject) -> Value:
    return Value(seconds_per_thousand(subject, lambda size: subject.sampler.draw(Part(0, size, size), subject.settings.seed)))


@torch.no_grad()
def seconds_per_thousand(subject: Subject, call: Callable[[int], object], sizes: Sequence[int] = SIZES) -> float:
    """What `call(size)` takes for a thousand examples: three digits of it. Where there is one of the `sizes`, its first call
    counts if it takes TOO_LONG.
    """
    most = min(subject.settings.evaluation.batch_size, VALUES // subject.test.x[0].numel())

    def seconds(size: int) -> float:
        wait_for(subject.device)
        began, cpu_began = time.perf_counter(), time.process_time()
        call(size)
        wait_for(subject.device)
        taken = time.perf_counter() - began
        return min(taken, time.process_time() - cpu_began) if subject.device.type == "cpu" else taken

    size = min(sizes[0], most)
    taken = seconds(size)
    each = taken / size if taken > TOO_LONG else 0.0  # of one example more; the steps of an ODE are shared by all
    for larger in sizes[1:]:
        if larger > most or taken + each * (larger - size) > TOO_LONG:
            break
        before, smaller, size = taken, size, larger
        taken = seconds(size)
        each = max(0.0, taken - before) / (size - smaller)
    times = [taken if len(sizes) == 1 and taken > TOO_LONG else seconds(size)]
    while sum(times) < LONG_ENOUGH:
        times.append(seconds(size))
    return float(f"{median(times) * THOUSAND / size:.3g}")
