"""`model=gmm`: a Gaussian mixture, fitted by expectation maximisation."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.base import Gaussians, GenerativeModel, Terms
from genexp.models.normal import Covariance, Ridge, below, covariance_of, factor_of, log_normal, triangle
from genexp.registry import models
from genexp.settings import Drawn, Weight

PART = 8_192  # examples whose responsibilities are held at once
SEEDED = 4_096  # examples that the means are chosen among


@models.register("gmm")
class GMM(GenerativeModel):
    """p(x) = Σ_k w_k N(x; μ_k, Σ_k).

    A step of EM: r_nk = w_k N(x_n; μ_k, Σ_k) / p(x_n), and then, with N_k = Σ_n r_nk,
    w_k = N_k / N, μ_k = Σ_n r_nk x_n / N_k, Σ_k = Σ_n r_nk (x_n − μ_k)(x_n − μ_k)ᵀ / N_k.

    The first means are examples far from each other (k-means++, Arthur & Vassilvitskii 2007); every example then belongs to
    the nearest one.

    Args:
        components: how many Gaussians.
        covariance: each Σ_k in full, its diagonal alone, or one variance for all.
        ridge: so much of the mean variance is added to every variance, so that none collapses onto one example.
        tolerance: nats per example; a step that gains less is the last.
        examples: so many are drawn of a data set without end.

    Raises:
        UserError: data that are no points; fewer of them than components.
    """

    fitter = "em"
    can: frozenset[Ability] = frozenset({"sample", "exact", "gaussians"})
    objective: Objective = "nll"

    def __init__(
        self,
        spec: DataSpec,
        *,
        components: Annotated[int, Field(ge=1, le=10_000)] = 8,
        covariance: Covariance = "full",
        ridge: Ridge = 1e-6,
        tolerance: Weight = 1e-6,
        examples: Drawn = 65_536,
    ) -> None:
        super().__init__()
        dim = spec.points("gmm")
        self.covariance, self.ridge, self.tolerance, self.examples = covariance, ridge, tolerance, examples
        self.log_weight = fixed(torch.zeros(components))
        self.mean = fixed(torch.zeros(components, dim))
        self.below = fixed(torch.zeros(components, below(dim, covariance, components)))
        self.log_scale = fixed(torch.zeros(components, 1 if covariance == "spherical" else dim))

    # --- fitting ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        x = batch.x.double()
        if len(x) < len(self.mean):
            raise UserError(f"model.components={len(self.mean)}: there are only {len(x)} examples")
        means = far_apart(x[torch.randperm(len(x))[:SEEDED].to(x.device)], len(self.mean))
        nearest = torch.cat([torch.cdist(part, means).argmin(1) for part in x.split(PART)])
        self._maximise(x, nn.functional.one_hot(nearest, len(means)).double())

    @torch.no_grad()
    def em_step(self, batch: Batch) -> Terms:
        """One step on the whole training set; −mean ln p(x) before it."""
        x = batch.x.double()
        joint = torch.cat([self._log_joint(part) for part in x.split(PART)])
        log_prob = joint.logsumexp(1, keepdim=True)
        self._maximise(x, (joint - log_prob).exp())
        return {"loss": -log_prob.mean()}

    def _maximise(self, x: Tensor, responsible: Tensor) -> None:
        """The weights, means and covariances that fit x (n, dim) best where example n belongs to k by r_nk."""
        counts = responsible.sum(0)
        self.log_weight.copy_((counts / len(x)).log().clamp(min=-80.0))
        for k in torch.nonzero(counts > 1e-8 * len(x) / len(counts)).flatten().tolist():  # one that has died stays where it was
            r = responsible[:, k]
            mean = r @ x / counts[k]
            factor = factor_of(covariance_of(x - mean, r), self.covariance, self.ridge)
            self.mean[k], self.below[k], self.log_scale[k] = mean, factor.below, factor.log_scale

    # --- the density -----------------------------------------------------------------------------------------

    def _log_joint(self, x: Tensor) -> Tensor:
        """ln w_k + ln N(x; μ_k, Σ_k), (n, components), in the digits of x."""
        factors = triangle(self.log_scale.to(x.dtype), self.below.to(x.dtype), x.shape[1])
        each = log_normal(x - self.mean.to(x.dtype)[:, None], factors)
        return each.mT + self.log_weight.to(x.dtype).log_softmax(0)

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], in nats per example."""
        return {"loss": -self.log_prob(batch.x).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats."""
        return self._log_joint(x).logsumexp(1)

    @torch.no_grad()
    def gaussians(self) -> Gaussians:
        """w_k, μ_k and Σ_k."""
        factors = triangle(self.log_scale, self.below, self.mean.shape[1])
        return Gaussians(self.log_weight.softmax(0), self.mean.detach(), factors @ factors.mT)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, dim)."""
        k = torch.multinomial(self.log_weight.softmax(0), n, replacement=True)
        noise = torch.randn(n, self.mean.shape[1], 1, device=self.mean.device, dtype=self.mean.dtype)
        return self.mean[k] + (triangle(self.log_scale, self.below, self.mean.shape[1])[k] @ noise).squeeze(2)


def fixed(values: Tensor) -> nn.Parameter:
    """A number that is fitted, and not by its gradient."""
    return nn.Parameter(values, requires_grad=False)


def far_apart(x: Tensor, count: int) -> Tensor:
    """`count` of the points x (n, dim), each drawn in proportion to its squared distance from the nearest one so far."""
    chosen = [x[0]]
    distance = (x - x[0]).square().sum(1)
    while len(chosen) < count:
        share = distance if bool(distance.sum() > 0) else torch.ones_like(distance)
        chosen.append(x[torch.multinomial(share, 1)[0]])
        distance = torch.minimum(distance, (x - chosen[-1]).square().sum(1))
    return torch.stack(chosen)
