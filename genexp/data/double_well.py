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
from genexp.data.target import Target
from genexp.registry import datasets

Coefficient = Annotated[float, Field(gt=0, le=100)]
FINE = 20_001  # points of the one-dimensional integrals
DEPTH = 40.0  # nats below its peak, beyond which the density counts for nothing


@datasets.register("double_well")
class DoubleWell(Target):
    """ln p(x, y) = −quartic x⁴ + quadratic x² + tilt x − y²/2 − ln Z.

    With 1, 6 and ½ it is a factor of the many-well of Noé et al., Boltzmann generators (2019): ln Z = 10.2935, and the right
    well holds 0.8443 of the mass.

    Args:
        data_dir: not used.
        quartic, quadratic, tilt: the coefficients.
    """

    knows: frozenset[Known] = frozenset({"target", "log_density", "log_z", "box"})
    scale = 2.0

    def __init__(
        self,
        data_dir: Path,
        *,
        quartic: Coefficient = 1.0,
        quadratic: Coefficient = 6.0,
        tilt: Annotated[float, Field(ge=-100, le=100)] = 0.5,
    ) -> None:
        self.quartic, self.quadratic, self.tilt = quartic, quadratic, tilt
        self.spec = DataSpec(shape=(2,), kind="real")
        self.density = Normalised(self)

    def log_density(self, x: Tensor) -> Tensor:
        return self.along(x[:, 0]) - 0.5 * x[:, 1].square()

    def along(self, x: Tensor) -> Tensor:
        """The part that depends on the first coordinate."""
        return (self.quadratic - self.quartic * x.square()) * x.square() + self.tilt * x

    @cached_property
    def reach(self) -> float:
        """|x| beyond which the density has fallen by DEPTH nats."""
        x = torch.linspace(-100, 100, 200_001, dtype=torch.float64)
        values = self.along(x)
        return float(x[values > values.max() - DEPTH].abs().max()) + 0.01

    @cached_property
    def log_z(self) -> float:  # type: ignore[override]
        """ln ∫ exp(log_density): a quadrature in x, √(2π) in y."""
        x = torch.linspace(-self.reach, self.reach, FINE, dtype=torch.float64)
        return float(torch.logsumexp(self.along(x), 0)) + math.log(2 * self.reach / (FINE - 1)) + 0.5 * math.log(2 * math.pi)

    def describe(self) -> str:
        return f"double well, a density without examples; ln Z {self.log_z:.4f}"


class Normalised(KnownDensity):
    """p(x) = exp(log_density(x)) / Z."""

    def __init__(self, well: DoubleWell) -> None:
        self.well = well

    def log_prob(self, x: Tensor) -> Tensor:
        return self.well.log_density(x) - self.well.log_z

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """Corners of a rectangle: all of the wells, and `sigmas` standard deviations across them."""
        corner = torch.tensor([self.well.reach, sigmas], dtype=torch.float64)
        return -corner, corner
