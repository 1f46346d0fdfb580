"""A masked perceptron whose masks follow from an ordering of its inputs, which may change from one batch to the next.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.nn.mlp import ACTIVATIONS, Activation

Missing = Sequence[Tensor]  # of each layer the connections that are not there, (outputs, inputs)


class OrderedMLP(nn.Module):
    """x (n, dim) → (n, dim, outputs), where what belongs to an input depends on those before it in an ordering; begins as zero.

    A hidden unit of degree d sees the first d inputs of the ordering and units of no higher degree, in

        h ← act(W₁x + b₁),   h ← act(Wₗh + bₗ) (+ h),   output ← Wh + b (+ Vx),

    and the output of the input in place i of the ordering, counted from 0, sees units of degree i at most and inputs before it.
    Everything is in the places that the inputs have in x, whatever the ordering is.

    Args:
        residual: whether a hidden layer is added to the one before it.
        direct: whether outputs also see inputs themselves, V.
    """

    degrees: Tensor

    def __init__(
        self, dim: int, outputs: int, width: int, hidden_layers: int, activation: Activation, residual: bool, direct: bool
    ) -> None:
        super().__init__()
        self.dim, self.outputs, self.residual = dim, outputs, residual
        self.hidden: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(before, after) for before, after in pairwise([dim, *[width] * hidden_layers])
        )
        self.last, self.activation = nn.Linear(width, dim * outputs), ACTIVATIONS[activation]()
        self.direct = nn.Linear(dim, dim * outputs, bias=False) if direct else None
        for weights in (self.last.weight, self.last.bias, *([self.direct.weight] if self.direct else [])):
            nn.init.zeros_(weights)
        self.register_buffer("degrees", torch.arange(width) * max(1, dim - 1) // width + 1)

    def missing(self, order: Tensor, degrees: Tensor) -> list[Tensor]:
        """Of each layer, the connections that are not there, (outputs, inputs): by the input that is in each place of the
        ordering, (dim,), and the degree of each hidden unit, (width,).
        """
        first = order.argsort() + 1  # the degree of each input
        of_outputs = first.repeat_interleave(self.outputs)
        layers = [degrees[:, None] < seen for seen in (first, *[degrees] * (len(self.hidden) - 1))]
        return [*layers, of_outputs[:, None] <= degrees, *([of_outputs[:, None] <= first] if self.direct else [])]

    def forward(self, x: Tensor, missing: Missing) -> Tensor:
        h = x
        for index, layer in enumerate(self.hidden):
            new = self.activation(product(h, layer, missing[index]))
            h = h + new if self.residual and index else new
        raw = product(h, self.last, missing[len(self.hidden)])
        if self.direct is not None:
            raw = raw + product(x, self.direct, missing[-1])
        return raw.unflatten(1, (self.dim, self.outputs))

    @property
    def _layers(self) -> list[nn.Linear]:
        return [*self.hidden, self.last, *([self.direct] if self.direct else [])]

    def in_order(self, n: int, order: Tensor, degrees: Tensor) -> Callable[[Tensor, int], Tensor]:
        """The same for one place of the ordering after another, from 0 on: x (n, dim) in that order, of which i numbers are
        known, → (n, outputs) of the next.

        Each hidden unit is computed once, when the last input that it sees becomes known.
        """
        missing, depth = self.missing(order, degrees), len(self.hidden)
        weights = [layer.weight.masked_fill(none, 0) for layer, none in zip(self._layers, missing, strict=True)]
        weights[0] = weights[0][:, order]
        if self.direct is not None:
            weights[-1] = weights[-1][:, order]
        values = [weights[0].new_zeros(n, layer.out_features) for layer in self.hidden]
        units_of = [(degrees == degree).nonzero()[:, 0] for degree in range(self.dim)]
        place, within = order.tolist(), torch.arange(self.outputs, device=order.device)

        def step(x: Tensor, i: int) -> Tensor:
            units = units_of[i]
            for index, (before, after) in enumerate(pairwise([x, *values])):
                new = self.activation(F.linear(before, weights[index][units], self.hidden[index].bias[units]))
                new = before[:, units] + new if self.residual and index else new
                after[:, units] = new.to(after.dtype)  # which under autocast it is not
            rows = place[i] * self.outputs + within
            raw = F.linear(values[-1], weights[depth][rows], self.last.bias[rows])
            return raw if self.direct is None else raw + F.linear(x, weights[-1][rows])

        return step


def product(x: Tensor, layer: nn.Linear, missing: Tensor) -> Tensor:
    """Wx + b of those connections that are there."""
    return F.linear(x, layer.weight.masked_fill(missing, 0), layer.bias)
