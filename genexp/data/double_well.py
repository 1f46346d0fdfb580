"""`dataset=double_well`: two wells of unlike depth in the plane, as a density without examples."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import DataSpec
from genexp.data.known import KnownDensity
from genexp.data.quartic import Quartic
from genexp.data.target import Target
from genexp.registry import datasets

Coefficient = Annotated[float, Field(gt=0, le=100)]
Tilt = Annotated[float, Field(ge=-100, le=100)]


class Wells(KnownDensity):
    """p(x) = Π_i q(x_2i) N(x_2i+1; 0, 1) of points in an even dimension, with q ∝ exp of a polynomial of degree four."""

    def __init__(self, dim: int, factor: Quartic) -> None:
        self.dim, self.factor = dim, factor

    def log_density(self, x: Tensor) -> Tensor:
        """ln p(x) + ln Z: Σ_i (−quartic x_2i⁴ + quadratic x_2i² + tilt x_2i − x_2i+1²/2)."""
        return self.factor.log_density(x[:, 0::2]).sum(1) - 0.5 * x[:, 1::2].square().sum(1)

    @cached_property
    def log_z(self) -> float:
        """ln ∫ exp(log_density): a quadrature for each x_2i, √(2π) for each x_2i+1."""
        return self.dim / 2 * (self.factor.log_z + 0.5 * math.log(2 * math.pi))

    def log_prob(self, x: Tensor) -> Tensor:
        return self.log_density(x) - self.log_z

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Exact: each x_2i by the inverse of its distribution function."""
        along = self.factor.sample((n, self.dim // 2), generator, self.device)
        return torch.stack([along, torch.randn(along.shape, generator=generator, device=self.device)], dim=2).flatten(1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """Corners of a box: all of the wells, and `sigmas` standard deviations across them."""
        corner = torch.tensor([self.factor.reach, sigmas], dtype=torch.float64, device=self.device).repeat(self.dim // 2)
        return -corner, corner

    @cached_property
    def entropy(self) -> float:
        return self.dim / 2 * (self.factor.entropy + 0.5 * math.log(2 * math.pi * math.e))

    @property
    def mode_masses(self) -> Tensor:
        """The left and the right well of each pair of coordinates, (dim,)."""
        return torch.tensor(self.factor.masses, dtype=torch.float64).repeat(self.dim // 2)

    def mode_shares(self, x: Tensor) -> Tensor:
        """Of points (n, dim), the share in each of these, (dim,)."""
        right = (x[:, 0::2] > self.factor.barrier).double().mean(0)
        return torch.stack([1 - right, right], dim=1).flatten().cpu()


@datasets.register("double_well")
class DoubleWell(Target):
    """ln p(x, y) = −quartic x⁴ + quadratic x² + tilt x − y²/2 − ln Z.

    With 1, 6 and ½ it is a factor of the many-well of Noé et al., Boltzmann generators (2019): ln Z = 10.2935, and the right
    well holds 0.8443 of the mass.

    Args:
        data_dir: not used.
        quartic, quadratic, tilt: the coefficients.
    """

    knows: frozenset[Known] = frozenset({"target", "log_density", "log_z", "box", "sampler", "modes"})
    scale = 2.0

    def __init__(self, data_dir: Path, *, quartic: Coefficient = 1.0, quadratic: Coefficient = 6.0, tilt: Tilt = 0.5) -> None:
        self.spec = DataSpec(shape=(2,), kind="real")
        self.density = Wells(2, Quartic(quartic, quadratic, tilt))

    def log_density(self, x: Tensor) -> Tensor:
        return self.density.log_density(x)

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return self.density.log_z

    def describe(self) -> str:
        return f"double well, a density without examples; ln Z {self.log_z:.4f}"
