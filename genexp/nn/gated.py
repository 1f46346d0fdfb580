"""Gated convolutions over pictures that see the pixels before each one: two stacks, or one with a blind spot.

Source: van den Oord et al., Conditional Image Generation with PixelCNN Decoders (2016).
"""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Stacks = Literal["two", "one"]


def gate(h: Tensor) -> Tensor:
    """tanh of one half of the channels, times σ of the other."""
    a, b = h.chunk(2, dim=1)
    return torch.tanh(a) * torch.sigmoid(b)


class MaskedConv(nn.Conv2d):
    """A convolution that sees rows above and, in its own row, pixels to the left; with `own`, also the pixel itself."""

    mask: Tensor

    def __init__(self, channels: int, outputs: int, size: int, own: bool) -> None:
        super().__init__(channels, outputs, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + own] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class OneStack(nn.Module):
    """features (n, channels, height, width) → (n, outputs, height, width): each layer one masked convolution.

    The mask of each layer leaves out what is to the right in the pixel's own row, and with it, over all layers, a wedge of the
    rows above: the blind spot.
    """

    def __init__(self, channels: int, depth: int, size: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.first, self.drop = MaskedConv(channels, channels, size, own=False), nn.Dropout(dropout)
        self.layers = nn.ModuleList(MaskedConv(channels, 2 * channels, size, own=True) for _ in range(depth))
        self.last = head(channels, outputs)

    def forward(self, features: Tensor) -> Tensor:
        h = self.first(features)
        for layer in self.layers:
            h = h + self.drop(gate(layer(h)))
        return self.last(h)


class TwoLayer(nn.Module):
    """One layer of both stacks. The vertical one sees the rows above, the horizontal one its own row and the vertical one."""

    def __init__(self, channels: int, size: int, dropout: float) -> None:
        super().__init__()
        self.reach, self.drop = size // 2, nn.Dropout(dropout)
        self.vertical = nn.Conv2d(channels, 2 * channels, (self.reach + 1, size))
        self.across = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, self.reach + 1))
        self.out = nn.Conv2d(channels, channels, 1)

    def down(self, v: Tensor) -> Tensor:
        """v with `reach` rows above it → what the vertical stack has before its gate."""
        return self.vertical(F.pad(v, (self.reach, self.reach, 0, 0)))

    def along(self, h: Tensor, across: Tensor) -> Tensor:
        """h with `reach` columns to its left → the horizontal stack after this layer, but for what is added to."""
        return self.out(self.drop(gate(self.horizontal(h) + across)))

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        moved = self.down(F.pad(v, (0, 0, self.reach, 0)))
        return v + self.drop(gate(moved)), h + self.along(F.pad(h, (self.reach, 0)), self.across(moved))


class TwoStacks(nn.Module):
    """The same without a blind spot: the inputs of the two stacks are moved down by a row, and to the right by a column."""

    def __init__(self, channels: int, depth: int, size: int, outputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.channels, self.reach = channels, size // 2
        self.layers: Sequence[TwoLayer] = nn.ModuleList(TwoLayer(channels, size, dropout) for _ in range(depth))  # type: ignore[assignment]
        self.last = head(channels, outputs)

    def forward(self, features: Tensor) -> Tensor:
        v, h = F.pad(features, (0, 0, 1, -1)), F.pad(features, (1, -1))
        for layer in self.layers:
            v, h = layer(v, h)
        return self.last(h)

    def row_by_row(self, n: int, height: int, width: int) -> Callable[[Tensor | None, int], Tensor]:
        """The same for one pixel after another, each told the features (n, channels) of the pixel before it: (n, outputs).

        The vertical stack is computed once for each row, the horizontal one once for each pixel.
        """
        reach, levels = self.reach, len(self.layers) + 1
        kept = next(self.parameters()).new_zeros
        rows = [kept(n, self.channels, reach + 1, width) for _ in range(levels)]  # of the vertical stack: the last few
        before = [kept(n, self.channels, 1, reach + width) for _ in range(levels)]  # of the horizontal stack: this row
        across: list[Tensor] = []
        above = kept(n, self.channels, 1, width)  # features of the row before, and then of this one
        row = above.clone()

        def begin() -> None:
            for stack, new in zip(rows, [above, *[None] * (levels - 1)], strict=True):
                stack.copy_(stack.roll(-1, 2))
                if new is not None:
                    stack[:, :, -1:] = new
            across.clear()
            for layer, here, after in zip(self.layers, rows, rows[1:], strict=False):
                moved = layer.down(here)
                after[:, :, -1:] = here[:, :, -1:] + gate(moved)
                across.append(layer.across(moved))
            for stack in before:
                stack.zero_()

        def step(feature: Tensor | None, i: int) -> Tensor:
            column = i % width
            if feature is not None:
                row[:, :, 0, (i - 1) % width] = feature
            if column == 0:
                above.copy_(row)
                begin()
            elif feature is not None:
                before[0][:, :, 0, reach + column] = feature
            for layer, beside, here, after in zip(self.layers, across, before, before[1:], strict=False):
                window = here[:, :, :, column : column + reach + 1]
                moved = layer.along(window, beside[:, :, :, column : column + 1])
                after[:, :, :, reach + column : reach + column + 1] = window[:, :, :, -1:] + moved
            return self.last(before[-1][:, :, :, reach + column : reach + column + 1])[:, :, 0, 0]

        return step


def head(channels: int, outputs: int) -> nn.Sequential:
    """Two convolutions of single pixels; begins as zero."""
    last = nn.Conv2d(channels, outputs, 1)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU(), last)
