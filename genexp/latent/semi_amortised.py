"""A Gaussian posterior that begins as the encoder's, and is then fitted to its example alone by a few steps.

Of a new example the encoder is a guess: trained on few, it loses more there than the decoder does. The bound is one whatever q
is, so that q may be made better where it is asked for:

    q(z|x) = N(μ_T, diag σ_T²),   (μ, ln σ²)_{t+1} = (μ, ln σ²)_t + Adam's step along ∇ E_q[ln p(x, z) − ln q(z|x)],

from the encoder's (μ, ln σ²)_0.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.latent.base import LogJoint, posteriors
from genexp.latent.posteriors import GaussianPosterior
from genexp.machine.device import all_digits, autocast, choose_precision
from genexp.settings import Scale

Steps = Annotated[int, Field(ge=0, le=10_000)]


@posteriors.register("semi_amortised")
class SemiAmortisedPosterior(GaussianPosterior):
    """The encoder's Gaussian, fitted to each example by steps along the ELBO's gradient.

    The gradient is of one sample a step, by way of z alone: its noise is gone where q is p(z|x). In evaluation the samples are
    μ + σ ε_t with ε_t the same numbers for every example at any time: what is fitted to x depends on x and the weights alone.
    Sources: Kim et al., Semi-Amortized Variational Autoencoders (2018), whose encoder is trained through the steps, too; Cremer
    et al., Inference Suboptimality in Variational Autoencoders (2018); Roeder et al., Sticking the Landing (2017), for the
    gradient.

    Args:
        steps: T in every evaluation. Each costs a look of the decoder and its gradient.
        training_steps: T in training. If it is not 0, the encoder is not trained.
        rate: of the steps, constant in the first half and then falling to 0.
        held: how many of the first latents stay as the encoder says: those that decoding has no gradient of.
    """

    asks_decoder = True

    def __init__(
        self, features: int, latent: int, *, steps: Steps = 50, training_steps: Steps = 0, rate: Scale = 0.05, held: Steps = 0
    ) -> None:
        super().__init__(features, latent)
        self.steps, self.training_steps, self.rate = steps, training_steps, rate
        self.fitted = (torch.arange(latent) >= held).float().repeat(2)

    @property
    def refines(self) -> bool:
        return bool(self.training_steps if self.training else self.steps)

    def forward(self, features: Tensor) -> Tensor:
        with all_digits(features.device):  # what is held is never corrected
            return super().forward(features.to(self.head.weight))

    def refine(self, parameters: Tensor, log_joint: LogJoint) -> Tensor:
        """The parameters after the steps; no gradient goes back to the encoder."""
        steps = self.training_steps if self.training else self.steps
        if not steps:
            return parameters
        device, fitted, latent = parameters.device, self.fitted.to(parameters), parameters.shape[1] // 2
        noise = (
            torch.randn(steps, len(parameters), latent, device=device)
            if self.training
            else mirrored_noise(steps, latent)[:, None]
        )
        with torch.enable_grad(), autocast(device, choose_precision("auto", device)):  # q need not be found to all digits
            parameters = parameters.detach().clone().requires_grad_()
            first, second = torch.zeros_like(parameters), torch.zeros_like(parameters)  # Adam's moments
            for step in range(1, steps + 1):
                mean, log_variance = parameters.chunk(2, dim=1)
                z = (mean + (0.5 * log_variance).exp() * noise[step - 1].to(mean))[None]
                bound = (log_joint(z) - self.log_prob_along(z, parameters)).sum()
                (gradient,) = torch.autograd.grad(bound, [parameters])
                first, second = 0.9 * first + 0.1 * gradient, 0.99 * second + 0.01 * gradient.square()
                upwards = first / (1 - 0.9**step) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
                rate = self.rate * min(1.0, 2 * (1 - (step - 1) / steps))
                parameters = (parameters + rate * fitted * upwards).detach().requires_grad_()
        return parameters.detach()


def mirrored_noise(steps: int, latent: int) -> Tensor:
    """ε_1, −ε_1, ε_3, −ε_3, …: (steps, latent) of N(0, I), always the same."""
    half = torch.randn((steps + 1) // 2, latent, generator=torch.Generator().manual_seed(0))
    return torch.stack([half, -half], dim=1).flatten(0, 1)[:steps]
