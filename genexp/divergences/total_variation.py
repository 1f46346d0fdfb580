"""TV(p, q) = ½ ∫ |p − q|: by how much the probability of a region can differ at most; between 0 and 1."""

import math

import torch
from torch import Tensor

from genexp.divergences.base import ALONE, KNOWN, Clouds, Divergence, Gaussian, add


def total_variation(log_p: Tensor, log_q: Tensor, weights: Tensor) -> float:
    """By a rule with these weights over a box that holds all of p: half of what q lacks there is what it has outside."""
    q = log_q.exp()
    inside = float((weights * (log_p.exp() - q).abs()).sum())
    return (inside + max(0.0, 1 - float((weights * q).sum()))) / 2


def of_gaussians(p: Gaussian, q: Gaussian) -> float | None:
    """2 Φ(½ |(μ_p − μ_q)/σ|) − 1 of equal σ in any dimension; on a line, between the two places where p = q, P less Q."""
    if torch.equal(p.std, q.std):
        return math.erf(float(((p.mean - q.mean) / p.std).norm()) / math.sqrt(8))
    if len(p.mean) > 1:
        return None
    a, b = (1 / each.std.square().item() for each in (p, q))
    m, n = p.mean.item(), q.mean.item()
    # ln p = ln q:  (a − b) x² − 2 (a m − b n) x + a m² − b n² − ln(a/b) = 0
    half, constant = (a * m - b * n) / (a - b), (a * m * m - b * n * n - math.log(a / b)) / (a - b)
    root = math.sqrt(half * half - constant)

    def between(gaussian: Gaussian) -> float:
        low, high = ((half + side * root - gaussian.mean.item()) / gaussian.std.item() for side in (-1, 1))
        return 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)))

    return abs(between(p) - between(q))


def of_ratios(at_x: Tensor, at_y: Tensor) -> float:
    """½ E_p (1 − q/p)₊ + ½ E_q (1 − p/q)₊, of ln p/q at points of p (n,) and of q (m,)."""
    over = -torch.expm1(-at_x.clamp(min=0)), -torch.expm1(at_y.clamp(max=0))
    return 0.5 * float(over[0].mean() + over[1].mean())


def nearest(clouds: Clouds) -> float:
    """With ln p/q by √n neighbours: never negative, and so too large where p = q."""
    return of_ratios(*clouds.nearest_ratio(clouds.many))


add(
    Divergence(
        "tv",
        "TV",
        "",
        3,
        lambda line: total_variation(line.log_p, line.log_q, line.weights),
        of_gaussians,
        {ALONE: nearest, KNOWN: lambda clouds: of_ratios(clouds.log_ratio_x, clouds.log_ratio_y)},
        symmetric=True,
    )
)
