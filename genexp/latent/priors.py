"""Priors p(z)."""

import math

import torch
from torch import Tensor, nn


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    like: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.register_buffer("like", torch.empty(0))

    def log_prob(self, z: Tensor) -> Tensor:
        """ln p(z) in nats, (…, latent) → (…)."""
        return -0.5 * z.square().sum(-1) - 0.5 * self.latent * math.log(2 * math.pi)

    def sample(self, n: int) -> Tensor:
        """n points, (n, latent)."""
        return torch.randn(n, self.latent, device=self.like.device, dtype=self.like.dtype)
