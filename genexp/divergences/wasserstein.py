"""W₁ and W₂: the mean way, and the root of the mean squared way, of the cheapest transport of p to q, in the units of x."""

import math

import numpy as np
import torch
from torch import Tensor

from genexp.divergences.base import ALONE, Divergence, Gaussian, Line, add


def wasserstein(one: Tensor, other: Tensor, power: int = 1) -> float:
    """W_p = (min over pairings π of 1/n Σ_i |x_i − y_π(i)|^p)^(1/p) of two clouds (n, dim), in the units of the points: exactly.

    Not 0 for two samples of one distribution, and in many dimensions far from it: compare with that. Costs about n³; on a line,
    where the order is the pairing, n ln n.
    """
    if one.shape[1] == 1:
        ways = (one.double().sort(dim=0).values - other.double().sort(dim=0).values).abs()[:, 0]
    else:
        from scipy.optimize import linear_sum_assignment

        distances = torch.cdist(one.double(), other.double(), compute_mode="donot_use_mm_for_euclid_dist")
        rows, columns = linear_sum_assignment((distances**power).numpy())
        ways = distances[rows, columns]
    return float((ways**power).mean()) ** (1 / power)


def distribution(log_density: Tensor, step: float) -> np.ndarray:
    """F at the edges of the cells of an even grid, (n + 1,), from 0 to 1 whatever lies beyond."""
    found = np.concatenate([[0.0], (log_density.exp() * step).cumsum(0).numpy()])
    return found / found[-1]  # type: ignore[no-any-return]


def first_on_line(line: Line) -> float:
    """W₁ = ∫ |F − G| dx."""
    gap = distribution(line.log_p, line.step) - distribution(line.log_q, line.step)
    return float(np.abs(gap).sum()) * line.step


def second_on_line(line: Line) -> float:
    """W₂² = ∫₀¹ (F⁻¹(u) − G⁻¹(u))² du: both are straight between any two values that F or G has at an edge."""
    edges = np.concatenate([line.x.numpy() - line.step / 2, [line.x[-1].item() + line.step / 2]])
    functions = [distribution(each, line.step) for each in (line.log_p, line.log_q)]
    u = np.unique(np.concatenate(functions))
    gap = np.subtract(*(np.interp(u, values, edges) for values in functions))  # across a stretch without mass no u lies
    return math.sqrt(float((np.diff(u) * (gap[1:] ** 2 + gap[1:] * gap[:-1] + gap[:-1] ** 2)).sum() / 3))


def first_of_gaussians(p: Gaussian, q: Gaussian) -> float | None:
    """|μ_p − μ_q| of equal σ; on a line E |Δ + s z| with Δ = μ_p − μ_q, s = σ_p − σ_q and z ~ N(0, 1)."""
    if torch.equal(p.std, q.std):
        return float((p.mean - q.mean).norm())
    if len(p.mean) > 1:
        return None
    gap, spread = (p.mean - q.mean).item(), abs((p.std - q.std).item())
    share = gap / (spread * math.sqrt(2))
    return spread * math.sqrt(2 / math.pi) * math.exp(-(share**2)) + gap * math.erf(share)


def second_of_gaussians(p: Gaussian, q: Gaussian) -> float:
    """W₂² = |μ_p − μ_q|² + |σ_p − σ_q|²."""
    return math.hypot(float((p.mean - q.mean).norm()), float((p.std - q.std).norm()))


add(
    Divergence(
        "w1", "W₁", "x", 4, first_on_line, first_of_gaussians, {ALONE: lambda each: wasserstein(each.x, each.y)}, symmetric=True
    )
)
add(
    Divergence(
        "w2",
        "W₂",
        "x",
        5,
        second_on_line,
        second_of_gaussians,
        {ALONE: lambda each: wasserstein(each.x, each.y, power=2)},
        symmetric=True,
    )
)
