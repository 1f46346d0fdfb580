"""Latents in layers: a prior that goes down from the last layer to the first, and the posterior that goes the same way.

    p(z) = N(z_L; 0, I) Π_{l<L} N(z_l; μ_l(z_>l), σ_l²(z_>l)),
    q(z|x) = Π_l N(z_l; m_l, s_l²),   1/s_l² = 1/σ̂_l²(x) + 1/σ_l²(z_>l),   m_l = s_l² [μ̂_l(x)/σ̂_l²(x) + μ_l(z_>l)/σ_l²(z_>l)].

What x says of a layer, μ̂ and σ̂, and what the layers above say of it meet like two measurements of one number. The decoder sees
all layers. Source: Sønderby et al., Ladder Variational Autoencoders (2016).

The encoder does not give μ̂ and σ̂ themselves. Where x says little, σ̂ ≫ 1, only σ_l²/σ̂² of a step in μ̂ arrives at m_l: a layer
that has once lost its information does not find it again. It gives a and σ̂² = 1/τ, μ̂ = a (1 + τ)/τ: under the
prior N(0, I) that is q = N(a, 1/(1 + τ)), whose mean moves freely even at τ = 0.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.latent.base import Draws, Given, Latent, Posterior, Prior, posteriors, priors
from genexp.latent.posteriors import bounded
from genexp.settings import Width


@dataclass(frozen=True)
class Gaussian:
    """N(mean, diag e^log_variance), both (…, size)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.randn_like(self.mean)

    def log_prob(self, z: Tensor) -> Tensor:
        """In nats, (…)."""
        squares = (z - self.mean).square() * torch.exp(-self.log_variance)
        return -0.5 * (squares + self.log_variance + math.log(2 * math.pi)).sum(-1)

    def kl(self, other: "Gaussian") -> Tensor:
        """KL(self ‖ other) in nats, (…)."""
        narrower = self.log_variance - other.log_variance
        squares = (self.mean - other.mean).square() * torch.exp(-other.log_variance)
        return 0.5 * (torch.exp(narrower) + squares - 1 - narrower).sum(-1)


@dataclass(frozen=True)
class Measurement:
    """What x says of a layer: q is N(mean, 1/(1 + τ)) where the layers above say N(0, I), τ = e^log_precision; both (…, size)."""

    mean: Tensor
    log_precision: Tensor

    def under(self, prior: Gaussian) -> Gaussian:
        """The posterior: precisions add, 1/s² = τ + 1/σ², and m = s² [a (1 + τ) + μ/σ²]."""
        log_variance = -torch.logaddexp(self.log_precision, -prior.log_variance)
        said = torch.exp(log_variance + F.softplus(self.log_precision)) * self.mean
        return Gaussian(said + torch.exp(log_variance - prior.log_variance) * prior.mean, log_variance)


@posteriors.register("hierarchical")
class HierarchicalPosterior(Posterior):
    """The networks of both densities: a_l and τ_l of the encoder's features, which go through one more layer for each layer of
    latents, and μ_l, σ_l of the latents above. z are z_1 … z_L side by side; a layer has half as many as the one below it.

    The parameters, (n, 2·latent), are a and ln σ̂² = −ln τ. p(z) begins as N(0, I).

    Args:
        layers: L; no more than there are dimensions.
        width: of the networks' hidden layers.
    """

    layered = True
    has_density = True

    def __init__(self, features: int, latent: int, *, layers: Annotated[int, Field(ge=1, le=32)] = 3, width: Width = 128) -> None:
        super().__init__()
        layers = min(layers, latent)
        self.sizes = halving(latent, layers)
        widths = [features, *[width] * (layers - 1)]
        self.up = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(widths))
        self.heads = nn.ModuleList(nn.Linear(seen, 2 * size) for seen, size in zip(widths, self.sizes, strict=True))
        above = [sum(self.sizes[index + 1 :]) for index in range(layers - 1)]
        self.down = nn.ModuleList(
            nn.Sequential(nn.Linear(seen, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * size))
            for seen, size in zip(above, self.sizes, strict=False)
        )
        for network in self.down:
            nn.init.zeros_(network[-1].weight)  # type: ignore[index,arg-type]
            nn.init.zeros_(network[-1].bias)  # type: ignore[index,arg-type]

    def forward(self, features: Tensor) -> Tensor:
        said = [self.heads[0](features)]
        for up, head in zip(self.up, list(self.heads)[1:], strict=True):
            features = F.silu(up(features))
            said.append(head(features))
        mean, log_variance = (
            torch.cat(parts, dim=-1).float() for parts in zip(*(each.chunk(2, -1) for each in said), strict=True)
        )
        return torch.cat([mean, log_variance], dim=-1)

    @torch.no_grad()
    def start_narrow(self, log_variance: float = -3.0) -> None:
        for head, size in zip(self.heads, self.sizes, strict=True):
            head.bias[size:] = log_variance  # type: ignore[operator,index]

    # --- the densities ---------------------------------------------------------------------------------------

    def above(self, index: int, higher: Tensor) -> Gaussian:
        """p(z_l|z_>l) of layer `index`, from 0, for z_>l (…, their number)."""
        if index == len(self.sizes) - 1:
            zeros = higher.new_zeros(*higher.shape[:-1], self.sizes[index])
            return Gaussian(zeros, zeros)
        mean, log_variance = self.down[index](higher).to(higher).chunk(2, dim=-1)
        return Gaussian(mean, bounded(log_variance))

    def said(self, parameters: Tensor) -> list[Measurement]:
        """What x says of each layer."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        parts = zip(mean.split(self.sizes, -1), (-log_variance).split(self.sizes, -1), strict=True)
        return [Measurement(*part) for part in parts]

    def of(self, z: Tensor) -> Iterator[tuple[int, Tensor, Gaussian]]:
        """The layers of z (…, latent): number, from 0, the layer's z_l, and p(z_l|z_>l)."""
        for index, layer in enumerate(z.split(self.sizes, -1)):
            yield index, layer, self.above(index, z[..., sum(self.sizes[: index + 1]) :])

    def draw(self, parameters: Tensor, k: int) -> Draws:
        z = self.descend(parameters.new_empty(k, len(parameters), 0), self.said(parameters))
        return Draws(z, self.log_prob(z, parameters))

    def descend(self, z: Tensor, said: list[Measurement], drawn: int | None = None, noise: bool = True) -> Tensor:
        """From the last layer down, z (…, 0) → (…, latent): the upper `drawn` layers (None: all) from the posterior, those below
        from the prior; each by a sample or, without `noise`, by its mean.
        """
        last = len(self.sizes) - 1
        for index in range(last, -1, -1):
            layer = self.above(index, z)
            if drawn is None or last - index < drawn:
                layer = said[index].under(layer)
            z = torch.cat([layer.sample() if noise else layer.mean, z], dim=-1)
        return z

    def log_prob(self, z: Tensor, parameters: Tensor) -> Tensor:
        said = self.said(parameters)
        return sum(said[index].under(prior).log_prob(layer) for index, layer, prior in self.of(z))  # type: ignore[return-value]

    def log_prior(self, z: Tensor) -> Tensor:
        """ln p(z) in nats, (…)."""
        return sum(prior.log_prob(layer) for _, layer, prior in self.of(z))  # type: ignore[return-value]

    def layer_kl(self, z: Tensor, parameters: Tensor) -> Tensor:
        """KL(q(z_l|z_>l, x) ‖ p(z_l|z_>l)) in nats of each layer, given the z above it: (…, layers). Their means over q add up to
        KL(q(z|x) ‖ p(z)).
        """
        said = self.said(parameters)
        return torch.stack([said[index].under(prior).kl(prior) for index, _, prior in self.of(z)], dim=-1)

    def centre(self, parameters: Tensor) -> Tensor:
        """The mean of each layer, given those of the layers above."""
        return self.descend(parameters.new_empty(len(parameters), 0), self.said(parameters), noise=False)


@priors.register("hierarchical")
class HierarchicalPrior(Prior):
    """p(z) in layers. Its networks are the posterior's, which needs them too.

    Raises:
        UserError: a posterior without layers.
    """

    layered = True

    def __init__(self, latent: Latent) -> None:
        super().__init__()
        if not latent.posterior.layered:
            raise UserError("model/prior=hierarchical needs a posterior in layers", hint="model/posterior=hierarchical")
        self.size = latent.size

    def log_prob(self, z: Tensor, given: Given) -> Tensor:
        assert isinstance(given.posterior, HierarchicalPosterior)
        return given.posterior.log_prior(z)

    def sample(self, n: int, given: Given) -> Tensor:
        posterior = given.posterior
        assert isinstance(posterior, HierarchicalPosterior)
        empty = next(posterior.parameters()).new_empty(n, 0)
        return posterior.descend(empty, [], drawn=0)


def halving(latent: int, layers: int) -> list[int]:
    """Sizes of so many layers, which add up to `latent`: each about half the one before, and at least 1."""
    sizes, left = [], latent
    for index in range(layers):
        after = layers - 1 - index
        share = round(left * 2**after / (2 ** (after + 1) - 1))
        sizes.append(min(max(1, share), left - after))
        left -= sizes[-1]
    return sizes
