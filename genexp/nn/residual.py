"""A multilayer perceptron whose layers add to what went before."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from genexp.nn.mlp import ACTIVATIONS, Activation


class ResidualMLP(nn.Module):
    """h ← act(Wh + b), added to h wherever both have one width. Shapes: (n, sizes[0]) → (n, sizes[-1])."""

    def __init__(self, sizes: Sequence[int], activation: Activation) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, after) for before, after in pairwise(sizes))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, h: Tensor) -> Tensor:
        for layer in self.layers:
            new = self.activation(layer(h))
            h = h + new if new.shape == h.shape else new
        return h
