"""Masked autoregressive networks: output i depends on inputs before i only.

Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedLinear(nn.Linear):
    """A linear layer some of whose weights are always zero: mask (outputs, inputs)."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


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
