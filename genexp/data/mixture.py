"""A mixture of Gaussians with diagonal covariances, in the plane, and everything exact about it."""

import math

import torch
from torch import Tensor

from genexp.quadrature import midpoints


class GaussianMixture:
    """p(x) = Σ_k w_k N(x; μ_k, diag σ_k²).

    Args:
        means, stds: (components, 2). weights: (components,), normalised here.
    """

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor) -> None:
        self.means, self.stds = means, stds
        self.weights = weights / weights.sum()
        self.device = means.device

    def to(self, device: torch.device) -> "GaussianMixture":
        return GaussianMixture(self.means.to(device), self.stds.to(device), self.weights.to(device))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, shape (n, 2)."""
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, 2, generator=generator, device=self.device)
        return self.means[component] + self.stds[component] * noise

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats and in the precision of x."""
        means, stds, weights = (value.to(x.dtype) for value in (self.means, self.stds, self.weights))
        z = (x[:, None] - means) / stds
        return torch.logsumexp(weights.log() - 0.5 * z.square().sum(2) - stds.log().sum(1) - math.log(2 * math.pi), dim=1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """Lower and upper corner of a box that holds all but a negligible part of the mass."""
        return (self.means - sigmas * self.stds).amin(0), (self.means + sigmas * self.stds).amax(0)

    def strip_mass(self, low: float, high: float) -> float:
        """P(low < x₁ < high)."""
        cdf = [torch.special.ndtr((edge - self.means[:, 0].double()) / self.stds[:, 0].double()) for edge in (low, high)]
        return float((self.weights.double() * (cdf[1] - cdf[0])).sum())

    @property
    def entropy(self) -> float:
        """−E[ln p], in nats, by quadrature."""
        grid = midpoints(*self.box(), 600)
        log_p = self.log_prob(grid.points)
        return float(-(log_p.exp() * log_p).sum() * grid.area)
