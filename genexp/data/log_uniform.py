"""`dataset=log_uniform`: numbers whose logarithm is uniform."""

import math
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import Axis, KnownDensity, KnownPoints, pieces, within
from genexp.errors import UserError
from genexp.registry import datasets

Positive = Annotated[float, Field(ge=1e-3, le=1e3)]


class LogUniformInterval(KnownDensity):
    """p(x) = 1 / (x ln(high/low)) where low ≤ x ≤ high, else 0."""

    dim = 1
    smooth = False

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.width = math.log(high / low)

    def log_prob(self, x: Tensor) -> Tensor:
        x = x[:, 0]
        inside = (x >= self.low) & (x <= self.high)
        return torch.where(inside, -x.clamp(min=self.low).log() - math.log(self.width), -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        share = torch.rand(n, 1, generator=generator, device=self.device)
        return (self.low * torch.exp(self.width * share)).clamp(self.low, self.high)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """With half an interval of room on both sides at 9 sigmas."""
        room = sigmas / 18 * (self.high - self.low)
        return torch.tensor([self.low - room]), torch.tensor([self.high + room])

    def axis(self, index: int, count: int, low: float, high: float) -> Axis:
        """In pieces, which end where the interval does; inside evenly in ln x, where ∫ p(x) dx = ∫ x p(x) d ln x is flat."""
        nodes, weights = zip(
            *(self._piece(a, b, count) for a, b in pairwise(within(low, [self.low, self.high], high))), strict=True
        )
        return torch.cat(nodes), torch.cat(weights)

    def _piece(self, low: float, high: float, count: int) -> Axis:
        """Between two edges."""
        if not self.low <= low < high <= self.high:
            return pieces([low, high], count)
        logarithms, weights = pieces([math.log(low), math.log(high)], count)
        return logarithms.exp(), weights * logarithms.exp()

    @cached_property
    def entropy(self) -> float:
        """E[ln x] + ln ln(high/low), where E[ln x] is the middle of the logarithms."""
        return 0.5 * math.log(self.low * self.high) + math.log(self.width)


@datasets.register("log_uniform")
class LogUniform(KnownPoints):
    """p(x) = 1 / (x ln(high/low)) on [low, high]: that of x = exp z, z uniform on [ln low, ln high].

    Args:
        data_dir: not used.
        low: where it begins.
        high: where it ends.

    Raises:
        UserError: it ends before it begins.
    """

    def __init__(self, data_dir: Path, *, low: Positive = 1.0, high: Positive = math.exp(2)) -> None:
        if not low < high:
            raise UserError(f"dataset.high={high}: it must be greater than dataset.low={low}")
        super().__init__(LogUniformInterval(low, high), "numbers whose logarithm is uniform")
