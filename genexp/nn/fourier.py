"""Fourier features: a network of low-dimensional coordinates sees fine detail only through waves.

Source: Tancik et al., Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains (2020).
"""

import math

import torch
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    """cos(2πBx) and sin(2πBx) for `num` fixed random frequencies B ~ N(0, scale²), in cycles per unit length.

    Shapes: (n, dim) → (n, 2·num).
    """

    def __init__(self, dim: int, num: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", scale * torch.randn(dim, num))
        self.frequencies: Tensor

    def forward(self, x: Tensor) -> Tensor:
        phase = 2 * math.pi * (x @ self.frequencies)
        return torch.cat([phase.cos(), phase.sin()], dim=1)


class NoiseAwareFourierFeatures(FourierFeatures):
    """Fourier features of a point m seen through Gaussian noise of standard deviation τ, each damped by what survives.

    E[cos(2πB(m + τε))] = cos(2πBm) · exp(−½ τ² |2πB|²), so a wave much shorter than the noise vanishes, and the network
    meets at every noise level just the detail that is there to be seen.

    Shapes: (n, dim), (n,) → (n, 2·num).
    """

    def forward(self, m: Tensor, tau: Tensor) -> Tensor:  # type: ignore[override]
        with torch.autocast(m.device.type, enabled=False):
            phase = 2 * math.pi * (m @ self.frequencies)
            exponent = -2 * math.pi**2 * tau.square()[:, None] * self.frequencies.square().sum(0)
            damping = exponent.clamp(min=-20).exp()  # beyond, nothing is left, and exp would be slow
            return torch.cat([damping * phase.cos(), damping * phase.sin()], dim=1)
