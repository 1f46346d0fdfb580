"""What a divergence D(p, q) is, and the three things it can be found of: two Gaussians, two densities on a line, two clouds."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from genexp.discovery import read_modules

ALONE, KNOWN = "samples alone", "densities known"  # what an estimator is given
FEW = 5  # neighbours, of an estimator whose bias is known at any number of them


@dataclass(frozen=True)
class Gaussian:
    """N(mean, diag std²): mean and std (dim,), float64."""

    mean: Tensor
    std: Tensor


@dataclass(frozen=True)
class Line:
    """Two densities on one even grid: x (n,), its step, ln p and ln q (n,) in nats, float64. All of both lies within."""

    x: Tensor
    step: float
    log_p: Tensor
    log_q: Tensor

    @property
    def weights(self) -> Tensor:
        """Of the midpoint rule, (n,)."""
        return torch.full_like(self.x, self.step)

    @property
    def variance(self) -> float:
        """Of p."""
        p = self.log_p.exp() * self.step
        return float((p * (self.x - (p * self.x).sum()).square()).sum())


@dataclass(frozen=True)
class Clouds:
    """Points x (n, dim) of p and y (m, dim) of q, float64, and what is known of the densities where they lie.

    `log_ratio_x`, `log_ratio_y`: ln p − ln q in nats, at x (n,) and at y (m,); `score_gap_x`: ∇ln p − ∇ln q at x, (n, dim);
    `variance`: of a coordinate under p.
    """

    x: Tensor
    y: Tensor
    log_ratio_x: Tensor
    log_ratio_y: Tensor
    score_gap_x: Tensor
    variance: float = 1.0

    @cached_property
    def nearest(self) -> dict[int, list[Tensor]]:
        """ln of the distance to the k-th neighbour, k being `FEW` and `many`: of each x among the others and among y, of each y
        among the others and among x. No point is its own neighbour.
        """
        among_x, among_y, between = (
            torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").numpy()
            for a, b in ((self.x, self.x), (self.y, self.y), (self.x, self.y))
        )
        found: dict[int, list[Tensor]] = {FEW: [], self.many: []}
        for distances, own in ((among_x, 1), (between, 0), (among_y, 1), (between.T, 0)):
            order = np.partition(distances, [k - 1 + own for k in found], axis=1)
            for k, logs in found.items():
                logs.append(torch.from_numpy(order[:, k - 1 + own]).log())
        return found

    def nearest_ratio(self, k: int) -> tuple[Tensor, Tensor]:
        """ln p − ln q at x (n,) and at y (m,), each by the distances to the k-th neighbour of either kind.

        The density there is about k / (N · the volume of the ball): ln p/q = dim ln(ν/ρ) + ln(m/(n − 1)), with ρ the distance to
        the k-th other point of p, and ν to the k-th of q. Both balls have k, and so the means of both errors are the same.
        """
        (n, dim), m = self.x.shape, len(self.y)
        among_x, x_to_y, among_y, y_to_x = self.nearest[k]
        return dim * (x_to_y - among_x) + math.log(m / (n - 1)), dim * (among_y - y_to_x) + math.log((m - 1) / n)

    @property
    def many(self) -> int:
        """Neighbours whose number grows with that of the points, and slower than it: √n."""
        return max(FEW, math.isqrt(len(self.x)))


Closed = Callable[[Gaussian, Gaussian], float | None]
Estimator = Callable[[Clouds], float]


@dataclass(frozen=True)
class Divergence:
    """A number that is 0 where p = q, and never negative.

    Args:
        name: in metrics.
        symbol: on an axis.
        unit: nats, or that of x; "" of a pure number.
        rank: the less, the sooner it is listed.
        on_line: by quadrature; infinite or NaN where it is.
        gaussians: of Gaussians in closed form, in any dimension; None where there is none.
        estimators: from samples, by what they are given: `ALONE` or `KNOWN`.
        symmetric: whether D(p, q) = D(q, p).
    """

    name: str
    symbol: str
    unit: str
    rank: int
    on_line: Callable[[Line], float]
    gaussians: Closed
    estimators: Mapping[str, Estimator] = field(default_factory=dict)
    symmetric: bool = False


_known: dict[str, Divergence] = {}


def add(divergence: Divergence) -> Divergence:
    """It is one of those that are integrated, estimated and drawn."""
    _known[divergence.name] = divergence
    return divergence


@cache
def _read() -> None:
    read_modules("genexp.divergences")


def units() -> dict[str, str]:
    """Of each by name, in words."""
    return {each.name: each.unit.replace("x", "(units of x)" if "²" in each.unit else "units of x") for each in divergences()}


def divergences() -> list[Divergence]:
    """All of them, by rank."""
    _read()
    return sorted(_known.values(), key=lambda each: each.rank)
