"""`dataset=phi4`: the scalar field theory φ⁴ on a periodic square lattice, as a density without examples."""

import math
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import DataSpec
from genexp.data.target import Target
from genexp.errors import UserError
from genexp.registry import datasets

Side = Annotated[int, Field(ge=2, le=128)]


@datasets.register("phi4")
class Phi4(Target):
    """p(φ) = e^(−S(φ)) / Z of a field φ with a real number at each site n of a square lattice, whose edges meet:

    S(φ) = Σ_n [ Σ_μ φ_n (2φ_n − φ_(n+μ) − φ_(n−μ)) + m² φ_n² + λ φ_n⁴ ],   μ the two directions.

    S is the same after a shift, a reflection or a quarter turn of the lattice, and for −φ. With m² < 0 there is a critical line
    m²(λ): below it the field has one sign nearly everywhere, and a local chain hardly ever changes that. With λ = 0 it is the
    free theory, a Gaussian, of which everything is known.

    Args:
        data_dir: not used.
        side: sites along each direction; a point has side² numbers, row by row.
        m2: m², the squared bare mass, in units of the lattice.
        lam: λ.

    Raises:
        UserError: a density that has no integral, λ = 0 with m² ≤ 0.

    Source: Albergo et al., Introduction to Normalizing Flows for Lattice Field Theory, https://arxiv.org/abs/2101.08176
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        side: Side = 8,
        m2: Annotated[float, Field(ge=-100, le=100)] = -4.0,
        lam: Annotated[float, Field(ge=0, le=1e4)] = 8.0,
    ) -> None:
        if lam == 0 and m2 <= 0:
            raise UserError(f"dataset.lam=0 with dataset.m2={m2:g}: e^(−S) has no integral", hint="dataset.m2 above 0")
        self.side, self.m2, self.lam = side, m2, lam
        self.spec = DataSpec(shape=(side * side,), kind="real")
        self.free = lam == 0
        words: set[Known] = {"target", "log_density", "lattice"}
        self.knows = frozenset(words | {"log_z"} if self.free else words)

    def action(self, x: Tensor) -> Tensor:
        """S, (n, side²) → (n,)."""
        field = x.unflatten(1, (self.side, self.side))
        neighbours = field.roll(1, 1) + field.roll(1, 2)  # each link once
        return (field * ((4 + self.m2) * field + self.lam * field**3 - 2 * neighbours)).sum((1, 2))

    def log_density(self, x: Tensor) -> Tensor:
        return -self.action(x)

    def force(self, x: Tensor) -> Tensor:
        """−∂S/∂φ, the gradient of `log_density`, (n, side²)."""
        field = x.unflatten(1, (self.side, self.side))
        neighbours = field.roll(1, 1) + field.roll(-1, 1) + field.roll(1, 2) + field.roll(-1, 2)
        return (2 * neighbours - field * (8 + 2 * self.m2 + 4 * self.lam * field.square())).flatten(1)

    # --- the free theory -------------------------------------------------------------------------------------------------

    def modes(self) -> Tensor:
        """Of the free theory: S = Σ_k M_k |φ_k|², with M_k = m² + Σ_μ (2 − 2 cos k_μ), (side, side), float64."""
        stiffness = 2 - 2 * (2 * math.pi * torch.arange(self.side, dtype=torch.float64) / self.side).cos()
        return self.m2 + stiffness[:, None] + stiffness

    @property
    def log_z(self) -> float:  # type: ignore[override]
        """Of the free theory: ½ Σ_k ln(π / M_k)."""
        return float(0.5 * (math.pi / self.modes()).log().sum())

    def free_correlator(self) -> Tensor:
        """Of the free theory: C(t) = 1/side Σ_k cos(kt) / 2M_(0,k), t = 0 … side − 1, float64."""
        return torch.fft.ifft(1 / (2 * self.modes()[0])).real

    def describe(self) -> str:
        free = f"; ln Z {self.log_z:.4f}" if self.free else ""
        return f"φ⁴ on {self.side}×{self.side} sites, m² {self.m2:g}, λ {self.lam:g}, a density without examples{free}"
