"""The inverse of the distribution function, x = F⁻¹(u): exact where it is known, else read off a table of F.

Source: Devroye, Non-Uniform Random Variate Generation (1986), chapter II.2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genexp.samplers.base import Drawn, Stage, Stream, Transform, standard_cdf, transforms

Named = Literal["normal", "logistic", "cauchy", "exponential", "laplace", "two_peaks"]
Nodes = Annotated[int, Field(ge=16, le=2**20)]
Function = Callable[[Tensor], Tensor]

CHECKED = 2**16  # numbers at which a table is compared with what it should be
REFINED = 6  # times that the nodes even in F are found again
GAUSS = np.polynomial.legendre.leggauss(5)  # of the integral between two nodes


@dataclass(frozen=True)
class Density:
    """One density: ln p, F and, where it is known, F⁻¹; `low` to `high` is what a table covers."""

    log_p: Function
    cdf: Function
    quantile: Function | None
    low: float
    high: float


def _two_peaks(x: Tensor) -> Tensor:
    """ln of ½ N(x; −1.5, 0.5²) + ½ N(x; 1.5, 0.5²)."""
    peaks = torch.stack([-2 * (x + 1.5).square(), -2 * (x - 1.5).square()])
    return torch.logsumexp(peaks, 0) - math.log(math.sqrt(2 * math.pi))


DENSITIES: dict[Named, Density] = {
    "normal": Density(lambda x: -0.5 * x.square() - 0.5 * math.log(2 * math.pi), standard_cdf, torch.special.ndtri, -8.5, 8.5),
    "logistic": Density(lambda x: -x.abs() - 2 * (-x.abs()).exp().log1p(), torch.sigmoid, torch.logit, -37, 37),
    "cauchy": Density(
        lambda x: -(math.pi * (1 + x.square())).log(),
        lambda x: 0.5 + x.atan() / math.pi,
        lambda u: (math.pi * (u - 0.5)).tan(),
        -1e4,
        1e4,
    ),
    "exponential": Density(lambda x: -x, lambda x: -torch.expm1(-x), lambda u: -torch.log1p(-u), 0, 37),
    "laplace": Density(
        lambda x: -x.abs() - math.log(2),
        lambda x: 0.5 - 0.5 * x.sign() * torch.expm1(-x.abs()),
        lambda u: -(u - 0.5).sign() * torch.log1p(-2 * (u - 0.5).abs()),
        -37,
        37,
    ),
    "two_peaks": Density(_two_peaks, lambda x: 0.5 * (standard_cdf(2 * x + 3) + standard_cdf(2 * x - 3)), None, -6, 6),
}
assert set(DENSITIES) == set(get_args(Named))


class Table:
    """F at nodes, and straight lines between: x = F⁻¹(u), with the mass of each piece spread evenly over it.

    Args:
        log_p: ln p up to a constant.
        low, high: between which p is tabulated; what lies beyond is lost.
        nodes: how many. Half of them are even in x, half in F, so that narrow peaks have their share.
    """

    def __init__(self, log_p: Function, low: float, high: float, nodes: int) -> None:
        even = torch.linspace(low, high, nodes // 2 + 1, dtype=torch.float64)
        wanted = torch.linspace(0, 1, nodes - len(even) + 2, dtype=torch.float64)[1:-1]
        self.x, self.mass = even, _shares(log_p, even)
        for _ in range(REFINED):
            self.x = torch.cat([even, self(wanted)]).sort().values
            self.mass = _shares(log_p, self.x)

    def __call__(self, u: Tensor) -> Tensor:
        return interpolated(self.mass, self.x, u)


def _shares(log_p: Function, x: Tensor) -> Tensor:
    """F at each x, where p between the first and the last is all there is: by Gauss and Legendre between each two."""
    nodes, weights = (torch.from_numpy(each) for each in GAUSS)
    half, middle = 0.5 * x.diff(), 0.5 * (x[1:] + x[:-1])
    masses = half * (log_p(middle[:, None] + half[:, None] * nodes).exp() @ weights)
    found = torch.cat([masses.new_zeros(1), masses.cumsum(0)])
    return found / found[-1]


def interpolated(known: Tensor, values: Tensor, at: Tensor) -> Tensor:
    """Straight lines through (known, values), known in order."""
    place = torch.searchsorted(known, at, right=True).clamp_(1, len(known) - 1)
    below, above = known[place - 1], known[place]
    share = ((at - below) / (above - below).clamp_min(torch.finfo(torch.float64).tiny)).clamp_(0, 1)
    return torch.lerp(values[place - 1], values[place], share)


@transforms.register("inverse_cdf")
class InverseCdf(Transform):
    """x = F⁻¹(u) in each coordinate.

    Args:
        density: `two_peaks` is ½ N(−1.5, 0.5²) + ½ N(1.5, 0.5²), whose F⁻¹ nobody knows; the others are standard ones.
        table: whether F⁻¹ is read off a table even where it is known.
        nodes: of the table.
    """

    def __init__(self, dim: int, *, density: Named = "normal", table: bool = False, nodes: Nodes = 16_384) -> None:
        super().__init__(dim)
        self.density = DENSITIES[density]
        exact = None if table else self.density.quantile
        self.quantile = exact or Table(self.density.log_p, self.density.low, self.density.high, nodes)
        if exact is None:
            u = (torch.arange(CHECKED, dtype=torch.float64) + 0.5) / CHECKED
            self.table_error = float((self.density.cdf(self.quantile(u)) - u).abs().max())

    def draw(self, stream: Stream, n: int) -> Drawn:
        return Drawn(self.quantile(stream.inside(n * self.dim)).reshape(n, self.dim))

    def uniformised(self, x: Tensor) -> Tensor:
        return self.density.cdf(x.double())

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        u = stream.inside(n * self.dim).reshape(n, self.dim)
        x = self.quantile(u)
        return [Stage("uniform", u, u, u[:, 0]), Stage("samples", x, self.uniformised(x), u[:, 0])]

    def largest(self, bits: int) -> float | None:
        least = torch.tensor([2.0 ** -(bits + 1)], dtype=torch.float64)
        ends = self.quantile(torch.cat([least, 1 - least]).clamp(max=1 - 2.0**-53))
        return float(ends.abs().max())
