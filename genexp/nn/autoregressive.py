"""Masked autoregressive networks, whose output i depends on inputs before i only, and flows of them.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).
"""

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


def degrees_of(width: int, dim: int, least: int = 1) -> Tensor:
    """How many inputs each hidden unit sees, (width,): `least` to dim − 1 in turn; of fewer units than that, evenly from the one
    to the other, so that the last output depends on all inputs before it.
    """
    units, steps = torch.arange(width), max(0, dim - 1 - least)
    return units % (steps + 1) + least if width > steps else units * steps // max(1, width - 1) + least


class MADE(nn.Module):
    """z (n, dim), context (n, context) → (n, outputs, dim), where [:, :, i] depends on z[:, :i] and all of the context.

    Two hidden layers; a hidden unit sees inputs (and units) of no higher degree than its own, and those of degree 0 the context
    alone. The output begins as zero.
    """

    def __init__(self, dim: int, context: int, width: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        degree_in = torch.arange(1, dim + 1)
        degree = degrees_of(width, dim, least=0)
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
        degrees = [degree_in, *[degrees_of(width, dim)] * hidden_layers]
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
