"""Multilayer perceptrons."""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "relu", "gelu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def mlp(sizes: list[int], activation: Activation = "silu", layer_norm: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes with an activation (and LayerNorm) after all but the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes[:-1]):
        layers += [nn.Linear(before, after), ACTIVATIONS[activation]()]
        if layer_norm:
            layers.append(nn.LayerNorm(after))
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


class ModulatedMLP(nn.Module):
    """An MLP whose hidden layers are scaled and shifted by a condition (FiLM): h ← act((1 + γ(c)) ⊙ (Wh + b) + β(c)).

    The scale lets one network be smooth under one condition and sharp under another. γ and β are linear in c and begin at
    zero, as does the last layer, whose product is taken in float32.
    Source: Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer (2018).

    Shapes: (n, sizes[0]), (n, condition) → (n, sizes[-1]).
    """

    def __init__(self, sizes: list[int], condition: int, activation: Activation) -> None:
        super().__init__()
        hidden = list(pairwise(sizes[:-1]))
        self.hidden = nn.ModuleList(nn.Linear(before, after) for before, after in hidden)
        self.scale = nn.ModuleList(nn.Linear(condition, after, bias=False) for _, after in hidden)
        self.shift = nn.ModuleList(nn.Linear(condition, after, bias=False) for _, after in hidden)
        self.out = nn.Linear(sizes[-2], sizes[-1])
        self.activation = ACTIVATIONS[activation]()
        for layer in (*self.scale, *self.shift, self.out):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        for linear, scale, shift in zip(self.hidden, self.scale, self.shift, strict=True):
            h = self.activation(torch.addcmul(shift(condition), linear(h), 1 + scale(condition)))
        with torch.autocast(h.device.type, enabled=False):
            return self.out(h.to(self.out.weight.dtype))
