"""What is done to a density on a line, little by little: it slides, it widens, it loses a mode."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

LogDensity = Callable[[Tensor], Tensor]
EDGE = 0.02  # of a mode that is lost: a softness, in standard deviations


@dataclass(frozen=True)
class Shape:
    """A density: ln p of x (n,), its mean and standard deviation, and the ends of what holds its mass."""

    log_prob: LogDensity
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Alteration:
    """Args:
    name: in metrics.
    title: of a picture.
    axis: what an amount is.
    logarithmic: whether amounts are in even ratios, from 1.
    altered: ln of the altered density of x (n,), up to a constant that the grid finds.
    reach: the ends of what holds its mass.
    """

    name: str
    title: str
    axis: str
    logarithmic: bool
    altered: Callable[[Shape, float, Tensor], Tensor]
    reach: Callable[[Shape, float], tuple[float, float]]

    def amounts(self, end: float, count: int) -> list[float]:
        """From nothing to `end`."""
        shares = [index / (count - 1) for index in range(count)]
        return [end**share if self.logarithmic else end * share for share in shares]


def slid(shape: Shape, amount: float, x: Tensor) -> Tensor:
    """q(x) = p(x − a), a in standard deviations."""
    return shape.log_prob(x - amount * shape.std)


def widened(shape: Shape, amount: float, x: Tensor) -> Tensor:
    """q(x) = p(μ + (x − μ)/a)/a, a times as wide."""
    return shape.log_prob(shape.mean + (x - shape.mean) / amount) - math.log(amount)


def lost(shape: Shape, amount: float, x: Tensor) -> Tensor:
    """q(x) ∝ p(x) (1 − (1 − a) g(x)): of what lies above the mean, where g is 1 but for a soft edge, the share a is left."""
    place = (x - shape.mean) / (EDGE * shape.std)
    return shape.log_prob(x) + torch.logaddexp(math.log(amount) + logsigmoid(place), logsigmoid(-place))


def _slid_reach(shape: Shape, amount: float) -> tuple[float, float]:
    return shape.low, shape.high + amount * shape.std


def _widened_reach(shape: Shape, amount: float) -> tuple[float, float]:
    return shape.mean - amount * (shape.mean - shape.low), shape.mean + amount * (shape.high - shape.mean)


ALTERATIONS = (
    Alteration("slide", "q slides away", "shift, standard deviations", False, slid, _slid_reach),
    Alteration("widen", "q widens", "times as wide", True, widened, _widened_reach),
    Alteration("lose", "q loses a mode", "share of the mode that is left", True, lost, lambda shape, _: (shape.low, shape.high)),
)
