"""What can be had without any learning: probabilistic PCA, which is the best linear VAE, in closed form.

    p(x) = N(mean, WWᵀ + σ²I),   W = U (Λ − σ²)^½,   σ² = mean of the eigenvalues left out, where it is not given.

Sources: Tipping & Bishop, Probabilistic Principal Component Analysis (1999); Lucas et al., Don't Blame the ELBO! (2019).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ProbabilisticPCA:
    """Mean (d,), directions (d, latent), their variances (latent,) and the noise's σ²."""

    mean: Tensor
    directions: Tensor
    variances: Tensor
    noise: float

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x) in nats, (n, d) → (n,)."""
        centred = (x - self.mean).double()
        inside = centred @ self.directions.double()
        outside = centred.square().sum(1) - inside.square().sum(1)
        size = x.shape[1]
        log_det = self.variances.double().log().sum() + (size - len(self.variances)) * math.log(self.noise)
        mahalanobis = (inside.square() / self.variances).sum(1) + outside / self.noise
        return -0.5 * (mahalanobis + log_det + size * math.log(2 * math.pi))

    def truncated(self, latent: int) -> "ProbabilisticPCA":
        """What maximum likelihood gives with the first `latent` directions alone: the variance of the others becomes noise."""
        size = len(self.mean)
        left = float(self.variances[latent:].sum()) + (size - len(self.variances)) * self.noise
        return ProbabilisticPCA(self.mean, self.directions[:, :latent], self.variances[:latent], left / (size - latent))


def fit_ppca(x: Tensor, latent: int, noise: float | None = None) -> ProbabilisticPCA:
    """Maximum likelihood on examples x (n, d) with a given number of directions and, where given, noise σ²."""
    mean = x.mean(0)
    centred = x - mean
    if len(x) <= x.shape[1]:
        values, vectors = torch.linalg.eigh((centred @ centred.T).double())
        order = values.argsort(descending=True)
        values = values[order].clamp(min=0)
        latent = min(latent, len(x) - 1)
        directions = centred.T @ vectors[:, order[:latent]].to(x.dtype) / values[:latent].clamp(min=1e-9).sqrt()
    else:
        values, vectors = torch.linalg.eigh((centred.T @ centred).double())
        order = values.argsort(descending=True)
        values, latent = values[order].clamp(min=0), min(latent, x.shape[1] - (noise is None))
        directions = vectors[:, order[:latent]]
    variances = values / len(x)
    sigma2 = max(float(variances[latent:].sum()) / (x.shape[1] - latent), 1e-9) if noise is None else noise
    return ProbabilisticPCA(mean, directions.to(x.dtype), variances[:latent].clamp(min=sigma2), sigma2)


def choose_ppca(x: Tensor, validation: Tensor, most: int) -> ProbabilisticPCA:
    """Of the fits to x (n, d) with 1, 2, 4, 8, … and at `most` so many directions, the likeliest on other examples (m, d).

    With as many directions as a few examples allow, hardly any noise is left, and others are given no probability.
    """
    largest = fit_ppca(x, most)
    counts = [2**power for power in range(16) if 2**power < len(largest.variances)]
    fits = [largest, *(largest.truncated(count) for count in counts)]
    return max(fits, key=lambda fit: float(fit.log_prob(validation).mean()))
