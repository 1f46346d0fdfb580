"""Learning-rate schedules as functions of progress: 0 at the first step, 1 at the end of whichever budget is in force."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25e4
ONE_CYCLE_MOMENTUM = 0.95, 0.85


@dataclass(frozen=True)
class Rate:
    """Multiplier of the learning rate; first Adam β where the schedule moves it, else None."""

    factor: float
    beta1: float | None = None


def schedule(name: str, progress: float, warmup: float = 0.0) -> Rate:
    """The rate at `progress` in [0, 1], after a linear warm-up over the first `warmup` of the run.

    constant    1
    linear      1 → 0
    cosine      1 → 0 along half a cosine
    one_cycle   1/25 → 1 over the warm-up and → 1/250000 after it, along half cosines, while Adam's β₁ goes
                0.95 → 0.85 → 0.95 (Smith & Topin 2018; torch.optim.lr_scheduler.OneCycleLR's defaults)
    """
    progress = min(max(progress, 0.0), 1.0)
    if name == "one_cycle":
        high, low = ONE_CYCLE_MOMENTUM
        if progress < warmup:
            share = progress / warmup
            return Rate(_cosine(ONE_CYCLE_START, 1.0, share), _cosine(high, low, share))
        share = (progress - warmup) / (1 - warmup)
        return Rate(_cosine(1.0, ONE_CYCLE_END, share), _cosine(low, high, share))
    rise = min(1.0, progress / warmup) if warmup > 0 else 1.0
    share = max(0.0, (progress - warmup) / (1 - warmup))
    fall = {"constant": 1.0, "linear": 1 - share, "cosine": _cosine(1.0, 0.0, share)}[name]
    return Rate(rise * fall)


def one_cycle(steps: int, warmup: float = 0.3) -> Iterator[Rate]:
    """The rates of so many steps: those of torch.optim.lr_scheduler.OneCycleLR, whose top comes a fraction of a step earlier."""
    for step in range(steps):
        yield schedule("one_cycle", step / max(steps - 1, 1), warmup)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
