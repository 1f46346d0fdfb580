"""What is minimised in the training of a latent-variable model with an approximate posterior."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.latent.base import Bound, TrainingObjective, objectives
from genexp.latent.importance import Importance
from genexp.settings import MOST_STEPS, Weight


@objectives.register("elbo")
class ELBO(TrainingObjective):
    r"""−E_q[ln p(x|z)] + β KL(q(z|x) ‖ p(z)). Of the two terms either can be left out, to see what the other does.

    Sources: Kingma & Welling, Auto-Encoding Variational Bayes (2014); Higgins et al., β-VAE (2017); Kingma et al., Improved
    Variational Inference with Inverse Autoregressive Flow (2016), for the free bits.

    In short:
        What the decoder gives the example has to be much, and what the encoder says of it little: the bound is the one less
        the other.

    Equation:
        \mathcal{L} = -\mathbb{E}_{q_φ(z|x)}[\ln p_θ(x | z)] + β \, \mathrm{KL}(q_φ(z | x) \| p(z))

    Args:
        beta: weight of the KL term; 1 is the ELBO.
        kl_warmup: steps over which that weight rises from 0.
        free_bits: nats of KL in each latent dimension that cost nothing in training.
        terms: `both`; `reconstruction` alone, after which latents lie anywhere; or `kl` alone, after which they say nothing.
    """

    def __init__(
        self,
        *,
        beta: Weight = 1.0,
        kl_warmup: Annotated[int, Field(ge=0, le=MOST_STEPS)] = 0,
        free_bits: Weight = 0.0,
        terms: Literal["both", "reconstruction", "kl"] = "both",
    ) -> None:
        super().__init__()
        self.kl_warmup, self.free_bits = kl_warmup, free_bits
        self.beta = 0.0 if terms == "reconstruction" else beta
        self.share = 0.0 if terms == "kl" else 1.0  # of the reconstruction

    def loss(self, bound: Bound, step: Tensor) -> Tensor:
        weight = self.beta * (torch.clamp(step / self.kl_warmup, max=1) if self.kl_warmup else 1)
        free = self.free_bits * bound.latent / len(bound.kl)
        kl = bound.kl.clamp(min=free) if free else bound.kl  # which is below 0 at times where samples estimate it
        return self.share * bound.reconstruction + weight * kl.sum()

    def validate(self, bound: Bound) -> Tensor:
        """Without warm-up and free bits."""
        return self.share * bound.reconstruction + self.beta * bound.kl.sum()


@objectives.register("iwae")
class IWAE(TrainingObjective):
    r"""−ln 1/k Σ p(x, z_i)/q(z_i|x), z_i ~ q(z|x): a bound of −ln p(x) that is the tighter the larger k.

    The larger k, the less the encoder's gradient says beside its noise. Doubly reparameterised it is another estimate of the same
    gradient, whose noise falls with k: with weights w and their shares w̃_i = w_i / Σ w,

        ∇_encoder = −Σ w̃_i² ∂ln w_i/∂z_i ∂z_i/∂φ,      ∇_decoder = −Σ w̃_i ∂ln p(x, z_i)/∂θ.

    Sources: Burda et al., Importance Weighted Autoencoders (2016); Tucker et al., Doubly Reparameterized Gradient Estimators for
    Monte Carlo Objectives (2019).

    In short:
        A bound of the likelihood by several latents of each example, the tighter the more there are.

    Equation:
        \mathcal{L} = -\mathbb{E} \ln \frac{1}{k} \sum_{i=1}^{k} \frac{p_θ(x, z_i)}{q_φ(z_i | x)}, \qquad z_i \sim q_φ(z | x)

    Args:
        k: posterior samples of each example.
        gradient: `plain`, that of the bound; or `doubly`, the encoder's doubly reparameterised.
    """

    def __init__(self, *, k: Annotated[int, Field(ge=2, le=65_536)] = 5, gradient: Literal["plain", "doubly"] = "plain") -> None:
        super().__init__()
        self.samples, self.path_only = k, gradient == "doubly"

    def loss(self, bound: Bound, step: Tensor) -> Tensor:
        return doubly_reparameterised(bound.drawn) if self.path_only else self.validate(bound)

    def validate(self, bound: Bound) -> Tensor:
        return -bound.drawn.log_evidence().mean()


def doubly_reparameterised(drawn: Importance) -> Tensor:
    """The mean of −ln 1/k Σ w, with those gradients: `drawn` has ln q of z alone, held fixed in its parameters.

    Of −Σ w̃ ln w, with w̃ held fixed, everything gets its gradient times w̃; what goes on to the encoder passes z, where it is
    multiplied by w̃ once more.
    """
    log_weights = drawn.log_weights()
    shares = log_weights.detach().softmax(0)
    if drawn.z.requires_grad:
        drawn.z.register_hook(lambda gradient: gradient * shares[..., None].to(gradient))
    surrogate = -(shares * log_weights).sum(0).mean()
    return surrogate - surrogate.detach() - drawn.log_evidence().detach().mean()
