"""Covariances that learn from each other: what a component has too few examples for, the others tell it.

Each Σ_k of K is fitted as if its component had ν more examples, of a covariance Σ₀ that all have in common, and Σ₀ is fitted too:
from the log-likelihood is taken

    min_Σ₀ ν Σ_k KL(N(0, Σ₀) ‖ N(0, Σ_k)) = ½νK (ln |mean Λ_k| − mean ln |Λ_k|),      Λ_k = Σ_k⁻¹,  Σ₀ = (mean Λ_k)⁻¹:

nothing where all are alike, and nothing for a single component. A step of EM is then Σ_k = (N_k S_k + ν Σ₀)/(N_k + ν), S_k the
covariance of the component's own examples, and what it climbs never falls. ν = 0 is maximum likelihood, ν → ∞ one covariance for
all. For a given Σ₀ it is an inverse Wishart prior.

Source: Fraley & Raftery, Bayesian Regularization for Normal Mixture Estimation and Model-Based Clustering (2007), for that prior.
"""

import torch
from torch import Tensor


def common(factor: Tensor) -> Tensor:
    """Σ₀ of Σ_k = L_k L_kᵀ: L (k, dim, dim) → (dim, dim); or of standard deviations (k, dim) → (dim,)."""
    if factor.dim() == 3:
        return torch.cholesky_inverse(torch.linalg.cholesky(torch.cholesky_inverse(factor).mean(0)))
    return 1 / factor.square().reciprocal().mean(0)


def shrunk(own: Tensor, counts: Tensor, towards: Tensor, strength: float) -> Tensor:
    """(N_k S_k + ν Σ₀)/(N_k + ν) of covariances S (k, dim, dim), or of variances (k, dim); N (k,)."""
    share = (strength / (counts + strength)).view(-1, *[1] * (own.dim() - 1))
    return torch.lerp(own, towards.expand_as(own), share.expand_as(own))


def loss(factor: Tensor, strength: float) -> Tensor:
    """What is taken from the log-likelihood, at least 0, in nats; `factor` as in `common`."""
    if factor.dim() == 3:
        mean = torch.linalg.cholesky(torch.cholesky_inverse(factor).mean(0))
        apart = 2 * mean.diagonal().log().sum() + 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1).mean()
    else:
        apart = factor.square().reciprocal().mean(0).log().sum() + 2 * factor.log().sum(1).mean()
    return 0.5 * strength * len(factor) * apart
