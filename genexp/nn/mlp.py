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
    """An MLP whose hidden layers are scaled and shifted by a condition (FiLM): h ← act((1 + γ(c)) ⊙ Wh + β(c)).

    The scale lets one network be smooth under one condition and sharp under another.
    Source: Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer (2018).

    Shapes: (n, inputs), (n, condition) → (n, outputs).
    """

    def __init__(self, inputs: int, condition: int, outputs: int, width: int, depth: int, activation: Activation) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(inputs if i == 0 else width, width) for i in range(depth))
        self.modulation = nn.Linear(condition, 2 * depth * width)
        self.out = nn.Linear(width, outputs)
        self.activation = ACTIVATIONS[activation]()
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        modulation = self.modulation(condition).chunk(2 * len(self.hidden), dim=1)
        for linear, scale, shift in zip(self.hidden, modulation[::2], modulation[1::2], strict=True):
            h = self.activation(torch.addcmul(shift, linear(h), 1 + scale))
        return self.out(h)
