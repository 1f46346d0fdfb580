"""Fields of velocities v(x, t) that know their divergence without a second pass of automatic differentiation.

Both see time through cos(πkt), k = 0 … time_width − 1, and begin as v = 0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

SmoothActivation = Literal["tanh", "silu"]


@dataclass(frozen=True)
class Motion:
    """At n points: the velocity, (n, dim); its divergence, (n,); and where asked for ‖∂v/∂x‖², the sum of the squares of the
    Jacobian's entries, (n,)."""

    velocity: Tensor
    divergence: Tensor
    squared_jacobian: Tensor | None = None


def tanh(x: Tensor) -> tuple[Tensor, Tensor]:
    """The value and the slope."""
    h = torch.tanh(x)
    return h, 1 - h.square()


def silu(x: Tensor) -> tuple[Tensor, Tensor]:
    gate = torch.sigmoid(x)
    h = x * gate
    return h, gate + h * (1 - gate)


WITH_SLOPE: dict[SmoothActivation, Callable[[Tensor], tuple[Tensor, Tensor]]] = {"tanh": tanh, "silu": silu}


class TimeWaves(nn.Module):
    """cos(πkt), k = 0 … width − 1: a time () → (width,)."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", math.pi * torch.arange(width), persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        return torch.cos(self.frequencies * t)


class ClosedField(nn.Module):
    """A field whose divergence has a closed form: `field(x, t, squares=False)` is a `Motion`."""

    def forward(self, x: Tensor, t: Tensor, squares: bool = False) -> Motion:
        """At points x (n, dim) and one time t; `squares`: with ‖∂v/∂x‖²."""
        raise NotImplementedError


class WideField(ClosedField):
    """v(x, t) = Σ_j o_j(t) h(w_j(t)·x + b_j(t)) + c: one hidden layer, whose units change with time.

    The Jacobian is Σ_j h′_j o_j w_jᵀ, so that its trace, the divergence, is exact in any number of dimensions and costs one
    product of a matrix and a vector.

    Source: Chen et al., Neural Ordinary Differential Equations (2018), section 4.
    """

    def __init__(self, dim: int, width: int, time_width: int, activation: SmoothActivation, reach: float = 2.5) -> None:
        super().__init__()
        self.act, self.waves = WITH_SLOPE[activation], TimeWaves(time_width)
        self.hidden, self.out = nn.Linear(dim, width), nn.Linear(width, dim)
        self.modulation = nn.Linear(time_width, 3 * width, bias=False)
        with torch.no_grad():  # where units bend is spread over the data, which lie within about `reach` of the origin
            self.hidden.weight.normal_().div_(self.hidden.weight.norm(dim=1, keepdim=True)).mul_(reach)
            self.hidden.bias.uniform_(-(reach**2), reach**2)
        for weights in (self.modulation.weight, self.out.weight, self.out.bias):
            nn.init.zeros_(weights)

    def forward(self, x: Tensor, t: Tensor, squares: bool = False) -> Motion:
        """At points x (n, dim) and one time t; `squares`: with ‖∂v/∂x‖²."""
        scale, shift, gain = self.modulation(self.waves(t)).chunk(3)
        w, o = self.hidden.weight * (1 + scale)[:, None], self.out.weight.T * (1 + gain)[:, None]  # (width, dim)
        h, slope = self.act(torch.addmm(self.hidden.bias * (1 + scale) + shift, x, w.T))
        squared = (slope @ (w[:, :, None] * o[:, None, :]).flatten(1)).square().sum(1) if squares else None
        return Motion(torch.addmm(self.out.bias, h, o), slope @ (w * o).sum(1), squared)


class DeepField(nn.Module):
    """v(x, t) by an MLP whose hidden layers are scaled and shifted by time: h ← act((1 + γ(t)) ⊙ (W h + b) + β(t)).

    Its derivatives along given directions are carried through the layers beside its value (forward mode).

    Source: Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer (2018).
    """

    def __init__(self, sizes: Sequence[int], time_width: int, activation: SmoothActivation) -> None:
        super().__init__()
        hidden = list(pairwise(sizes[:-1]))
        self.act, self.waves = WITH_SLOPE[activation], TimeWaves(time_width)
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in hidden)
        self.modulation = nn.ModuleList(nn.Linear(time_width, 2 * after, bias=False) for _, after in hidden)
        self.out = nn.Linear(sizes[-2], sizes[-1])
        for layer in (*self.modulation, self.out):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, t: Tensor, directions: Tensor) -> Motion:
        """With the derivatives along `directions`, (k, n or 1, dim): all unit vectors give divergence and squares exactly, one
        vector of ±1 at random unbiased estimates of both.
        """
        time, h, along = self.waves(t), x, directions
        for linear, modulation in zip(self.hidden, self.modulation, strict=True):
            scale, shift = modulation(time).chunk(2)
            weight = linear.weight * (1 + scale)[:, None]
            h, slope = self.act(torch.addmm(linear.bias * (1 + scale) + shift, h, weight.T))
            along = slope * (along @ weight.T)
        along = along @ self.out.weight.T
        return Motion(self.out(h), (along * directions).sum((0, 2)), along.square().sum((0, 2)))
