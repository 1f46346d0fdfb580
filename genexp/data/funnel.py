"""`dataset=funnel`: Neal's funnel, whose width is a coordinate of its own."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import Axis, KnownDensity, KnownPoints, Marginal, pieces
from genexp.registry import datasets

_LN_2PI = math.log(2 * math.pi)


class NealsFunnel(KnownDensity):
    """x₁ = s ε₁ and x_i = e^(x₁/2) ε_i for i = 2 … dim, with ε ~ N(0, I):

    p(x) = N(x₁; 0, s²) Π_i N(x_i; 0, e^(x₁)).
    """

    def __init__(self, dim: int, std: float) -> None:
        self.dim, self.std = dim, std

    def log_prob(self, x: Tensor) -> Tensor:
        first, others = x[:, 0], x[:, 1:]
        width = -0.5 * (first / self.std).square() - math.log(self.std)
        rest = -0.5 * (others * (-first / 2).exp()[:, None]).square().sum(1) - 0.5 * (self.dim - 1) * first
        return width + rest - 0.5 * self.dim * _LN_2PI

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        noise = torch.randn(n, self.dim, generator=generator, device=self.device)
        first = self.std * noise[:, :1]
        return torch.cat([first, (first / 2).exp() * noise[:, 1:]], dim=1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """What |ε| < sigmas is mapped into, in the plane."""
        angle = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
        widest = float((sigmas * angle.sin() * (sigmas * self.std * angle.cos() / 2).exp()).max())
        corner = torch.tensor([sigmas * self.std, widest], device=self.device)
        return -corner, corner

    def axis(self, index: int, count: int, low: float, high: float) -> Axis:
        """Along x₂ even steps of t, x₂ = c sinh t: as fine as the funnel's neck at 0, and coarser with the distance from it."""
        if index == 0:
            return pieces([low, high], count)
        neck = math.exp(-4 * self.std)
        t, step = pieces([math.asinh(low / neck), math.asinh(high / neck)], count)
        return neck * t.sinh(), step * neck * t.cosh()

    @cached_property
    def entropy(self) -> float:
        """½ dim ln 2πe + ln s, as E[x₁] = 0."""
        return 0.5 * self.dim * (1 + _LN_2PI) + math.log(self.std)


@datasets.register("funnel")
class Funnel(KnownPoints):
    """Neal's funnel: the first coordinate is the logarithm of the variance of the others.

    Args:
        data_dir: not used.
        dimension: dim; 10 in the literature.
        std: s, of the first coordinate; 3 in the literature, which no picture of even scale can show.

    Source: Neal, Slice sampling, https://doi.org/10.1214/aos/1056562461
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        dimension: Annotated[int, Field(ge=2, le=1_000)] = 2,
        std: Annotated[float, Field(ge=0.01, le=3)] = 1.0,
    ) -> None:
        super().__init__(NealsFunnel(dimension, std), f"a funnel in {dimension} dimensions")
        self.std = std
        self.knows |= {"marginal"} if dimension > 2 else set()

    @property
    def marginal(self) -> Marginal:
        """The first coordinate and one of the others."""
        wide = 3 * math.exp(0.6 * self.std)
        return Marginal(0, 1, NealsFunnel(2, self.std).log_prob, (-3 * self.std, -wide), (2.5 * self.std, wide))
