"""Space into channels: a bijection that only moves numbers, so that a convolution afterwards sees four times as far."""

import torch.nn.functional as F
from torch import Tensor

from genexp.bijections.picture_base import PictureBijection, Shape, picture_bijections
from genexp.errors import UserError


@picture_bijections.register("squeeze")
class Squeeze(PictureBijection):
    """(C, H, W) → (4C, H/2, W/2): the four numbers of each 2×2 square become four channels. ln |det| = 0.

    Those on the main diagonals of the squares are the first half of the channels, the others the second: so half of the channels
    is one colour of a checkerboard.

    Raises:
        UserError: a side that cannot be halved.

    Source: Dinh et al., Density Estimation Using Real NVP (2017), section 3.6.
    """

    CORNERS = (0, 3, 1, 2)  # of a square: upper left, lower right, upper right, lower left

    def __init__(self, shape: Shape, layer: int) -> None:
        channels, height, width = shape
        if height % 2 or width % 2:
            raise UserError(f"a picture of {height}×{width} cannot be halved", hint="sides that are even")
        super().__init__(shape, (4 * channels, height // 2, width // 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        corners = F.pixel_unshuffle(x, 2).unflatten(1, (self.shape[0], 4))
        return corners[:, :, list(self.CORNERS)].transpose(1, 2).flatten(1, 2), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        back = [self.CORNERS.index(corner) for corner in range(4)]
        corners = z.unflatten(1, (4, self.shape[0]))[:, back].transpose(1, 2)
        return F.pixel_shuffle(corners.flatten(1, 2), 2), z.new_zeros(len(z))
