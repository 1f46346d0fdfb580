"""A posterior of several Gaussians: the encoder says where, the decoder how much of each.

    q(z|x) = Σ_j w_j N(z; μ_j(x), diag σ_j²(x)),   w_j ∝ p(x, μ_j) Π_d σ_jd.

Where Gaussians are apart, the ELBO is Σ_j w_j (L_j − ln w_j), L_j that of one alone, and is highest at w_j ∝ e^{L_j}, where it is
ln Σ_j e^{L_j}: no worse than the best of them. L_j is told by the decoder, at the mean: ln p(x, μ_j) + ½ Σ_d ln σ_jd², and a
number that is the same for all j whose σ² are those of p(z|x) there. So the encoder may be wrong about an example J − 1 times of
J. Whatever w is, q is a distribution that x alone decides, and the ELBO a bound.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.latent.base import Draws, LogJoint, Posterior, posteriors
from genexp.latent.posteriors import bounded


@posteriors.register("mixture")
class MixturePosterior(Posterior):
    """The parameters, (n, components, 2·latent + 1), are μ, ln σ² and ln w, but for a constant, of each Gaussian.

    The gradient passes z of the component that was drawn; of w it has none, as w is not learnt.
    Sources: Morningstar et al., Automatic Differentiation Variational Inference with Mixtures (2021); Kim et al.,
    Semi-Amortized Variational Autoencoders (2018), for asking the decoder.

    Args:
        components: Gaussians; the decoder is asked about the mean of each.
    """

    has_density = True
    asks_decoder = True
    mixed = True

    def __init__(self, features: int, latent: int, *, components: Annotated[int, Field(ge=1, le=4096)] = 8) -> None:
        super().__init__()
        self.latent, self.components = latent, components
        self.head = nn.Linear(features, components * 2 * latent)

    def forward(self, features: Tensor) -> Tensor:
        """The Gaussians, evenly weighted until the decoder has been asked."""
        mean, log_variance = self.head(features).float().unflatten(1, (self.components, -1)).chunk(2, dim=-1)
        return torch.cat([mean, bounded(log_variance), torch.zeros_like(mean[..., :1])], dim=-1)

    @torch.no_grad()
    def start_narrow(self, log_variance: float = -3.0) -> None:
        """Let the Gaussians begin with about this ln σ²: far narrower than the prior."""
        self.head.bias.view(self.components, 2, self.latent)[:, 1] = log_variance

    def refine(self, parameters: Tensor, log_joint: LogJoint) -> Tensor:
        """The same Gaussians, weighted by what the decoder says of their means."""
        mean, log_variance, _ = self.gaussians(parameters)
        with torch.no_grad():
            log_weight = log_joint(mean.transpose(0, 1)).float().T + 0.5 * log_variance.sum(-1)
        return torch.cat([mean, log_variance, log_weight[..., None]], dim=-1)

    def draw(self, parameters: Tensor, k: int) -> Draws:
        """k samples each: of a component, z = μ + σε."""
        mean, log_variance, log_weight = self.gaussians(parameters)
        component = log_weight.detach().exp().multinomial(k, replacement=True)[..., None].expand(-1, -1, self.latent)
        mean, log_variance = (value.gather(1, component).transpose(0, 1) for value in (mean, log_variance))
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        held = torch.cat([parameters[..., :-1], parameters[..., -1:].detach()], dim=-1)
        return Draws(z, self.log_prob(z, held))

    def log_prob(self, z: Tensor, parameters: Tensor) -> Tensor:
        mean, log_variance, log_weight = self.gaussians(parameters)
        squares = (z[:, :, None] - mean).square() * torch.exp(-log_variance)
        log_components = -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)
        return (log_components + log_weight).logsumexp(-1)

    def centre(self, parameters: Tensor) -> Tensor:
        """The mean of the component that weighs most, (n, latent)."""
        mean, _, log_weight = self.gaussians(parameters)
        return mean[torch.arange(len(mean), device=mean.device), log_weight.argmax(-1)]

    def gaussians(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """μ and ln σ², (n, components, latent), and ln w, (n, components), of weights that add up to one."""
        mean, log_variance = parameters[..., :-1].chunk(2, dim=-1)
        return mean, log_variance, parameters[..., -1].log_softmax(-1)
