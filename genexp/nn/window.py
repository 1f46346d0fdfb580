"""A small network of the pixels around each one that come before it, the same for all pixels."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.nn.mlp import ACTIVATIONS, Activation


class CausalWindow(nn.Module):
    """x (n, height·width), row by row → (n, height·width, outputs): W act(Vy + b) + c, where y are the pixels before each one
    in a square around it; what lies outside the picture is 0. Begins as zero.

    Args:
        size: pixels a side of the square, odd.
        channels: of the hidden layer.
    """

    seen: Tensor

    def __init__(self, height: int, width: int, channels: int, size: int, outputs: int, activation: Activation) -> None:
        super().__init__()
        self.picture, self.reach = (height, width), size // 2
        self.first = nn.Conv2d(1, channels, (size // 2 + 1, size))
        self.activation, self.last = ACTIVATIONS[activation](), nn.Conv2d(channels, outputs, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        seen = torch.ones(size // 2 + 1, size)
        seen[-1, size // 2 :] = 0
        self.register_buffer("seen", seen)

    def forward(self, x: Tensor) -> Tensor:
        around = F.pad(x.unflatten(1, (1, *self.picture)), (self.reach, self.reach, self.reach, 0))
        h = F.conv2d(around, self.first.weight * self.seen, self.first.bias)
        return self.last(self.activation(h)).flatten(2).mT

    def in_order(self, n: int) -> Callable[[Tensor, int], Tensor]:
        """The same for one pixel after another, from 0 on: x (n, height·width), of which i are known, → (n, outputs)."""
        height, width = self.picture
        reach = self.reach
        around = self.first.weight.new_zeros(n, 1, height + reach, width + 2 * reach)
        first, last = self.first.weight * self.seen, self.last.weight[:, :, 0, 0]

        def step(x: Tensor, i: int) -> Tensor:
            row, column = divmod(i, width)
            if i > 0:
                above, before = divmod(i - 1, width)
                around[:, 0, above + reach, before + reach] = x[:, i - 1]
            window = around[:, :, row : row + reach + 1, column : column + 2 * reach + 1]
            h = self.activation(F.conv2d(window, first, self.first.bias)[:, :, 0, 0])
            return F.linear(h, last, self.last.bias)

        return step
