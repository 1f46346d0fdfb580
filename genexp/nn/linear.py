"""An encoder and a decoder without hidden layers."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from genexp.nn.pairs import Decoder, Encoder


class LinearEncoder(Encoder):
    """Examples x (n, *shape) as numbers, less their mean over the data, and a condition c (n, condition) beside them."""

    mean: Tensor

    def __init__(self, shape: tuple[int, ...], condition: int) -> None:
        super().__init__()
        self.features = math.prod(shape) + condition
        self.register_buffer("mean", torch.zeros(math.prod(shape)))

    def measure(self, x: Tensor) -> None:
        self.mean.copy_(x.mean(0).flatten())

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return torch.cat([x.flatten(1) - self.mean, c], dim=1)


class LinearDecoder(Decoder):
    """Latents z (n, latent), with a condition c (n, condition) beside them, → Wz + Cc + b, (n, *shape)."""

    def __init__(self, shape: tuple[int, ...], latent: int, condition: int) -> None:
        super().__init__()
        self.shape, self.latent = shape, latent
        self.map = nn.Linear(latent + condition, math.prod(shape))

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return self.map(torch.cat([z, c], dim=1)).unflatten(1, self.shape)

    def affine(self) -> tuple[Tensor, Tensor]:
        return self.map.weight[:, : self.latent], self.map.bias

    @torch.no_grad()
    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        self.map.bias.copy_(from_mean(x.mean(0)).flatten())
