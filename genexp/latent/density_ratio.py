"""`model/objective=factor_vae`: latents made independent by a discriminator, which tells them from shuffled ones."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor
from torch.func import functional_call

from genexp.latent.base import Bound, Latent, TrainingObjective, objectives
from genexp.nn.mlp import mlp
from genexp.settings import Weight, Width


@objectives.register("factor_vae")
class FactorVAE(TrainingObjective):
    r"""−ELBO + γ TC(z), TC = KL(q(z) ‖ Π_d q(z_d)) by the density ratio trick: a discriminator of samples of q(z) and of the same
    with each dimension permuted over the batch has its optimum at

        D(z) = ln q(z)/Π_d q(z_d),   and TC ≈ E_q(z)[D(z)].

    Both learn in one step: the encoder is moved by D as it stands, and D by z as they are. γ = 0 is the ELBO.
    Source: Kim & Mnih, Disentangling by Factorising (2018); there with two batches, here with one.

    In short:
        The latents have to be independent of each other, which a discriminator finds out by telling them from shuffled ones.

    Equation:
        \mathcal{L} = -\mathrm{ELBO} + γ \, \mathrm{KL}\!\left( q_φ(z) \; \| \; \prod_d q_φ(z_d) \right)

    Args:
        gamma: weight of the total correlation.
        width, hidden_layers: of the discriminator.
    """

    def __init__(
        self, space: Latent, *, gamma: Weight = 10.0, width: Width = 256, hidden_layers: Annotated[int, Field(ge=1, le=64)] = 3
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.discriminator = mlp([space.size, *[width] * hidden_layers, 1])

    def loss(self, bound: Bound, step: Tensor) -> Tensor:
        """With the discriminator's own loss, whose gradient reaches nothing else."""
        loss = self.validate(bound)
        z = bound.drawn.z[0].detach()
        real, shuffled = self.discriminator(z), self.discriminator(permuted(z))
        bound.noted["discriminator"] = 0.5 * (F.softplus(-real) + F.softplus(shuffled)).mean()
        return loss + bound.noted["discriminator"]

    def validate(self, bound: Bound) -> Tensor:
        """Without it."""
        frozen = {name: weights.detach() for name, weights in self.discriminator.named_parameters()}
        ratio: Tensor = functional_call(self.discriminator, frozen, (bound.drawn.z[0],))
        bound.noted["total_correlation"] = ratio.mean()
        return bound.reconstruction + bound.kl.sum() + self.gamma * bound.noted["total_correlation"]


def permuted(z: Tensor) -> Tensor:
    """Each dimension of points z (n, latent) in an order of its own: samples of the product of the marginals."""
    orders = torch.rand_like(z, dtype=torch.float32).argsort(0)
    return z.gather(0, orders)
