"""`model/field=modulated`: a network without Fourier features, for many dimensions, or for data without fine detail."""

import math

import torch
from torch import Tensor, nn

from genexp.machine.device import all_digits
from genexp.nn.fourier import HatFunctions
from genexp.nn.mlp import ACTIVATIONS, Activation
from genexp.settings import Width
from genexp.velocity.base import FieldNetwork, fields
from genexp.velocity.fields import KNOT_RANGE, Depth, Knots, given


@fields.register("modulated")
class ModulatedField(FieldNetwork):
    """Residual layers of points of unit variance at every time, modulated (FiLM) by the noise level and the condition:

        z = x / √(s²t² + (1−t)²),   h ← h + W₂ act((1 + γ) ⊙ W₁ ĥ + β),   ĥ = h / root mean square of h

    with s the standard deviation of each coordinate of the data, measured before training. γ and β are linear in the hat
    functions of ln τ and the condition.

    Args:
        width: of the layers. depth: how many residual ones.
        activation: of them.
        time_width: how many hat functions of ln τ.
    """

    scale: Tensor

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        *,
        width: Width = 256,
        depth: Depth = 3,
        activation: Activation = "silu",
        time_width: Knots = 16,
    ) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(dim))
        self.noise_level = HatFunctions(time_width, *map(math.log, KNOT_RANGE))
        known = time_width + condition
        self.first = nn.Linear(dim + known, width)
        self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.film = nn.ModuleList(nn.Linear(known, 2 * width) for _ in range(depth))
        self.last = nn.Linear(width, dim)
        self.activation = ACTIVATIONS[activation]()
        for layer in (*self.film, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        self.scale.copy_(x.std(0).clamp(min=1e-6))

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        t = t.clamp(1e-6, 1 - 1e-6)
        known = torch.cat(given(2 * self.noise_level(((1 - t) / t).log()), condition), dim=1)
        t = t[:, None]
        h = self.first(torch.cat([x / ((self.scale * t) ** 2 + (1 - t) ** 2).sqrt(), known], dim=1))
        for inner, outer, film in zip(self.inner, self.outer, self.film, strict=True):
            gamma, beta = film(known).chunk(2, dim=1)
            unit = h * torch.rsqrt(h.square().mean(1, keepdim=True) + 1e-6)
            h = h + outer(self.activation(torch.addcmul(beta, inner(unit), 1 + gamma)))
        with all_digits(h.device):
            return self.last(h.to(self.last.weight.dtype))
