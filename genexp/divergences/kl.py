"""KL(p ‖ q) = ∫ p ln(p/q), forward, and KL(q ‖ p), reverse."""

import torch
from torch import Tensor

from genexp.divergences.base import ALONE, FEW, KNOWN, Clouds, Divergence, Gaussian, add


def kl(log_p: Tensor, log_q: Tensor, weights: Tensor) -> float:
    """∫ p (ln p − ln q) by a rule with these weights, (n,) each, in nats. Where p underflows to 0 the integrand is 0."""
    p = log_p.exp()
    return float((weights * torch.where(p > 0, p * (log_p - log_q), 0.0)).sum())


def of_gaussians(p: Gaussian, q: Gaussian) -> float:
    """½ Σ_i [(σ_p² + (μ_p − μ_q)²)/σ_q² − 1 − ln σ_p²/σ_q²]."""
    ratio = (p.std / q.std).square()
    return float(0.5 * (ratio + ((p.mean - q.mean) / q.std).square() - 1 - ratio.log()).sum())


def nearest(clouds: Clouds) -> tuple[float, float]:
    """KL(p ‖ q) and KL(q ‖ p) by few neighbours, consistent as n grows; either may be negative.

    Source: Wang, Kulkarni & Verdú, Divergence Estimation for Multidimensional Densities Via k-Nearest-Neighbor Distances (2009).
    """
    at_x, at_y = clouds.nearest_ratio(FEW)
    return float(at_x.mean()), -float(at_y.mean())


add(
    Divergence(
        "forward_kl",
        "KL(p‖q)",
        "nats",
        0,
        lambda line: kl(line.log_p, line.log_q, line.weights),
        of_gaussians,
        {ALONE: lambda clouds: nearest(clouds)[0], KNOWN: lambda clouds: float(clouds.log_ratio_x.mean())},
    )
)
add(
    Divergence(
        "reverse_kl",
        "KL(q‖p)",
        "nats",
        1,
        lambda line: kl(line.log_q, line.log_p, line.weights),
        lambda p, q: of_gaussians(q, p),
        {ALONE: lambda clouds: nearest(clouds)[1], KNOWN: lambda clouds: -float(clouds.log_ratio_y.mean())},
    )
)
