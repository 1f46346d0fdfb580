"""Convolutions that give couplings of pictures their parameters: small, residual, the same side throughout."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PictureNetwork(nn.Module):
    """Each number by itself first, then its surroundings:

        f = SiLU(1×1 convolution of x),   h = 3×3 convolution of f + position,   h ← h + 3×3 convolution of SiLU(h),

    the last `hidden_layers` times; then a 1×1 convolution of SiLU(h), which begins as zero. f is there for greys with noise: it
    can tell black from grey, whatever the noise, before a sum over places mixes the noise of nine.

    The learnt map `position` tells a convolution where in the picture it is: digits are centred, and their edges empty.

    Args:
        inputs, outputs: channels.
        width: channels of h; f has half of them.
        size: height and width of the pictures.
    """

    def __init__(self, inputs: int, outputs: int, width: int, hidden_layers: int, size: tuple[int, int]) -> None:
        super().__init__()
        features = max(1, width // 2)
        self.own = nn.Conv2d(inputs, features, 1)
        self.first = nn.Conv2d(features, width, 3, padding=1)
        self.position = nn.Parameter(torch.zeros(1, width, *size))
        self.hidden = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(hidden_layers))
        self.last = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, height, width) → (n, outputs, height, width)."""
        features = F.silu(self.own(x.contiguous(memory_format=torch.channels_last)))
        h = self.first(features) + self.position
        for layer in self.hidden:
            h = h + layer(F.silu(h))
        return self.last(F.silu(h))
