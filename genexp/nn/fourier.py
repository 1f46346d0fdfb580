"""Fourier features: a network of low-dimensional coordinates sees fine detail only through them.

Source: Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains (2020).
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from genexp.machine.device import all_digits

Spread = Literal["normal", "even"]


def random_frequencies(dim: int, num: int, scale: float, spread: Spread) -> Tensor:
    """(dim, num) frequencies in cycles per unit length.

    normal: every component ~ N(0, scale²). even: directions at random, lengths spread evenly over [0, scale], so that
    no scale of detail is left to chance and none beyond `scale` is invited.
    """
    direction = torch.randn(dim, num)
    if spread == "normal":
        return scale * direction
    length = scale * (torch.arange(num) + torch.rand(num)) / num
    return length * direction / direction.norm(dim=0)


class FourierFeatures(nn.Module):
    """cos(2πBx) and sin(2πBx) for fixed frequencies B, (dim, num). Shapes: (n, dim) → (n, 2·num)."""

    frequencies: Tensor

    def __init__(self, frequencies: Tensor) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequencies)

    def forward(self, x: Tensor) -> Tensor:
        with all_digits(x.device):  # a phase needs all its digits
            phase = 2 * math.pi * (x.to(self.frequencies.dtype) @ self.frequencies)
        return torch.cat([phase.cos(), phase.sin()], dim=1)


class NoiseAwareFourierFeatures(FourierFeatures):
    """Fourier features of a point m seen through Gaussian noise of standard deviation τ, each damped by what survives:

        √2 cos(2πBm) · exp(−½ (damping·τ)² |2πB|²)

    With damping = 1 this is √2 E[cos(2πB(m + τε))], ε ~ N(0, I): a wavelength much shorter than the noise vanishes, and the
    network meets at every noise level just the detail that is there to be seen. Less damping keeps them a little longer.

    Shapes: (n, dim), and (n,) or for all the same (1,) → (n, 2·num).
    """

    def __init__(self, frequencies: Tensor, damping: float = 1.0) -> None:
        super().__init__(frequencies)
        self.damping = damping
        self.width = 2 * frequencies.shape[1]

    def forward(self, m: Tensor, tau: Tensor) -> Tensor:  # type: ignore[override]
        squared = (2 * math.pi * self.damping) ** 2 * self.frequencies.square().sum(0)
        exponent = -0.5 * tau.square()[:, None] * squared
        amplitude = math.sqrt(2) * exponent.clamp(min=-18).exp()  # beyond, nothing is left, and exp is slow
        return super().forward(m) * amplitude.repeat(1, 2)


class HatFunctions(nn.Module):
    """A piecewise linear basis: `num` hats on evenly spaced knots over [low, high], (n,) → (n, num), rows sum to one.

    A linear layer on top is a linear interpolation between `num` values. Outside the range the ends hold.
    """

    knots: Tensor

    def __init__(self, num: int, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("knots", torch.linspace(low, high, num))

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.knots[0], self.knots[-1]
        position = (x.clamp(low, high) - low) / (high - low) * (len(self.knots) - 1)
        return (1 - (position[:, None] - torch.arange(len(self.knots), device=x.device)).abs()).clamp(min=0)
