"""The latent-variable model whose every integral is known: x = Wz + b + σε with z ~ N(0, I), ε ~ N(0, I).

    p(x) = N(b, WWᵀ + σ²I),   p(z|x) = N(M⁻¹ Wᵀ(x − b)/σ², M⁻¹),   M = I + WᵀW/σ².

Sources: Tipping & Bishop, Probabilistic Principal Component Analysis (1999); Lucas et al., Don't Blame the ELBO! (2019).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinearGaussian:
    """W (d, latent), b (d,) and σ² (), in float64. Examples are x (n, d); q(z|x) = N(μ, diag s²) is given by its parameters μ
    and ln s², (n, 2·latent). All results in nats, (n,).
    """

    weight: Tensor
    mean: Tensor
    variance: Tensor

    @property
    def precision(self) -> Tensor:
        """M, the inverse of the covariance of p(z|x): the same for every x; (latent, latent)."""
        return torch.eye(self.weight.shape[1], dtype=self.weight.dtype) + self.weight.T @ self.weight / self.variance

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Of p(z|x), (n, latent)."""
        return torch.linalg.solve(self.precision, self.weight.T @ (x - self.mean).T).T / self.variance

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), by the matrix determinant lemma: ln det(WWᵀ + σ²I) = ln det M + d ln σ²."""
        centred, d = x - self.mean, x.shape[1]
        inside = (centred @ self.weight) * self.posterior_mean(x)
        squares = (centred.square().sum(1) - inside.sum(1)) / self.variance
        return -0.5 * (squares + torch.logdet(self.precision) + d * torch.log(2 * math.pi * self.variance))

    def reconstruction(self, x: Tensor, parameters: Tensor) -> Tensor:
        """−E_q[ln p(x|z)]: |x − b − Wμ|² + Σ_i s_i² |W_i|², over 2σ², and the norm."""
        mu, log_variance = parameters.chunk(2, dim=1)
        squares = (x - self.mean - mu @ self.weight.T).square().sum(1) + log_variance.exp() @ self.weight.square().sum(0)
        return 0.5 * (squares / self.variance + x.shape[1] * torch.log(2 * math.pi * self.variance))

    def kl(self, parameters: Tensor) -> Tensor:
        """KL(q ‖ N(0, I)) of each latent dimension, (n, latent)."""
        mu, log_variance = parameters.chunk(2, dim=1)
        return 0.5 * (mu.square() + log_variance.exp() - log_variance - 1)

    def elbo(self, x: Tensor, parameters: Tensor) -> Tensor:
        return -self.reconstruction(x, parameters) - self.kl(parameters).sum(1)

    def gap(self, x: Tensor, parameters: Tensor) -> Tensor:
        """KL(q ‖ p(z|x)) = ln p(x) − ELBO, found from the two Gaussians."""
        mu, log_variance = parameters.chunk(2, dim=1)
        away, precision = mu - self.posterior_mean(x), self.precision
        spread = log_variance.exp() @ precision.diagonal() + ((away @ precision) * away).sum(1)
        return 0.5 * (spread - log_variance.sum(1) - torch.logdet(precision) - mu.shape[1])
