"""What the KL term of the ELBO consists of, and an objective that weighs its parts.

    E_x KL(q(z|x) ‖ p(z)) = I(x; z) + TC(z) + KL(Π_d q(z_d) ‖ p(z)),
    I = E ln q(z|x)/q(z),   TC = E ln q(z)/Π_d q(z_d),   q(z) = E_x[q(z|x)]:

what z says of x; how far the latents are from independent; and how far each by itself is from the prior.

Sources: Hoffman & Johnson, ELBO Surgery (2016); Chen et al., Isolating Sources of Disentanglement in VAEs (2018).
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from genexp.errors import UserError
from genexp.latent.base import Bound, Latent, TrainingObjective, objectives
from genexp.settings import Weight

MOST = 1_024  # examples that are compared with each other, of a batch
Estimate = Literal["stratified", "weighted"]


@dataclass(frozen=True)
class Parts:
    """The three parts of the KL term at points z, (n,), in nats; their sum is ln q(z|x) − ln p(z)."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_kl: Tensor


def log_pairs(parameters: Tensor, z: Tensor) -> Tensor:
    """ln N(z_id; μ_jd, σ²_jd) of points z (m, latent) under Gaussians with parameters (n, 2·latent): (m, n, latent)."""
    mean, log_variance = parameters.chunk(2, dim=-1)
    return -0.5 * ((z[:, None] - mean).square() * torch.exp(-log_variance) + log_variance + math.log(2 * math.pi))


def log_shares(n: int, examples: int, estimate: Estimate, device: torch.device) -> Tensor:
    """ln w_ij of q(z_i) ≈ Σ_j w_ij q(z_i|x_j), z_i ~ q(z|x_i), for n of all `examples`: (n, n).

    `stratified`: 1/N for x_i itself and (N−1)/N evenly for the others, unbiased for q(z_i) where all N are as likely; `weighted`:
    1/(Nn) for each, as if every example of the batch stood for N, which is too little by ln N at most.
    """
    if estimate == "weighted" or n == 1:
        return torch.full((n, n), -math.log(examples * n), device=device)
    total = max(n, examples)
    shares = torch.full((n, n), math.log((total - 1) / (total * (n - 1))), device=device)
    return shares.fill_diagonal_(-math.log(total))


def decompose(parameters: Tensor, z: Tensor, log_posterior: Tensor, log_prior: Tensor, shares: Tensor) -> Parts:
    """The parts at points z (m, latent), each drawn from one of the posteriors of `parameters` (n, 2·latent), whose mixture with
    the `shares` ln w (m, n) is q(z); ln q(z|x) and ln p(z), (m,), are known.
    """
    pairs = log_pairs(parameters, z)
    joint = (pairs.sum(-1) + shares).logsumexp(1)
    marginals = (pairs + shares[:, :, None]).logsumexp(1).sum(-1)
    return Parts(log_posterior - joint, joint - marginals, marginals - log_prior)


@objectives.register("beta_tcvae")
class BetaTCVAE(TrainingObjective):
    r"""−E[ln p(x|z)] + α I(x; z) + β TC(z) + γ KL(Π_d q(z_d) ‖ p(z)): the ELBO where all three are 1.

    What is over 1 is charged for the estimates from a batch; the rest is the KL term itself. The estimate of q(z) is unbiased,
    and that of its logarithm too low: where a batch has hardly two examples of like z, what is charged is nearer to the
    information of each latent, as in a β-VAE, than to the total correlation. So its value depends on the batch size; the
    measure of the same name, over two thousand test examples, does so less.

    In short:
        The latents have to be independent of each other, which is charged for by itself and not with everything else.

    Equation:
        \mathcal{L} = -\mathbb{E}[\ln p_θ(x | z)] + α \, I(x; z)
            + β \, \mathrm{KL}\!\left( q_φ(z) \; \| \; \prod_d q_φ(z_d) \right) + γ \sum_d \mathrm{KL}(q_φ(z_d) \| p(z_d))

    Args:
        alpha, beta, gamma: weights of the mutual information, the total correlation and the marginals' divergence.
        estimate: of q(z) from a batch: `stratified`, without bias, or `weighted`, as it was published first.

    Raises:
        UserError: posteriors that are not Gaussian, whose density in each dimension is not known.
    """

    examples: Tensor

    def __init__(
        self, space: Latent, *, alpha: Weight = 1.0, beta: Weight = 6.0, gamma: Weight = 1.0, estimate: Estimate = "stratified"
    ) -> None:
        super().__init__()
        if not space.posterior.gaussian:
            raise UserError("model/objective=beta_tcvae needs Gaussian posteriors", hint="model/posterior=gaussian")
        self.weights, self.estimate = (alpha, beta, gamma), estimate
        self.register_buffer("examples", torch.ones((), dtype=torch.long))

    def initialise(self, x: Tensor) -> None:
        """How many examples there are: those of the first look, which has 16,384 at most."""
        self.examples.fill_(len(x))

    def validate(self, bound: Bound) -> Tensor:
        assert bound.parameters is not None
        drawn = bound.drawn
        z, log_posterior, log_prior = (of_all[0, :MOST].float() for of_all in (drawn.z, drawn.log_posterior, drawn.log_prior))
        shares = log_shares(len(z), int(self.examples), self.estimate, z.device)
        parts = decompose(bound.parameters[:MOST].float(), z, log_posterior, log_prior, shares)
        found = {name: value.mean() for name, value in vars(parts).items()}
        bound.noted.update(found)
        extra = sum((weight - 1) * value for weight, value in zip(self.weights, found.values(), strict=True))
        return bound.reconstruction + bound.kl.sum() + extra
