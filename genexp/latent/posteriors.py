"""Approximate posteriors q(z|x). Each is a head on the encoder's features: features → parameters → samples."""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.latent.base import Draws, Posterior, posteriors
from genexp.machine.device import all_digits
from genexp.nn.autoregressive import AutoregressiveFlow
from genexp.settings import Width

Blocks = Annotated[int, Field(ge=1, le=256)]


@posteriors.register("gaussian")
class GaussianPosterior(Posterior):
    """q(z|x) = N(μ(x), diag σ²(x)). The parameters, (n, 2·latent), are μ and ln σ².

    Source: Kingma & Welling, Auto-Encoding Variational Bayes (2014).
    """

    gaussian = True
    has_density = True

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent)

    def forward(self, features: Tensor) -> Tensor:
        mean, log_variance = self.head(features).float().chunk(2, dim=-1)
        return torch.cat([mean, bounded(log_variance)], dim=-1)

    @torch.no_grad()
    def start_narrow(self, log_variance: float = -3.0) -> None:
        """Let the posteriors begin with about this ln σ²: far narrower than the prior."""
        self.head.bias[self.head.bias.numel() // 2 :] = log_variance

    @torch.no_grad()
    def start_linear(self, scale: Tensor, first: int, noise: float = 0.03) -> None:
        """Let μ begin as the features from `first` on, whitened components of standard deviation `scale` (latent,), and σ² as
        theirs is under pixel noise, noise²/(scale² + noise²): the posterior of probabilistic PCA.
        """
        latent = self.head.bias.numel() // 2
        scale = scale[:latent]
        self.head.weight.mul_(0.02)
        self.head.weight[:latent, first : first + latent] += torch.eye(latent, device=scale.device)
        self.head.bias[:latent] = 0
        self.head.bias[latent:] = torch.log(noise**2 / (scale.square() + noise**2))

    @torch.no_grad()
    def start_told(self) -> None:
        """Let nothing depend on the features but the first latent's μ and ln σ², which are the first two of them."""
        latent = self.head.bias.numel() // 2
        self.head.weight.zero_()
        self.head.bias[[0, latent]] = 0
        self.head.weight[0, 0] = self.head.weight[latent, 1] = 1

    def draw(self, parameters: Tensor, k: int) -> Draws:
        """z = μ + σε, k times."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        noise = torch.randn(k, *mean.shape, device=mean.device, dtype=mean.dtype)
        log_prob = -0.5 * (noise.square() + log_variance + math.log(2 * math.pi)).sum(-1)
        return Draws(mean + torch.exp(0.5 * log_variance) * noise, log_prob)

    def log_prob(self, z: Tensor, parameters: Tensor) -> Tensor:
        mean, log_variance = parameters.chunk(2, dim=-1)
        squares = (z - mean).square() * torch.exp(-log_variance)
        return -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)

    def centre(self, parameters: Tensor) -> Tensor:
        """The point that stands for the posterior, (n, latent): its mean."""
        return parameters.chunk(2, dim=-1)[0]

    def kl_to_standard(self, parameters: Tensor) -> Tensor:
        """KL(q ‖ N(0, I)) of each latent dimension, (n, latent): ½ (μ² + σ² − ln σ² − 1)."""
        mean, log_variance = parameters.chunk(2, dim=-1)
        return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


class FlowPosterior(Posterior):
    """A flow on a Gaussian, that also sees a context of x: z₀ ~ N(μ(x), diag σ²(x)), z_T = f(z₀; context), and

        ln q(z_T|x) = ln q₀(z₀|x) − ln |det ∂f/∂z₀|.

    The parameters, (n, 2·latent + context), are μ, ln σ² and the context.

    Args:
        context: features of x that the flow sees.
        make_flow: makes it: z₀ (n, latent), context (n, context) → z_T, and ln |det|, (n,).
    """

    has_flow = True

    def __init__(self, features: int, latent: int, context: int, make_flow: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.base, self.latent, self.context_size = GaussianPosterior(features, latent), latent, context
        self.context = nn.Sequential(nn.Linear(features, context), nn.ReLU())
        self.flow = make_flow()

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self.base(features), self.context(features).float()], dim=-1)

    def draw(self, parameters: Tensor, k: int) -> Draws:
        """k samples each, pushed through the flow."""
        base, context = parameters[:, : 2 * self.latent], parameters[:, 2 * self.latent :]
        drawn = self.base.draw(base, k)
        z, log_det = self.push(drawn.z.flatten(0, 1), context.repeat(k, 1))
        return Draws(z.unflatten(0, (k, -1)), drawn.log_prob - log_det.view(k, -1))

    def centre(self, parameters: Tensor) -> Tensor:
        """The base's mean, pushed through the flow like everything else."""
        return self.push(parameters[:, : self.latent], parameters[:, 2 * self.latent :])[0]

    def push(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z₀ (n, latent) → z_T and ln |det|, (n,); in float32."""
        with all_digits(z.device):
            return self.flow(z.float(), context.float())

    def start_narrow(self) -> None:
        self.base.start_narrow()

    def start_linear(self, scale: Tensor, first: int) -> None:
        self.base.start_linear(scale, first)


@posteriors.register("iaf")
def iaf(features: int, latent: int, *, blocks: Blocks = 4, width: Width = 128, context: Width = 128) -> FlowPosterior:
    """An inverse autoregressive flow: z_{t+1} = s_t ⊙ z_t + m_t, with s_t and m_t of the earlier elements of z_t and the context,
    so that ln |det| = Σ_t Σ_i ln s_{t,i}. Every step takes the elements in another order; all of it begins as the identity.

    Source: Kingma et al., Improved Variational Inference with Inverse Autoregressive Flow (2016).

    Args:
        blocks: steps of the flow.
        width: of each step's masked network.
        context: features of x that every step sees.
    """
    return FlowPosterior(features, latent, context, lambda: AutoregressiveFlow(latent, blocks, width, context))


def bounded(log_variance: Tensor, usual: float = 2.0) -> Tensor:
    """ln σ² as it is up to `usual`, and from there growing like a logarithm only.

    No posterior has a use for more than the prior's variance, ln σ² = 0; but one strange picture can make a network ask for
    e⁶⁰, and every weight is lost.
    """
    excess = torch.clamp(log_variance - usual, min=0)
    return torch.where(log_variance > usual, usual + torch.log1p(excess), log_variance)
