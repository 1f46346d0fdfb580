"""`dataset=many_well`: as many double wells as there are pairs of coordinates, in any even dimension."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from genexp.data.base import LogDensity
from genexp.data.double_well import Coefficient, Tilt, Wells
from genexp.data.known import KnownPoints
from genexp.data.quartic import Quartic
from genexp.registry import datasets


@datasets.register("many_well")
class ManyWell(KnownPoints):
    """ln p(x) = Σ_i (−quartic x_2i⁴ + quadratic x_2i² + tilt x_2i − x_2i+1²/2) − ln Z, with 2^(dimension/2) modes.

    It is both: a density that is known up to its integral, for what learns from one, and exact samples. With the defaults
    ln Z = 164.696 in 32 dimensions, and the right well of each pair holds 0.8443 of the mass.

    Args:
        data_dir: not used.
        dimension: an even number.
        quartic, quadratic, tilt: the coefficients.

    Source: Midgley et al., Flow Annealed Importance Sampling Bootstrap (2023), after Noé et al., Boltzmann generators (2019).
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        dimension: Annotated[int, Field(ge=2, le=1_000, multiple_of=2)] = 32,
        quartic: Coefficient = 1.0,
        quadratic: Coefficient = 6.0,
        tilt: Tilt = 0.5,
    ) -> None:
        super().__init__(Wells(dimension, Quartic(quartic, quadratic, tilt)), f"{dimension // 2} double wells")
        self.knows |= {"modes"}

    @property
    def log_density(self) -> LogDensity:
        """Up to its integral, as in the literature."""
        return self.density.log_density  # type: ignore[no-any-return]

    @property
    def log_z(self) -> float:  # type: ignore[override]
        return self.density.log_z  # type: ignore[no-any-return]

    def describe(self) -> str:
        return f"{super().describe()}, ln Z {self.log_z:.4f}"
