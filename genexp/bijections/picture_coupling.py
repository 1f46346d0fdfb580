"""Couplings of pictures: half of the numbers moves, under parameters that convolutions find from the other half.

A checkerboard's colour, or half of the channels, stays. Convolutions see either as channels at half of the side (the two white
numbers of each 2×2 square, say): a 3×3 one then reaches 6×6 numbers and costs a quarter.

Source: Dinh et al., Density Estimation Using Real NVP (2017), section 3.4.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.picture_base import PictureBijection, Shape, picture_bijections
from genexp.bijections.squeeze import Squeeze
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.nn.picture_network import PictureNetwork
from genexp.registry import Part
from genexp.settings import Width

Mask = Literal["places", "channels"]
HiddenLayers = Annotated[int, Field(ge=0, le=32)]


@picture_bijections.register("coupling")
class PictureCoupling(PictureBijection):
    """z_moved = T(x_moved; c(x_kept)), z_kept = x_kept;  ln |det| = Σ ln T′.

    Args:
        mask: what moves: half of the `places`, one colour of a checkerboard, or half of the `channels`; then the other half.
            Each pair of layers halves channels in another way, as long as there are others: of eight c // 4, c // 2 and c
            modulo 2.
        width, hidden_layers: of the convolutions.
        transformer: the map of each number that moves.
        seen: channels of a picture of the same size that the convolutions see beside the kept half: 0, or not those of the data.

    Raises:
        UserError: a checkerboard of odd sides; one channel alone, to be split.
    """

    order: Tensor
    back: Tensor

    def __init__(
        self,
        shape: Shape,
        layer: int,
        *,
        mask: Mask = "channels",
        width: Width = 32,
        hidden_layers: HiddenLayers = 1,
        transformer: Part[Transformer] = transformers.part("affine"),
        seen: Annotated[int, Field(ge=0, le=4096)] = 0,
    ) -> None:
        super().__init__(shape)
        self.squeeze = Squeeze(shape, 0) if mask == "places" else None
        self.look = Squeeze((seen, *shape[1:]), 0) if self.squeeze and seen else None
        channels, height, wide = self.squeeze.after if self.squeeze else shape  # type: ignore[misc]
        if channels < 2:
            raise UserError("a coupling splits channels, and there is one alone")
        order = halves(channels, layer // 2, second_first=layer % 2 == 1)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("back", torch.tensor(order).argsort(), persistent=False)
        self.kept = kept = (channels + 1) // 2 if layer % 2 == 0 else channels // 2
        self.transformer = transformer()
        seen = self.look.after[0] if self.look else seen
        outputs = (channels - kept) * self.transformer.per_feature
        self.network = PictureNetwork(kept + seen, outputs, width, hidden_layers, (height, wide))

    def forward(self, x: Tensor, seen: Tensor | None = None, inverse: bool = False) -> tuple[Tensor, Tensor]:
        h = (self.squeeze(x)[0] if self.squeeze else x).index_select(1, self.order)
        kept, moved = h[:, : self.kept], h[:, self.kept :]
        given = [kept] if seen is None else [kept, self.look(seen)[0] if self.look else seen]
        raw = self.network(torch.cat(given, dim=1)).unflatten(1, (-1, moved.shape[1]))  # (n, per_feature, moved, …)
        with all_digits(x.device):  # the network may be bfloat16, the bijection not
            parameters = raw.permute(0, 2, 3, 4, 1).to(x.dtype).flatten(1, 3)
            image, log_slope = self.transformer(moved.flatten(1), parameters, inverse)
        h = torch.cat([kept, image.view_as(moved)], dim=1).index_select(1, self.back)
        return self.squeeze.inverse(h)[0] if self.squeeze else h, log_slope.sum(1)

    def inverse(self, z: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.forward(z, seen, inverse=True)


def halves(channels: int, way: int, second_first: bool) -> list[int]:
    """The channels in such an order that the first half stays and the other moves.

    Way 0 is c // (channels/2), way 1 c // (channels/4) modulo 2, …, for as long as these are whole; then way 0 again.
    """
    blocks = [channels // 2**power for power in range(1, 32) if channels % 2**power == 0] or [(channels + 1) // 2]
    block = blocks[way % len(blocks)]
    return sorted(range(channels), key=lambda c: (((c // block) % 2 == 1) != second_first, c))
