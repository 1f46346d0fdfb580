"""Gaussians of any covariance and their mixtures, in any dimension, and everything exact about them."""

import math
from functools import cached_property

import torch
from torch import Tensor

from genexp.data.known import FINE_SIDE, KnownDensity
from genexp.quadrature import Rule, around

PAIRS = 2**18  # of points and components, whose distances are found at once
NEGLIGIBLE = 80.0  # nats below the largest of some terms, where one adds nothing to their sum: e^(−80) = 10^(−35)


def log_sum(terms: Tensor) -> Tensor:
    """ln Σ_k exp(terms_k), (n, components) → (n,). Where a component is far away, exp underflows, which takes twenty times as
    long as an exp that does not: what is negligible is raised to what just is.
    """
    least = terms.detach().amax(1, keepdim=True) - NEGLIGIBLE
    return torch.logsumexp(torch.maximum(terms, least), dim=1)


class Gaussians(KnownDensity):
    """p(x) = Σ_k w_k N(x; μ_k, Σ_k).

    Args:
        means: (components, dim). covariances: (components, dim, dim), positive definite. weights: (components,), normalised here.

    Raises:
        ValueError: a covariance is not positive definite.
    """

    def __init__(self, means: Tensor, covariances: Tensor, weights: Tensor) -> None:
        if bool((covariances - covariances.mT).abs().amax() > 1e-6 * covariances.abs().amax()):
            raise ValueError("a covariance is not symmetric")
        factors, failed = torch.linalg.cholesky_ex(covariances.double())
        if bool(failed.any()) or not bool((factors.diagonal(dim1=1, dim2=2) > 0).all()):
            raise ValueError("a covariance is not positive definite")
        self.dim = means.shape[1]
        self.means, self.weights = means.float(), (weights.double() / weights.double().sum()).float()
        self.factors = factors.float()  # Σ = L Lᵀ

    def log_prob(self, x: Tensor) -> Tensor:
        """ln Σ_k w_k exp(−½ |z_k|² − Σ_i ln L_ii − dim/2 ln 2π), where L_k z_k = x − μ_k."""
        means, factors, weights = (value.to(x.dtype) for value in (self.means, self.factors, self.weights))
        identity = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        whiten = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
        z = torch.einsum("kij,nkj->nki", whiten, x[:, None] - means)
        log_scale = factors.diagonal(dim1=1, dim2=2).log().sum(1) + 0.5 * self.dim * math.log(2 * math.pi)
        return log_sum(weights.log() - 0.5 * z.square().sum(2) - log_scale) - weights.sum().log()

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.dim, generator=generator, device=self.device)
        return self.means[component] + torch.einsum("nij,nj->ni", self.factors[component], noise)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        return (self.means - sigmas * self.stds).amin(0), (self.means + sigmas * self.stds).amax(0)

    @property
    def covariance(self) -> Tensor:
        """Σ of the first component, (dim, dim), float64."""
        return self.factors[0].double() @ self.factors[0].double().mT

    @property
    def stds(self) -> Tensor:
        """Of each coordinate, (components, dim)."""
        return self.factors.square().sum(2).sqrt()

    def quadrature(self, side: int, low: Tensor, high: Tensor) -> Rule:
        """In the plane an even grid if it resolves the narrowest direction of every component, else points as densely as each
        component is narrow.
        """
        if self.dim != 2:
            return super().quadrature(side, low, high)
        narrowest = float(torch.linalg.svdvals(self.factors.double()).amin())
        if float((high - low).max()) / side < narrowest:
            return super().quadrature(side, low, high)
        return around(self.means, self.stds, low, high, side**2)

    @cached_property
    def entropy(self) -> float:
        """Of one component ½ ln det 2πeΣ."""
        if len(self.means) > 1:
            return self.measured_entropy()
        return 0.5 * self.dim * math.log(2 * math.pi * math.e) + float(self.factors[0].double().diagonal().log().sum())


class RoundGaussians(KnownDensity):
    """p(x) = Σ_k w_k N(x; μ_k, σ² I), of any number of components in the plane.

    Args:
        means: (components, 2). std: σ. weights: (components,), normalised here; None: all equal.
    """

    def __init__(self, means: Tensor, std: float, weights: Tensor | None = None) -> None:
        weights = torch.ones(len(means)) if weights is None else weights.double()
        self.means, self.std, self.weights = means.float(), std, (weights / weights.sum()).float()

    def log_prob(self, x: Tensor) -> Tensor:
        means, weights = self.means.to(x.dtype), self.weights.to(x.dtype)
        log_scale = weights.sum().log() + math.log(2 * math.pi * self.std**2)
        parts = []
        for part in x.split(max(1, PAIRS // len(means))):
            distance = torch.cdist(part, means, compute_mode="donot_use_mm_for_euclid_dist")  # (n, components)
            parts.append(log_sum(weights.log() - distance.square() / (2 * self.std**2)))
        return torch.cat(parts) - log_scale

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        component = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        return self.means[component] + self.std * torch.randn(n, 2, generator=generator, device=self.device)

    @property
    def mode_masses(self) -> Tensor:
        """The weights, (components,): the modes' masses as far as no two components overlap."""
        return self.weights.double().cpu()

    def mode_shares(self, x: Tensor) -> Tensor:
        """Of points (n, 2), the share whose nearest mean is that of each component, (components,)."""
        nearest = torch.cdist(x.to(self.means), self.means).argmin(1)
        return torch.bincount(nearest, minlength=len(self.means)).double().cpu() / max(len(x), 1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        return self.means.amin(0) - sigmas * self.std, self.means.amax(0) + sigmas * self.std

    @cached_property
    def entropy(self) -> float:
        """By a grid of steps σ/3, or the finest that is used."""
        low, high = self.box()
        return self.measured_entropy(min(FINE_SIDE, math.ceil(3 * float((high - low).max()) / self.std)))
