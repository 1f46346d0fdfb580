"""Medians with their spread, ratios of what was measured side by side, and exponents of growth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, and the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


def ratios(values: Sequence[float], yardstick: Sequence[float]) -> Spread:
    """Each value over the yardstick's of the same round: what slows the whole machine for a while slows both."""
    return Spread.of([value / unit for value, unit in zip(values, yardstick, strict=True)])


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The p of cost ∝ size^p, by least squares on the logarithms; NaN for fewer than two sizes."""
    if len(set(sizes)) < 2:
        return math.nan
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    x_mean, y_mean = fmean(x), fmean(y)
    covariance = sum((a - x_mean) * (b - y_mean) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - x_mean) ** 2 for a in x)
