"""`model=mfa`: a mixture of factor analysers, fitted by expectation maximisation to points or to pictures."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.dequantisation import continuous, greys
from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.mixtures.clusters import clusters
from genexp.models.base import Gaussians, GenerativeModel, Terms
from genexp.models.normal import Ridge
from genexp.registry import models
from genexp.settings import Drawn, Weight

PART = 1_024  # examples that are held at once in float64
LOOKED_AT = 8_192  # examples that clusters are found among
LARGEST = 100_000_000  # numbers in all directions: 800 MB in float64
LEAST = 1e-12  # variance, where no ridge keeps it up
DEAD = 1e-8  # share of what a component would have if all were equal
FAINTEST = -80.0  # ln of a weight
WIDE = 0.01  # the least variance of the background's noise, a share of the data's mean variance


@models.register("mfa")
class MFA(GenerativeModel):
    r"""p(x) = Σ_k w_k N(x; μ_k, W_k W_kᵀ + Ψ_k), Ψ_k diagonal: x = μ_k + W_k z + noise, z ~ N(0, I) of few dimensions.

    A step of EM, with r_nk = p(k|x_n) and z̃ = (z, 1): (W_k, μ_k) = Σ_n r_nk x_n E[z̃]ᵀ (Σ_n r_nk E[z̃ z̃ᵀ])⁻¹, and Ψ_k is the
    variance that is left of each coordinate. No covariance is ever formed: a step costs as much as its projections W_kᵀ x_n.

    Pictures are given to it as y = (k + u)/L, k their grey, one of L, and u ~ U[0, 1): the nll is that of y. Samples are greys
    again.

    In short:
        A mixture of Gaussians is learnt, each with few directions of its own and noise around them: what many dimensions
        allow where full covariances would be too many numbers.

    Equation:
        p(x) = \sum_{k} w_k \, \mathcal{N}(x; μ_k, W_k W_k^T + Ψ_k), \qquad x = μ_k + W_k z + ψ, \quad z \sim \mathcal{N}(0, I)
        (W_k, μ_k) = \sum_n r_{nk} \, x_n \mathbb{E}[\tilde{z}]^T \left( \sum_n r_{nk} \, \mathbb{E}[\tilde{z} \tilde{z}^T]
            \right)^{-1}, \qquad \tilde{z} = (z, 1)

    Objective:
        \mathcal{L} = -\frac{1}{N} \sum_{n} \ln \sum_{k} w_k \, \mathcal{N}(x_n; μ_k, W_k W_k^T + Ψ_k)

    Args:
        components: how many Gaussians.
        latent: the dimension of z.
        smoothing: so many examples, with the variances that the whole set has, are added to those that the noise of a component
            is estimated from: what was never seen in one is then not impossible. 0 is maximum likelihood.
        background: the weight, which is not fitted, of one more component, for what no other has seen the like of: its noise is
            as wide as the whole set, and nowhere narrower than WIDE. 0: none.
        ridge: no variance of the noise is below this share of the data's mean variance.
        tolerance: nats per example; a step that gains less is the last.
        examples: so many are drawn of a data set without end.

    Raises:
        UserError: data that are not real numbers; fewer examples than components; more numbers than fit into memory.

    Source: Ghahramani & Hinton, The EM Algorithm for Mixtures of Factor Analyzers (1996); as a model of pictures, Richardson &
    Weiss, On GANs and GMMs (2018).
    """

    fitter = "em"
    objective: Objective = "nll"
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        spec: DataSpec,
        *,
        components: Annotated[int, Field(ge=1, le=10_000)] = 20,
        latent: Annotated[int, Field(ge=1, le=1000)] = 6,
        smoothing: Weight = 0.0,
        background: Annotated[float, Field(ge=0, le=0.5)] = 0.0,
        ridge: Ridge = 1e-6,
        tolerance: Weight = 1e-3,
        examples: Drawn = 65_536,
    ) -> None:
        super().__init__()
        spec.check_kind(("real", "unit"), "model=mfa")
        self.shape, self.pictures = spec.shape, len(spec.shape) == 3 and spec.kind == "unit"
        self.levels = spec.greys
        self.digits = torch.float32 if self.pictures else torch.float64  # twice as fast, and enough of them
        self.smoothing, self.ridge, self.tolerance, self.examples = smoothing, ridge, tolerance, examples
        dim = math.prod(spec.shape)
        if components * dim * latent > LARGEST:
            raise UserError(
                f"{components} times {latent} directions of {dim:,} numbers would be too large", hint="model.latent=2"
            )
        self.background = background
        components += background > 0
        self.log_weight = nn.Parameter(torch.zeros(components), False)
        self.mean = nn.Parameter(torch.zeros(components, dim), False)
        self.directions = nn.Parameter(torch.zeros(components, dim, latent), False)
        self.log_scale = nn.Parameter(torch.zeros(components, dim), False)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(()))

    @property
    def can(self) -> frozenset[Ability]:
        if self.pictures:
            return frozenset({"sample", "estimate", "dequantised"})
        return frozenset({"sample", "exact", "gaussians"} if len(self.shape) == 1 else {"sample", "exact"})

    # --- fitting ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Clusters, each with the directions of a few of its own examples, and the same noise everywhere."""
        if len(batch.x) < len(self.mean):
            raise UserError(f"model.components={len(self.mean)}: there are only {len(batch.x)} examples")
        x = self._continuous(batch.x[torch.randperm(len(batch.x))[:LOOKED_AT].to(batch.x.device)].double())
        self.centre.copy_(x.mean(0))
        variance = (x - self.centre).square().mean()
        self.spread.copy_(variance.sqrt() if bool(variance > 0) else variance + 1)
        z = self._normalised(x)
        count = len(self.mean) - (self.background > 0)
        means, index = clusters(z.to(self.digits), count)
        away = z - means.double()[index]
        latent = self.directions.shape[2]
        for k in range(len(means)):
            own = torch.nonzero(index == k).flatten()
            if len(own):
                chosen = own[torch.randint(len(own), (latent,), device=own.device)]
                self.directions[k] = (away[chosen] / math.sqrt(2 * latent)).mT
        sizes = torch.bincount(index, minlength=len(means)).double() + 1
        self._weigh(sizes)
        self.mean[:count] = means.to(self.mean)
        self.log_scale.copy_(0.5 * (0.5 * away.square().mean(0)).clamp(min=max(self.ridge, LEAST)).log())
        if self.background:
            chosen = torch.randint(len(z), (latent,), device=z.device)
            self.directions[-1] = (z[chosen] / math.sqrt(2 * latent)).mT
            self.log_scale[-1] = 0.5 * z.square().mean(0).clamp(min=WIDE).log()

    def _weigh(self, counts: Tensor) -> None:
        """Weights in proportion to N_k, (components,) or one more; that of the background stays as it is."""
        own = counts[:-1] if self.background and len(counts) == len(self.mean) else counts
        share = (1 - self.background) * own / own.sum()
        if self.background:
            share = torch.cat([share, share.new_full((1,), self.background)])
        self.log_weight.copy_(share.log().clamp(min=FAINTEST))

    @torch.no_grad()
    def em_step(self, batch: Batch) -> Terms:
        """One step on the whole training set, whose pictures have the same noise in each; −mean ln p(x) before it."""
        found = Factors(self.log_weight, self.mean, self.directions, self.log_scale, self.digits)
        components, dim, latent = self.directions.shape
        total, counts = (self.mean.new_zeros(shape, dtype=torch.float64) for shape in ((), (components,)))
        crossed, squares = counts.new_zeros(dim, components * (latent + 1)), counts.new_zeros(components, dim)
        gram = counts.new_zeros(components, latent + 1, latent + 1)
        noise = torch.Generator(batch.x.device).manual_seed(0)
        for part in batch.x.split(PART):
            z = self._normalised(self._continuous(part.double(), noise)).to(self.digits)
            joint, t = found.joint(z)
            log_prob = joint.logsumexp(1, keepdim=True)
            r = (joint - log_prob).exp()
            expected = (t.transpose(0, 1) @ found.inverse).transpose(0, 1)
            latents = torch.cat([expected, torch.ones_like(r)[:, :, None]], dim=2)
            weighted = latents * r[:, :, None]
            total += log_prob.double().sum()
            counts += r.sum(0)
            crossed += z.mT @ weighted.flatten(1)
            squares += r.mT @ z.square()
            gram += weighted.permute(1, 2, 0) @ latents.transpose(0, 1)
        gram[:, :latent, :latent] += counts[:, None, None] * (found.inverse.mT @ found.inverse)
        self._maximise(counts, crossed.unflatten(1, (components, -1)).transpose(0, 1), squares, gram)
        return {"loss": len(self.centre) * self.spread.double().log() - total / len(batch.x)}

    def _maximise(self, counts: Tensor, crossed: Tensor, squares: Tensor, gram: Tensor) -> None:
        """From N_k, Σ r x E[z̃]ᵀ (k, dim, latent + 1), Σ r x² (k, dim) and Σ r E[z̃ z̃ᵀ]."""
        share = counts / counts.sum()
        everywhere = squares.sum(0) / counts.sum()  # the variance of each coordinate of the data
        self._weigh(counts)
        for k in torch.nonzero(share > DEAD / len(counts)).flatten().tolist():  # one that has died stays where it was
            fitted = torch.linalg.solve(gram[k], crossed[k].mT).mT
            left = squares[k] - (fitted * crossed[k]).sum(1)
            left = (left + self.smoothing * everywhere) / (counts[k] + self.smoothing)
            if self.background and k == len(counts) - 1:
                left = everywhere.clamp(min=WIDE)
            self.directions[k], self.mean[k] = fitted[:, :-1], fitted[:, -1]
            self.log_scale[k] = 0.5 * left.clamp(min=max(self.ridge, LEAST)).log()

    # --- the density -----------------------------------------------------------------------------------------

    def _continuous(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Examples as points (n, dim); greys with noise as wide as one of their levels."""
        x = x.flatten(1)
        if not self.pictures:
            return x
        return continuous(x, torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype), self.levels)

    def _normalised(self, x: Tensor) -> Tensor:
        return (x - self.centre) / self.spread

    def loss(self, batch: Batch) -> Terms:
        """−E[ln p(x)], in nats per example."""
        return {"loss": -self.log_prob(batch.x).mean()}

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats; of pictures that of x with noise, drawn anew."""
        found = Factors(self.log_weight, self.mean, self.directions, self.log_scale, torch.float64)
        parts = (self._normalised(self._continuous(part).double()) for part in x.split(PART))
        log_prob = torch.cat([found.joint(part)[0].logsumexp(1) for part in parts])
        return (log_prob - len(self.centre) * self.spread.double().log()).to(x.dtype)

    @torch.no_grad()
    def gaussians(self) -> Gaussians:
        """w_k, μ_k and Σ_k."""
        covariances = self.directions @ self.directions.mT + torch.diag_embed((2 * self.log_scale).exp())
        means = self.mean * self.spread + self.centre
        return Gaussians(self.log_weight.softmax(0), means, self.spread.square() * covariances, self.free)

    @property
    def free(self) -> int:
        """The numbers that are fitted: but for turns of z, and of a covariance not more than it has. The background's weight and
        noise are not.
        """
        dim, few = self.directions.shape[1], min(self.directions.shape[1:])
        turned, full = few * dim - few * (few - 1) // 2, dim * (dim + 1) // 2
        own = len(self.mean) - (self.background > 0)
        return own * (dim + min(turned + dim, full) + 1) - 1 + (self.background > 0) * (dim + min(turned, full))

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """n examples, shape (n, *shape)."""
        k = torch.multinomial(self.log_weight.softmax(0), n, replacement=True)
        z, noise = (self.mean.new_empty(n, size).normal_() for size in (self.directions.shape[2], self.mean.shape[1]))
        parts = zip(k.split(PART), z.split(PART), strict=True)
        with all_digits(self.mean.device):
            inside = torch.cat([(self.directions[j] @ each[:, :, None]).squeeze(2) for j, each in parts])
        x = (self.mean[k] + inside + self.log_scale[k].exp() * noise) * self.spread + self.centre
        if self.pictures:
            x = greys(x, self.levels)
        return x.unflatten(1, self.shape)


class Factors:
    """What the density needs of each component: M = I + Wᵀ Ψ⁻¹ W = C Cᵀ, with which Σ⁻¹ = Ψ⁻¹ − Ψ⁻¹ W M⁻¹ Wᵀ Ψ⁻¹.

    inverse: C⁻¹ (components, latent, latent); projection: C⁻¹ Wᵀ Ψ⁻¹ (components, latent, dim).
    """

    def __init__(self, log_weight: Tensor, mean: Tensor, directions: Tensor, log_scale: Tensor, dtype: torch.dtype) -> None:
        mean, log_scale, directions = mean.double(), log_scale.double(), directions.double()
        precision = (-2 * log_scale).exp()
        weighed = directions * precision[:, :, None]
        identity = torch.eye(directions.shape[2], dtype=mean.dtype, device=mean.device)
        factor = torch.linalg.cholesky(identity + directions.mT @ weighed)
        inverse = torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False)
        projection = inverse @ weighed.mT
        log_det = factor.diagonal(dim1=1, dim2=2).log().sum(1) + log_scale.sum(1)
        log_weight = log_weight.double().log_softmax(0) - log_det - 0.5 * mean.shape[1] * math.log(2 * math.pi)
        self.constant = (log_weight - 0.5 * (mean.square() * precision).sum(1)).to(dtype)
        self.inverse, self.projection, self.precision = inverse.to(dtype), projection.flatten(0, 1).to(dtype), precision.to(dtype)
        self.pulled, self.shift = (mean * precision).to(dtype), (projection @ mean[:, :, None]).squeeze(2).to(dtype)

    def joint(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """ln w_k + ln N(x; μ_k, Σ_k), (n, components), of x (n, dim); and t = C⁻¹ Wᵀ Ψ⁻¹ (x − μ_k), (n, components, latent)."""
        t = (x @ self.projection.mT).view(len(x), *self.shift.shape) - self.shift
        distance = x.square() @ self.precision.mT - 2 * x @ self.pulled.mT
        return self.constant - 0.5 * (distance - t.square().sum(2)), t
