"""`model=normal`: one Gaussian, fitted in closed form. The least that any other model has to be better than."""

import math
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.models.base import Gaussians, GenerativeModel, Terms
from genexp.registry import models
from genexp.settings import Drawn

Covariance = Literal["full", "diagonal", "spherical"]
LARGEST = 100_000_000  # numbers in all covariances: 800 MB in float64
Ridge = Annotated[float, Field(ge=0, le=1e6)]


@models.register("normal")
class Normal(GenerativeModel):
    r"""p(x) = N(x; μ, Σ) with the maximum of the likelihood, μ = 1/N Σ_n x_n and Σ = 1/N Σ_n (x_n − μ)(x_n − μ)ᵀ.

    It takes examples of any shape, whose numbers are put in a row.

    In short:
        One Gaussian is fitted in closed form: the least that any other model has to be better than.

    Equation:
        p(x) = \mathcal{N}(x; μ, Σ), \qquad μ = \frac{1}{N} \sum_n x_n, \quad Σ = \frac{1}{N} \sum_n (x_n - μ)(x_n - μ)^T

    Objective:
        \mathcal{L} = -\frac{1}{N} \sum_n \ln \mathcal{N}(x_n; μ, Σ)

    Args:
        covariance: Σ in full, its diagonal alone, or one variance for all.
        ridge: so much of the mean variance is added to every variance, where a number never moves.
        examples: so many are drawn of a data set without end.

    Raises:
        UserError: data that are not real numbers, or so many of them that a full covariance would be too large.
    """

    fitter = "none"
    objective: Objective = "nll"

    def __init__(self, spec: DataSpec, *, covariance: Covariance = "full", ridge: Ridge = 1e-6, examples: Drawn = 65_536) -> None:
        super().__init__()
        spec.check_kind(("real", "unit"), "model=normal")
        self.shape, self.covariance, self.ridge, self.examples = spec.shape, covariance, ridge, examples
        dim = math.prod(spec.shape)
        self.mean = nn.Parameter(torch.zeros(dim), requires_grad=False)
        self.below = nn.Parameter(torch.zeros(below(dim, covariance)), requires_grad=False)
        self.log_scale = nn.Parameter(torch.zeros(1 if covariance == "spherical" else dim), requires_grad=False)

    @property
    def can(self) -> frozenset[Ability]:
        return frozenset({"sample", "exact", "gaussians"} if len(self.shape) == 1 else {"sample", "exact"})

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        x = batch.x.flatten(1).double()
        factor = factor_of(covariance_of(x - x.mean(0), None), self.covariance, self.ridge)
        self.mean.copy_(x.mean(0))
        self.below.copy_(factor.below)
        self.log_scale.copy_(factor.log_scale)

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], in nats per example."""
        return {"loss": -self.log_prob(batch.x).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        return log_normal(x.flatten(1) - self.mean, triangle(self.log_scale, self.below, len(self.mean)))

    @torch.no_grad()
    def gaussians(self) -> Gaussians:
        """Itself, of weight one."""
        factor = triangle(self.log_scale, self.below, len(self.mean))
        free = sum(weights.numel() for weights in self.parameters())
        return Gaussians(torch.ones_like(self.mean[:1]), self.mean.detach()[None], (factor @ factor.mT)[None], free)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, *shape)."""
        noise = torch.randn(n, len(self.mean), device=self.mean.device, dtype=self.mean.dtype)
        with all_digits(self.mean.device):
            x = self.mean + noise @ triangle(self.log_scale, self.below, len(self.mean)).mT
        return x.unflatten(1, self.shape)


class Factor:
    """Cholesky factors L of covariances Σ = L Lᵀ, shape (…): their numbers below the diagonal, and ln of those on it."""

    def __init__(self, below: Tensor, log_scale: Tensor) -> None:
        self.below, self.log_scale = below, log_scale


def below(dim: int, covariance: Covariance, components: int = 1) -> int:
    """How many numbers each factor has below its diagonal; UserError where those of all `components` would be too many."""
    if covariance != "full":
        return 0
    if components * dim**2 > LARGEST:
        raise UserError(f"a full covariance of {dim:,} numbers would be too large", hint="model.covariance=diagonal")
    return dim * (dim - 1) // 2


def covariance_of(x: Tensor, weights: Tensor | None) -> Tensor:
    """1/Σw Σ_n w_n x_n x_nᵀ of x (n, dim): (dim, dim); every w_n is 1 where there are none."""
    if weights is None:
        return x.mT @ x / len(x)
    return (x * weights[:, None]).mT @ x / weights.sum()


def factor_of(covariance: Tensor, kind: Covariance, ridge: float) -> Factor:
    """The factor of a covariance (dim, dim) of that kind, with `ridge` of its mean variance on the diagonal."""
    variances = covariance.diagonal()
    added = ridge * variances.mean().clamp(min=torch.finfo(torch.float32).tiny)
    if kind != "full":
        kept = variances.mean(0, keepdim=True) if kind == "spherical" else variances
        return Factor(covariance.new_zeros(0), 0.5 * (kept + added).log())
    identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    triangle, failed = torch.linalg.cholesky_ex(covariance + added * identity)
    while failed:  # rounding made it indefinite: a little more of the ridge
        added = torch.clamp(10 * added, min=1e-12 * float(variances.mean().clamp(min=1e-30)))
        triangle, failed = torch.linalg.cholesky_ex(covariance + added * identity)
    rows, columns = torch.tril_indices(len(covariance), len(covariance), -1)
    return Factor(triangle[rows, columns], triangle.diagonal().log())


def triangle(log_scale: Tensor, below: Tensor, dim: int) -> Tensor:
    """L (…, dim, dim) from ln of its diagonal (…, dim) or (…, 1), and what is below that, (…, dim (dim − 1) / 2) or nothing."""
    full = torch.diag_embed(log_scale.exp().expand(*log_scale.shape[:-1], dim))
    if below.shape[-1]:
        rows, columns = torch.tril_indices(dim, dim, -1)
        full = full.clone()
        full[..., rows, columns] = below
    return full


def log_normal(x: Tensor, factor: Tensor) -> Tensor:
    """ln N(x; 0, L Lᵀ) in nats: x (…, n, dim), L (…, dim, dim) → (…, n)."""
    z = torch.linalg.solve_triangular(factor, x.mT, upper=False)
    log_det = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1, keepdim=True)
    return -0.5 * z.square().sum(-2) - log_det - 0.5 * x.shape[-1] * math.log(2 * math.pi)
