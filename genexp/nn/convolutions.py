"""Convolutional encoder and decoder of pictures: every layer halves, or doubles, the side."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.nn.pairs import Decoder, Encoder


class ConvEncoder(Encoder):
    """Pictures x (n, channels, side, side), with a condition c (n, condition), → features.

    4×4 convolutions of stride 2, each followed by ReLU and batch normalisation; then everything in one row, and c.
    """

    def __init__(self, shape: tuple[int, ...], widths: Sequence[int], condition: int) -> None:
        super().__init__()
        side = smallest_side(shape, widths)
        layers: list[nn.Module] = []
        for before, after in pairwise([shape[0], *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(after)]
        self.net = nn.Sequential(*layers, nn.Flatten())
        self.features = widths[-1] * side * side + condition

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return torch.cat([self.net(x), c], dim=1)


class ConvDecoder(Decoder):
    """Latents z (n, latent), with a condition c (n, condition), → pictures (n, channels, side, side).

    A linear layer, then 4×4 transposed convolutions of stride 2, each but the last followed by LeakyReLU(0.2) and batch
    normalisation; where the output is `bounded`, in (0, 1), a sigmoid at the end.
    """

    def __init__(self, shape: tuple[int, ...], latent: int, widths: Sequence[int], condition: int, bounded: bool) -> None:
        super().__init__()
        side = smallest_side(shape, widths)
        first = nn.Linear(latent + condition, widths[0] * side * side)
        layers: list[nn.Module] = [first, nn.Unflatten(1, (widths[0], side, side))]
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.BatchNorm2d(after)]
        self.last = nn.ConvTranspose2d(widths[-1], shape[0], 4, stride=2, padding=1)
        self.net = nn.Sequential(*layers, self.last, nn.Sigmoid() if bounded else nn.Identity())

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.net(torch.cat([z, c], dim=1))

    @torch.no_grad()
    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        """Let every pixel begin as the mean colour of the pictures x."""
        if self.last.bias is not None:
            self.last.bias.copy_(torch.logit(x.mean((0, 2, 3)), eps=1e-3))


def smallest_side(shape: tuple[int, ...], widths: Sequence[int]) -> int:
    """What is left of a side after it was halved once for each width; UserError where it does not halve so often."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] % 2 ** len(widths):
        size = "×".join(map(str, shape[1:] or shape))
        raise UserError(
            f"model/network=conv: {len(widths)} layers halve a picture of {size} {len(widths)} times, which cannot be",
            hint=f"a square whose side is a multiple of {2 ** len(widths)}, or fewer widths",
        )
    return shape[1] // 2 ** len(widths)
