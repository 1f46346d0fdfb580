"""Approximate posteriors q(z|x). Each is a head on the encoder's features: features → parameters → samples."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Draws:
    """k samples from each of n posteriors, z (k, n, latent), and ln q(z|x), (k, n), in nats."""

    z: Tensor
    log_prob: Tensor


class GaussianPosterior(nn.Module):
    """q(z|x) = N(μ(x), diag σ²(x)). The parameters, (n, 2·latent), are μ and ln σ².

    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014).
    """

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent)

    def forward(self, features: Tensor) -> Tensor:
        mean, log_variance = self.head(features).float().chunk(2, dim=-1)
        return torch.cat([mean, bounded(log_variance)], dim=-1)

    @torch.no_grad()
    def start_narrow(self, log_variance: float = -3.0) -> None:
        """Let the posteriors begin with about this ln σ²: far narrower than the prior."""
        self.head.bias[self.head.bias.numel() // 2 :] = log_variance

    def draw(self, parameters: Tensor, k: int) -> Draws:
        """z = μ + σε, k times."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        noise = torch.randn(k, *mean.shape, device=mean.device, dtype=mean.dtype)
        log_prob = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
        return Draws(mean + torch.exp(0.5 * log_variance) * noise, log_prob)

    def centre(self, parameters: Tensor) -> Tensor:
        """The point that stands for the posterior, (n, latent): its mean."""
        return parameters.chunk(2, dim=-1)[0]

    def kl_to_standard(self, parameters: Tensor) -> Tensor:
        """KL(q ‖ N(0, I)) of each latent dimension, (n, latent): ½ (μ² + σ² − ln σ² − 1)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def bounded(log_variance: Tensor, usual: float = 2.0) -> Tensor:
    """ln σ² as it is up to `usual`, and from there growing like a logarithm only.

    No posterior has a use for more than the prior's variance, ln σ² = 0; but one strange picture can make a network ask for
    e⁶⁰, and every weight is lost.
    """
    excess = torch.clamp(log_variance - usual, min=0)
    return torch.where(log_variance > usual, usual + torch.log1p(excess), log_variance)
