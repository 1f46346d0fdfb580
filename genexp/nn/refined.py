"""Pictures by a fully connected decoder, refined by two convolutions."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.nn.mlp import ACTIVATIONS, Activation
from genexp.nn.pairs import Decoder


class Refined(Decoder):
    """What a `coarse` decoder gives, l, and what its neighbourhood says of each block of pixels on top:

        l + W₂ ∗ act(W₁ ∗ l),     ∗ 3×3 convolutions over blocks of `block`×`block` pixels, each block a pixel of block² channels.

    The last layer of an MLP is a sum of pictures, so that a stroke that is moved by a pixel is another sum; after the
    convolutions it is the same stroke. Over blocks they see 3·`block` pixels a side each at the cost of few positions.
    Begins as `coarse`.

    Shapes: (n, latent), (n, condition) → (n, channels, height, width).

    Raises:
        UserError: examples that are no pictures, or that blocks do not tile.
    """

    def __init__(self, coarse: Decoder, shape: tuple[int, ...], block: int, channels: int, activation: Activation) -> None:
        super().__init__()
        if len(shape) != 3 or shape[1] % block or shape[2] % block:
            common = math.gcd(*shape[1:]) if len(shape) == 3 else 0
            raise UserError(
                f"model/network=refined: examples of shape {'×'.join(map(str, shape))} are not made of {block}×{block} blocks",
                hint=f"model.network.block={max(b for b in range(1, 5) if common % b == 0)}" if common else "model/network=mlp",
            )
        self.coarse, self.block = coarse, block
        self.first = nn.Conv2d(shape[0] * block**2, channels, 3, padding=1)
        self.last = nn.Conv2d(channels, shape[0] * block**2, 3, padding=1)
        self.activation = ACTIVATIONS[activation]()
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        coarse = self.coarse(z, c)
        blocks = F.pixel_unshuffle(coarse, self.block).contiguous(memory_format=torch.channels_last)  # twice as fast on CPUs
        return coarse + F.pixel_shuffle(self.last(self.activation(self.first(blocks))), self.block)

    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        self.coarse.initialise(x, from_mean)
