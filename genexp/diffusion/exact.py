"""What is known of diffusion in closed form: every density and denoised point of a mixture of Gaussians, and what any sampler
makes of Gaussian data.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.diffusion.base import DiffusionSampler, Schedule


@dataclass(frozen=True)
class NoisyMixture:
    """p(u) = Σ_k w_k N(u; μ_k, Σ_k), which noise makes p_τ(m) = Σ_k w_k N(m; μ_k, Σ_k + τ²I).

    Args:
        weights: (k,), of sum 1. means: (k, dim). covariances: (k, dim, dim).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def log_joint(self, m: Tensor, tau: Tensor) -> Tensor:
        """ln w_k N(m; μ_k, Σ_k + τ²I) of points m, (n, dim), at levels τ, (n,): (n, k)."""
        means, noisy = self._at(m, tau)
        apart = m[:, None] - means
        square = (apart * torch.linalg.solve(noisy, apart[..., None])[..., 0]).sum(-1)
        dim = m.shape[1]
        return self.weights.to(m).log() - 0.5 * (square + noisy.logdet() + dim * math.log(2 * math.pi))

    def log_prob(self, m: Tensor, tau: Tensor) -> Tensor:
        """ln p_τ(m), (n,)."""
        return self.log_joint(m, tau).logsumexp(1)

    def of_each(self, m: Tensor, tau: Tensor) -> Tensor:
        """E[u|m, k] = μ_k + Σ_k (Σ_k + τ²I)⁻¹ (m − μ_k), (n, k, dim)."""
        means, noisy = self._at(m, tau)
        pulled = torch.linalg.solve(noisy, (m[:, None] - means)[..., None])
        return means + (self.covariances.to(m) @ pulled)[..., 0]

    def denoised(self, m: Tensor, tau: Tensor) -> Tensor:
        """D(m, τ) = E[u|m], (n, dim)."""
        share = self.log_joint(m, tau).softmax(1)
        return (share[..., None] * self.of_each(m, tau)).sum(1)

    def guided(self, m: Tensor, tau: Tensor, component: Tensor, weight: float) -> Tensor:
        """D + w (E[u|m, k] − D), where k, (n,), is the class: exact scores, guided."""
        free, each = self.denoised(m, tau), self.of_each(m, tau)
        chosen = each.gather(1, component[:, None, None].expand(-1, 1, m.shape[1]))[:, 0]
        return free + weight * (chosen - free)

    def _at(self, m: Tensor, tau: Tensor) -> tuple[Tensor, Tensor]:
        noise = tau.to(m)[:, None, None, None] ** 2 * torch.eye(m.shape[1], dtype=m.dtype, device=m.device)
        return self.means.to(m), self.covariances.to(m) + noise


def gaussian_std(sampler: DiffusionSampler, schedule: Schedule, std: float, steps: int) -> float:
    """The standard deviation of what a sampler makes of exact scores of N(0, std²), without an error of sampling.

    There D = std²/(std²+τ²) m, and all samplers are linear: their result is a sum of independent Gaussians, one for the start and
    one for each noise, and its variance the sum of their squared coefficients. These are found all at once: in row j of the
    points only noise j is 1, and the others are 0.
    """
    rows = 1 + 4 * steps
    drawn = 0

    def unit(m: Tensor) -> Tensor:
        nonlocal drawn
        drawn += 1
        found = torch.zeros_like(m)
        found[drawn] = 1
        return found

    def denoised(m: Tensor, tau: Tensor) -> Tensor:
        return std**2 / (std**2 + tau[:, None] ** 2) * m

    start = torch.zeros(rows, 1, dtype=torch.float64)
    start[0] = schedule.start
    return float(sampler.walk(denoised, start, schedule, steps, unit).m[-1].square().sum().sqrt())
