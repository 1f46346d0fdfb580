"""Objectives that hold the aggregate posterior q(z) = E_x[q(z|x)] to the prior by their maximum mean discrepancy.

    MMD²(q, p) = E k(z, z') − 2 E k(z, y) + E k(y, y'),   z, z' ~ q(z),   y, y' ~ p(z),

which is 0 only where q(z) = p(z). The KL term of the ELBO asks that of each q(z|x), this of their mean alone: a latent may say as
much of its example as it likes.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from genexp.divergences.mmd import Kernel, squared_discrepancy
from genexp.latent.base import Bound, TrainingObjective, objectives
from genexp.settings import Weight

MOST = 2_048  # points at a time: of all pairs there are four million


class Discrepancy(TrainingObjective):
    """−E[ln p(x|z)] + κ KL(q(z|x) ‖ p(z)) + λ MMD²(q(z), p(z)), the last over the pairs of a batch."""

    def __init__(self, divergence: float, weight: float, kernel: Kernel) -> None:
        super().__init__()
        self.divergence, self.weight, self.kernel = divergence, weight, kernel

    def validate(self, bound: Bound) -> Tensor:
        assert bound.sample_prior is not None
        z = bound.drawn.z[0, :MOST]
        mmd = squared_discrepancy(z.float(), bound.sample_prior(len(z)).float(), self.kernel)
        bound.noted["mmd"] = mmd
        return bound.reconstruction + self.divergence * bound.kl.sum() + self.weight * mmd


@objectives.register("info_vae")
class InfoVAE(Discrepancy):
    r"""−E[ln p(x|z)] + (1 − α) KL(q(z|x) ‖ p(z)) + (α + λ − 1) MMD²(q(z), p(z)).

    α = 0 and λ = 1 is the ELBO; with α > 0 the mutual information of x and z is no longer punished.
    Source: Zhao, Song & Ermon, InfoVAE (2019).

    In short:
        The latents of all examples together have to look like the prior; what a single one says of its example is punished
        less.

    Equation:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x | z)] + (1 - α) \, \mathrm{KL}(q_φ(z | x) \| p(z)) + (α
            + λ - 1) \, \mathrm{MMD}^2(q_φ(z), p(z))

    Args:
        alpha: what is taken off the weight of the KL term, 1 at most.
        scale: λ, of the discrepancy: nats for each unit of MMD².
        kernel: of the discrepancy.
    """

    def __init__(
        self,
        *,
        alpha: Annotated[float, Field(ge=0, le=1)] = 0.5,
        scale: Annotated[float, Field(ge=1, le=1e6)] = 500.0,
        kernel: Kernel = "inverse_multiquadratic",
    ) -> None:
        super().__init__(1 - alpha, alpha + scale - 1, kernel)


@objectives.register("wae")
class WAE(Discrepancy):
    r"""−E[ln p(x|z)] + λ MMD²(q(z), p(z)): a Wasserstein autoencoder, whose cost of transport is −ln p(x|z).

    Source: Tolstikhin et al., Wasserstein Auto-Encoders (2018).

    In short:
        The latents of all examples together have to look like the prior; what a single one says of its example is free.

    Equation:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x | z)] + λ \, \mathrm{MMD}^2(q_φ(z), p(z))

    Args:
        scale: λ, nats for each unit of MMD².
        kernel: of the discrepancy.
    """

    def __init__(self, *, scale: Weight = 500.0, kernel: Kernel = "inverse_multiquadratic") -> None:
        super().__init__(0.0, scale, kernel)
