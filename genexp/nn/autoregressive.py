"""Masked autoregressive networks, whose output i depends on inputs before i only, and flows of them.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.nn.mlp import Activation, after_linear


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights are always zero: mask (outputs, inputs).

    Inputs after the last one that is seen (of an autoregressive network, the last of all) take no part in the product, and where
    all others are seen by all there is nothing to mask: so in two dimensions, but for the last layer.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())
        seen = mask.any(0).nonzero()
        self.seen = int(seen.max()) + 1 if len(seen) else mask.shape[1]
        self.whole = bool(mask[:, : self.seen].all())

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.whole else self.weight * self.mask
        if self.seen < self.in_features:
            x, weight = x[..., : self.seen], weight[:, : self.seen]
        return F.linear(x, weight, self.bias)


class MADE(nn.Module):
    """z (n, dim), context (n, context) → (n, outputs, dim), where [:, :, i] depends on z[:, :i] and all of the context.

    Two hidden layers; hidden unit j has the degree j mod (dim − 1) + 1 and sees inputs (and units) of no higher degree. The
    output begins as zero.
    """

    def __init__(self, dim: int, context: int, width: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        degree_in = torch.arange(1, dim + 1)
        degree = torch.arange(width) % max(1, dim - 1) + 1
        self.first = MaskedLinear(degree[:, None] >= degree_in)
        self.context = nn.Linear(context, width, bias=False)
        self.second = MaskedLinear(degree[:, None] >= degree)
        self.last = MaskedLinear((degree_in[:, None] > degree).repeat(outputs, 1))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, z: Tensor, context: Tensor) -> Tensor:
        h = F.silu(self.first(z) + self.context(context))
        h = h + F.silu(self.second(h))
        return self.last(h).unflatten(1, (self.outputs, -1))


class AutoregressiveFlow(nn.Module):
    """`blocks` steps z ← e^s ⊙ z + m, |s| < 2, each in a random order of the elements that is undone after it."""

    orders: Tensor

    def __init__(self, dim: int, blocks: int, width: int, context: int) -> None:
        super().__init__()
        self.networks = nn.ModuleList(MADE(dim, context, width, outputs=2) for _ in range(blocks))
        self.register_buffer("orders", torch.stack([torch.randperm(dim) for _ in range(blocks)]))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, dim), context (n, context) → the image, and ln |det| of the map, (n,)."""
        log_det = z.new_zeros(len(z))
        for network, order in zip(self.networks, self.orders, strict=True):
            moved = z[:, order]
            raw_scale, shift = network(moved, context).unbind(1)
            s = 2 * torch.tanh(raw_scale / 2)
            z = (moved * torch.exp(s) + shift)[:, order.argsort()]
            log_det = log_det + s.sum(1)
        return z, log_det


class MaskedMLP(nn.Module):
    """x (n, dim) → (n, dim, outputs), where [:, i] depends on x[:, :i] alone; begins as zero. Degrees are those of `MADE`."""

    def __init__(self, dim: int, outputs: int, width: int, hidden_layers: int, activation: Activation) -> None:
        super().__init__()
        degree_in = torch.arange(1, dim + 1)
        degrees = [degree_in, *[torch.arange(width) % max(1, dim - 1) + 1] * hidden_layers]
        layers: list[nn.Module] = []
        for before, after in pairwise(degrees):
            layers += [MaskedLinear(after[:, None] >= before), after_linear(activation)]
        last = MaskedLinear((degree_in[:, None] > degrees[-1]).repeat_interleave(outputs, 0))
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(*layers, last)
        self.dim, self.outputs = dim, outputs

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).unflatten(1, (self.dim, -1))

    def first(self) -> Tensor:
        """What i = 0 has of no input at all: (outputs,)."""
        return self.net[-1].bias[: self.outputs]  # type: ignore[union-attr,index]

    def in_order(self, n: int) -> Callable[[Tensor, int], Tensor]:
        """The same for one i after another, from 0 on: x (n, dim), of which i numbers are known, → (n, outputs).

        Each hidden unit is computed once, when the last input that it sees becomes known.
        """
        *hidden, last = [layer for layer in self.net if isinstance(layer, MaskedLinear)]
        weights = [layer.weight * layer.mask for layer in (*hidden, last)]
        values = [weights[0].new_zeros(n, layer.out_features) for layer in hidden]
        activation, period = self.net[1], max(1, self.dim - 1)

        def step(x: Tensor, i: int) -> Tensor:
            if i > 0:  # units of degree i, as `MaskedMLP` has numbered them
                units = slice(i - 1, None, period)
                for layer, weight, before, after in zip(hidden, weights, [x, *values], values, strict=False):
                    after[:, units] = activation(F.linear(before, weight[units], layer.bias[units]))
            rows = slice(i * self.outputs, (i + 1) * self.outputs)
            return F.linear(values[-1], weights[-1][rows], last.bias[rows])

        return step
