"""A mixture of Gaussians with diagonal covariances, in the plane, and everything exact about it."""

import math

import torch
from torch import Tensor

from genexp.data.even import even_shares, shifted_lattices
from genexp.data.known import KnownDensity
from genexp.quadrature import Rule, around, midpoints

EXACT = 1e-6  # what an even grid may miss of the mass before one that follows the components takes its place


class GaussianMixture(KnownDensity):
    """p(x) = Σ_k w_k N(x; μ_k, diag σ_k²).

    Args:
        means, stds: (components, 2). weights: (components,), normalised here.
    """

    def __init__(self, means: Tensor, stds: Tensor, weights: Tensor) -> None:
        self.means, self.stds = means, stds
        self.weights = weights / weights.sum()
        self.device = means.device

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, shape (n, 2)."""
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, 2, generator=generator, device=self.device)
        return self.means[component] + self.stds[component] * noise

    def sample_evenly(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, (n, 2), in random order, that lie more evenly in this density than independent ones; means of any f are
        unbiased. Of each component there is its share of n to within one, on a shifted lattice that Φ⁻¹ makes normal.
        """
        component = even_shares(self.weights, n, generator)
        noise = torch.special.ndtri(shifted_lattices(component, len(self.weights), generator))
        order = torch.randperm(n, generator=generator, device=self.device)
        return (self.means[component] + self.stds[component] * noise)[order]

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

    def quadrature(self, side: int, low: Tensor, high: Tensor) -> Rule:
        """About side² points for integrals over the rectangle from `low` to `high`: an even grid where that finds this density's
        own mass in it, and elsewhere points that lie as densely as each component is narrow, if these find more of it.
        """
        even, mass = midpoints(low, high, side).rule(), self.box_mass(low, high)
        missed = abs(self.mass(even) - mass)
        if missed < EXACT:
            return even
        dense = around(self.means, self.stds, low, high, side**2)
        return dense if abs(self.mass(dense) - mass) < missed else even

    def box_mass(self, low: Tensor, high: Tensor) -> float:
        """P(low < x < high), in closed form."""
        ends = [torch.special.ndtr((corner.double() - self.means.double()) / self.stds.double()) for corner in (low, high)]
        return float((self.weights.double() * (ends[1] - ends[0]).prod(1)).sum())
