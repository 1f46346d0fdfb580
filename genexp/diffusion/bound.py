"""The variational bound of a diffusion model's likelihood, in continuous time and in nats.

    −ln p(u) ≤ KL(N(u, τ₁²I) ‖ N(0, (1+τ₁²)I))  +  ∫ E|ε − ε̂(u + τε, τ)|² dln τ  +  dim/2 ln(2πe τ₀²)

over ln τ from τ₀, the least noise level, to τ₁, the largest: what the start of the samples costs, what the network's errors cost,
and what it costs to guess u from u + τ₀ε. It bounds the likelihood of the SDE's samples, is exact for the exact score and τ₀ → 0,
τ₁ → ∞, and says nothing of the ODE's samples, whose density is another one as long as the network is wrong.

Sources: Kingma et al., Variational diffusion models (2021), with d(1/τ²) = −2/τ² dln τ; Song et al., Maximum likelihood training
of score-based diffusion models (2021).
"""

import math

import torch
from torch import Tensor

from genexp.diffusion.base import Denoised
from genexp.diffusion.predictions import noise_of
from genexp.velocity.path import stratified


def prior_cost(u: Tensor, last: float) -> Tensor:
    """KL(N(u, τ₁²I) ‖ N(0, (1+τ₁²)I)), (n,), of points u, (n, dim)."""
    total = 1 + last**2
    return 0.5 * ((last**2 + u.square()) / total - 1 - math.log(last**2 / total)).sum(1)


@torch.no_grad()
def negative_bound(denoised: Denoised, u: Tensor, ends: tuple[float, float], draws: int) -> Tensor:
    """The bound of −ln p of points u, (n, dim), (n,), in nats: an unbiased estimate by so many noise levels for each, which are
    even in ln τ but for a shift.
    """
    low, high = math.log(ends[0]), math.log(ends[1])
    shares = stratified(len(u), u.device)[torch.randperm(len(u), device=u.device)].to(u)  # a shift for each point
    total = torch.zeros_like(shares)
    for index in range(draws):
        tau = torch.exp(low + (high - low) * (index + shares) / draws)
        noise = torch.randn_like(u)
        m = u + tau[:, None] * noise
        total += (noise - noise_of(denoised(m, tau), m, tau[:, None])).square().sum(1)
    dim = u.shape[1]
    return prior_cost(u, ends[1]) + (high - low) * total / draws + 0.5 * dim * math.log(2 * math.pi * math.e * ends[0] ** 2)
