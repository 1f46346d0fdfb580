"""Bijections that treat every place of a picture alike and mix channels linearly: actnorm and the invertible 1×1 convolution.

Source: Kingma & Dhariwal, Glow: Generative Flow with Invertible 1×1 Convolutions (2018).
"""

import torch
from torch import Tensor, nn

from genexp.bijections.linear import LU
from genexp.bijections.picture_base import PictureBijection, Shape, picture_bijections
from genexp.machine.device import all_digits


@picture_bijections.register("actnorm")
class PictureActNorm(PictureBijection):
    """z = (x − mean) exp(−log_scale) of each channel; ln |det| = −H·W Σ log_scale.

    `initialise` sets both so that z of these data has mean 0 and deviation 1: once, before the first step; never in `forward`,
    which would do it again after weights were loaded.
    """

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__(shape)
        self.places = shape[1] * shape[2]
        self.mean = nn.Parameter(torch.zeros(shape[0], 1, 1))
        self.log_scale = nn.Parameter(torch.zeros(shape[0], 1, 1))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Take mean and deviation of each channel over pictures and places; one that does not vary keeps its scale."""
        self.mean.copy_(x.mean((0, 2, 3))[:, None, None])
        spread = x.std((0, 2, 3), unbiased=False)[:, None, None]
        self.log_scale.copy_(torch.where(spread > 0, spread, 1.0).log())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return (x - self.mean) * torch.exp(-self.log_scale), (-self.places * self.log_scale.sum()).expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z * torch.exp(self.log_scale) + self.mean, (self.places * self.log_scale.sum()).expand(len(z))


@picture_bijections.register("pointwise")
class Pointwise(PictureBijection):
    """z = P L U x of the channels at each place: P a permutation, drawn when it is built, L and U triangular, so that

        ln |det| = H·W Σ_i ln |L_ii|

    is a sum, and the inverse two triangular solves. It begins as the permutation.
    """

    order: Tensor
    back: Tensor

    def __init__(self, shape: Shape, layer: int) -> None:
        super().__init__(shape)
        self.places = shape[1] * shape[2]
        self.factor = LU(shape[0])
        order = torch.randperm(shape[0])
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(x.device):
            rows = self.factor(x.permute(0, 2, 3, 1).reshape(-1, self.shape[0])).index_select(1, self.order)
            return self._as_pictures(rows, len(x)), (self.places * self.factor.log_det()).expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(z.device):
            rows = z.permute(0, 2, 3, 1).reshape(-1, self.shape[0]).index_select(1, self.back)
            return self._as_pictures(self.factor.inverse(rows), len(z)), (-self.places * self.factor.log_det()).expand(len(z))

    def _as_pictures(self, rows: Tensor, n: int) -> Tensor:
        channels, height, width = self.shape
        return rows.view(n, height, width, channels).permute(0, 3, 1, 2)
