"""−E ln q of points from a uniform density, nearly without their scatter."""

import math

import torch
from torch import Tensor

from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

_PART = 2_048  # points that go along an ODE at once


def steadied(log_ratio: Tensor, inside: Tensor) -> tuple[float, float]:
    """KL(p ‖ q) = E_p[ln p − ln q], and its standard error, by points of p and samples of q.

    Where q is near p, −ln q/p is small and of either sign, and q/p − 1 is nearly its opposite; and the mean of that is known but
    for one number, Q, which is the mass of q on the support of p:

        E_p[q/p] = Q,    KL = E_p[−ln q/p + β (q/p − Q)] for any β

    With β = 1 what is averaged is −ln r + r − 1 ≥ 0, of the second order in r − 1. Here each half of the points has the β that
    makes the variance of the other half least: it does not depend on the points that it is used with, so nothing is biased.
    Source: Schulman, Approximating KL Divergence (2020).

    Args:
        log_ratio: ln q/p of points that were drawn from p, (n,), n ≥ 4.
        inside: which of the samples of q lie on the support of p, (m,); Q is their share.
    """
    ratio, q = log_ratio.exp(), inside.double()
    halves = [slice(0, None, 2), slice(1, None, 2)]
    betas = [_best(log_ratio[one], ratio[one]) for one in reversed(halves)]
    parts = [beta * (ratio[one] - q.mean()) - log_ratio[one] for beta, one in zip(betas, halves, strict=True)]
    shares = [len(part) / len(log_ratio) for part in parts]
    mean = sum(share * float(part.mean()) for share, part in zip(shares, parts, strict=True))
    of_points = sum(share**2 * float(part.var()) / len(part) for share, part in zip(shares, parts, strict=True))
    beta = sum(share * each for share, each in zip(shares, betas, strict=True))
    return mean, math.sqrt(of_points + beta**2 * float(q.var()) / len(q))


def _best(log_ratio: Tensor, ratio: Tensor) -> float:
    """β = Cov(ln r, r) / Var r, in [0, 1]: 0 where r does not vary."""
    both = torch.stack([log_ratio, ratio]).cov()
    return min(1.0, max(0.0, float(both[0, 1] / both[1, 1]))) if float(both[1, 1]) > 0 else 0.0


def on_support(subject: Subject, n: int, refinement: float) -> Tensor | None:
    """Which of n samples of the very density whose likelihood is found lie where the data can be, (n,); None of a model whose
    samples are others, as those of a chain or of coarser steps are.
    """
    if "closely" not in subject.can:
        return None
    with seeded(seed_for(subject.settings.seed, "on support"), subject.device):
        parts = [min(_PART, n - start) for start in range(0, n, _PART)]
        samples = torch.cat([subject.model.sample_closely(part, refinement).cpu() for part in parts])
    return subject.density.contains(samples)
