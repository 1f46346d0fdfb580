"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from genexp.machine.device import all_digits

Activation = Literal["silu", "relu", "gelu", "tanh"]
ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


def mlp(sizes: list[int], activation: Activation = "silu", layer_norm: bool = False, residual: bool = False) -> nn.Sequential:
    """Linear layers of the given sizes with an activation (and LayerNorm) after all but the last.

    `residual` hidden layers between equal widths add to what they are given, h ← h + act(Wh + b): it is not lost on its way.
    """
    layers = hidden_layers(sizes[:-1], activation, layer_norm, residual)
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def after_linear(activation: Activation) -> nn.Module:
    """The activation of what a linear layer gives and nobody else keeps: ReLU needs no memory of its own there."""
    return nn.ReLU(inplace=True) if activation == "relu" else ACTIVATIONS[activation]()


def hidden_layers(
    sizes: Sequence[int], activation: Activation, layer_norm: bool = False, residual: bool = False
) -> list[nn.Module]:
    """The layers of `mlp` before the last: an activation (and LayerNorm) after each linear one."""
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layer = [nn.Linear(before, after), after_linear(activation)]
        layers += [Added(*layer)] if residual and before == after else layer
        if layer_norm:
            layers.append(nn.LayerNorm(after))
    return layers


class Added(nn.Sequential):
    """h ← h + f(h), f the layers in their order. Shapes: as f, whose outputs are as many as its inputs."""

    def forward(self, h: Tensor) -> Tensor:
        return h + super().forward(h)


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
        self.activation = after_linear(activation)
        for layer in (*self.scale, *self.shift, self.out):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, h: Tensor, condition: Tensor) -> Tensor:
        for linear, scale, shift in zip(self.hidden, self.scale, self.shift, strict=True):
            h = self.activation((linear(h) * (1 + scale(condition))).add_(shift(condition)))
        with all_digits(h.device):
            return self.out(h.to(self.out.weight.dtype))
