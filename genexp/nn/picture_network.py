"""Convolutions that give couplings of pictures their parameters: small, residual, the same side throughout."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PictureNetwork(nn.Module):
    """h = 3×3 convolution of x and of a learnt map of the places; h ← h + 3×3 convolution of SiLU(h), `hidden_layers` times; then
    a 1×1 convolution of SiLU(h), which begins as zero.

    The learnt map, `position`, tells a convolution where in the picture it is: digits are centred, and their edges empty.

    Args:
        inputs, outputs: channels.
        width: hidden channels.
        size: height and width of the pictures.
    """

    def __init__(self, inputs: int, outputs: int, width: int, hidden_layers: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, width, *size))
        self.hidden = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(hidden_layers))
        self.last = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, height, width) → (n, outputs, height, width)."""
        h = self.first(x.contiguous(memory_format=torch.channels_last)) + self.position
        for layer in self.hidden:
            h = h + layer(F.silu(h))
        return self.last(F.silu(h))
