"""`dataset=banana`: a Gaussian, bent."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import KnownDensity, KnownPoints, Length
from genexp.registry import datasets


class BentGaussian(KnownDensity):
    """x₁ = s ε₁, x₂ = b (x₁² − s²) + w ε₂ with ε ~ N(0, I):

    p(x) = N(x₁; 0, s²) N(x₂ − b (x₁² − s²); 0, w²). The mean of x is 0.
    """

    def __init__(self, std: float, width: float, curvature: float) -> None:
        self.std, self.width, self.curvature = std, width, curvature

    def log_prob(self, x: Tensor) -> Tensor:
        along, across = x[:, 0] / self.std, (x[:, 1] - self._middle(x[:, 0])) / self.width
        return -0.5 * (along.square() + across.square()) - math.log(2 * math.pi * self.std * self.width)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        along, across = torch.randn(2, n, generator=generator, device=self.device)
        return torch.stack([self.std * along, self._middle(self.std * along) + self.width * across], dim=1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """What |ε| < sigmas is mapped into."""
        share = torch.linspace(0, math.pi, 1001, dtype=torch.float64)
        x, reach = sigmas * self.std * share.cos(), sigmas * self.width * share.sin()
        middle = self._middle(x)
        low, high = float((middle - reach).min()), float((middle + reach).max())
        corners = torch.tensor([[-sigmas * self.std, low], [sigmas * self.std, high]], device=self.device)
        return corners[0], corners[1]

    @cached_property
    def entropy(self) -> float:
        """ln 2πe s w, that of the Gaussian: bending changes no area."""
        return math.log(2 * math.pi * math.e * self.std * self.width)

    def _middle(self, x: Tensor) -> Tensor:
        return self.curvature * (x.square() - self.std**2)


@datasets.register("banana")
class Banana(KnownPoints):
    """A Gaussian whose second coordinate is moved by b times the square of the first; its entropy stays ln 2πe s w.

    Args:
        data_dir: not used.
        std: s, of the first coordinate.
        width: w, standard deviation across the banana, vertically.
        curvature: b; 0 is a Gaussian.

    Source: Haario et al., Adaptive proposal distribution for random walk Metropolis algorithm, https://doi.org/10.1007/s001800050022
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        std: Length = 1.0,
        width: Length = 0.4,
        curvature: Annotated[float, Field(ge=-10, le=10)] = 0.4,
    ) -> None:
        super().__init__(BentGaussian(std, width, curvature), "a banana")
