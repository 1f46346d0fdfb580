"""Priors p(z), or p(z|class) of a conditional model."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Conditioner, Transformer, conditioners, transformers
from genexp.bijections.bases import log_standard
from genexp.bijections.coupling import Coupling, random_halves
from genexp.errors import UserError
from genexp.latent.base import Given, Latent, Prior, priors
from genexp.machine.device import all_digits
from genexp.registry import Part
from genexp.settings import Fraction, Width


@priors.register("standard")
class StandardNormal(Prior):
    """p(z) = N(0, I)."""

    like: Tensor

    def __init__(self, latent: Latent) -> None:
        super().__init__()
        self.latent = latent.size
        self.register_buffer("like", torch.empty(0))

    @property
    def standard(self) -> bool:
        return True

    def log_prob(self, z: Tensor, given: Given | None = None) -> Tensor:
        return log_standard(z)

    def sample(self, n: int, given: Given | None = None) -> Tensor:
        return torch.randn(n, self.latent, device=self.like.device, dtype=self.like.dtype)


@priors.register("flow")
class FlowPrior(Prior):
    """A coupling flow of N(0, I), learnt together with everything else, so that it goes where the posteriors are.

    ln p(z) = ln N(f(z); 0, I) + ln |det ∂f/∂z|. Begins as N(0, I).
    Source: Chen et al., Variational Lossy Autoencoder (2017).

    Args:
        blocks: couplings, of a random half of the elements and then the others.
        transformer, conditioner: what they are made of.
    """

    def __init__(
        self,
        latent: Latent,
        *,
        blocks: Annotated[int, Field(ge=1, le=256)] = 6,
        transformer: Part[Transformer] = transformers.part("affine", log_scale_bound=3.0),
        conditioner: Part[Conditioner] = conditioners.part("mlp", width=128),
    ) -> None:
        super().__init__()
        if latent.size < 2:
            raise UserError("model/prior=flow: a coupling needs at least two latent dimensions")
        self.base = StandardNormal(latent)
        masks = random_halves(latent.size, blocks)
        self.couplings = nn.ModuleList(Coupling(moves, transformer, conditioner) for moves in masks)

    def log_prob(self, z: Tensor, given: Given | None = None) -> Tensor:
        flat, log_det = z.reshape(-1, z.shape[-1]), torch.zeros((), device=z.device)
        with all_digits(z.device):
            for coupling in self.couplings:
                flat, more = coupling(flat)
                log_det = log_det + more
            return (log_standard(flat) + log_det).view(z.shape[:-1])

    def sample(self, n: int, given: Given | None = None) -> Tensor:
        z = self.base.sample(n)
        for coupling in reversed(self.couplings):
            z, _ = coupling.inverse(z)  # type: ignore[operator]
        return z


@priors.register("vamp")
class VampPrior(Prior):
    """A mean of Gaussians near the posteriors of pseudo-inputs u_k, examples that are learnt:

        p(z) = 1/K Σ N(z; μ(u_k) + a_k, diag exp(ln σ²(u_k) + b_k)),

    of which the source has a = b = 0; they begin so, and are learnt. u is learnt only in those elements that differ from their
    median in at least `learnt_from` of the training examples, and is the median in all others. Else a pixel that no example
    lights were an input of the prior's own, by which the encoder places the u_k, and a new example that does light it would be
    sent anywhere. a_k and b_k are what such inputs are good for.

    Source: Tomczak & Welling, VAE with a VampPrior (2018).

    Args:
        pseudo_inputs: K.
        learnt_from: share of the examples in which an element has to vary.
    """

    varies: Tensor
    median: Tensor

    def __init__(self, latent: Latent, *, pseudo_inputs: Width = 100, learnt_from: Fraction = 0.01) -> None:
        super().__init__()
        if latent.classes or not latent.posterior.gaussian or latent.posterior.asks_decoder:
            raise UserError("model/prior=vamp needs Gaussian posteriors of x alone")
        if latent.looks_up:
            raise UserError(
                "model/prior=vamp needs a network whose encoder has a gradient of x, by which the pseudo-inputs are learnt",
                hint="model/prior=standard, or another model/network",
            )
        self.learnt_from = learnt_from
        self.inputs = nn.Parameter(torch.rand(pseudo_inputs, *latent.shape))
        self.moved = nn.Parameter(torch.zeros(pseudo_inputs, 2 * latent.size))
        self.register_buffer("varies", torch.ones(latent.shape, dtype=torch.bool))
        self.register_buffer("median", torch.zeros(latent.shape))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Begin with examples, in turn where there are fewer."""
        self.inputs.copy_(x[torch.randperm(len(x), device=x.device)[torch.arange(len(self.inputs)) % len(x)]])
        self.median.copy_(x.median(0).values)
        self.varies.copy_((x != self.median).float().mean(0) >= self.learnt_from)

    @property
    def examples(self) -> Tensor:
        """The pseudo-inputs, (K, *shape)."""
        return torch.where(self.varies, self.inputs, self.median)

    def components(self, given: Given) -> Tensor:
        """Means and ln σ² of the Gaussians, (K, 2·latent)."""
        return given.infer(self.examples) + self.moved

    def log_prob(self, z: Tensor, given: Given) -> Tensor:
        digits = z.dtype if z.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
        mean, log_variance = self.components(given).to(digits).chunk(2, dim=-1)
        flat = z.reshape(-1, z.shape[-1]).to(digits)
        precision = torch.exp(-log_variance)
        with all_digits(z.device):  # |z − μ|²/σ² of all pairs, by three products that nearly cancel
            squares = flat.square() @ precision.T - 2 * flat @ (mean * precision).T + (mean.square() * precision).sum(1)
        log_components = -0.5 * (squares + log_variance.sum(1) + z.shape[-1] * math.log(2 * math.pi))
        return (log_components.logsumexp(1) - math.log(len(mean))).view(z.shape[:-1]).to(z.dtype)

    def sample(self, n: int, given: Given) -> Tensor:
        pseudo = self.components(given)
        mean, log_variance = pseudo[torch.randint(len(pseudo), (n,), device=pseudo.device)].chunk(2, dim=-1)
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
