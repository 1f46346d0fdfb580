"""`model/network=mlp | conv`: networks that give one number, the energy of an example less that of the reference.

Activations are smooth, so that the energy has a gradient which changes smoothly: chains follow it, score matching differentiates
it once more.
"""

import math
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.energy.base import EnergyNetwork, energy_networks
from genexp.errors import UserError
from genexp.nn.fourier import FourierFeatures, random_frequencies
from genexp.nn.mlp import mlp
from genexp.settings import Scale, Width

Depth = Annotated[int, Field(ge=1, le=32)]
Frequencies = Annotated[int, Field(ge=0, le=4_096)]
FEW = 32  # frequencies of a line and of the plane


@energy_networks.register("mlp")
class Perceptron(EnergyNetwork):
    """Fully connected layers with SiLU between them; the numbers of an example are put in a row.

    Args:
        width: of the hidden layers.
        depth: how many.
        num_frequencies: so many random frequencies, whose cos and sin the network also sees: for energies with fine detail. null:
            32 on a line and in the plane, none in more dimensions, where the directions are too many.
        frequency_scale: the largest of them, in cycles per standard deviation of the data.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        width: Width = 64,
        depth: Depth = 3,
        num_frequencies: Frequencies | None = None,
        frequency_scale: Scale = 1.0,
    ) -> None:
        super().__init__()
        dim = math.prod(shape)
        if num_frequencies is None:
            num_frequencies = FEW if dim <= 2 else 0
        drawn = random_frequencies(dim, num_frequencies, frequency_scale, "even") if num_frequencies else None
        self.fourier = None if drawn is None else FourierFeatures(drawn)
        self.net = mlp([dim + 2 * num_frequencies, *[width] * depth, 1], "silu")

    def forward(self, u: Tensor) -> Tensor:
        u = u.flatten(1)
        return self.net(u if self.fourier is None else torch.cat([u, self.fourier(u)], dim=1))[:, 0]


@energy_networks.register("conv")
class Convolutions(EnergyNetwork):
    """Of pictures: a 3×3 convolution, then 4×4 ones of stride 2, SiLU after each, and one linear layer.

    There is no batch normalisation: the energy of a picture must not depend on the others of its batch.

    Args:
        channels: of each convolution; every one but the first halves the side.
    """

    def __init__(
        self, shape: tuple[int, ...], *, channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (32, 64, 64)
    ) -> None:
        super().__init__()
        halved = 2 ** (len(channels) - 1)
        if len(shape) != 3 or shape[1] % halved or shape[2] % halved:
            what = "×".join(map(str, shape))
            raise UserError(
                f"model/network=conv: pictures whose sides can be halved {len(channels) - 1} times, and not {what}",
                hint="model/network=mlp, or fewer model.network.channels",
            )
        layers: list[nn.Module] = [nn.Conv2d(shape[0], channels[0], 3, padding=1), nn.SiLU()]
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels[-1] * shape[1] * shape[2] // halved**2, 1))

    def forward(self, u: Tensor) -> Tensor:
        return self.net(u)[:, 0]
