"""`dataset=eight_gaussians`: Gaussians on a circle."""

import math
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from genexp.data.gaussians import RoundGaussians
from genexp.data.known import KnownPoints, Length
from genexp.registry import datasets


@datasets.register("eight_gaussians")
class EightGaussians(KnownPoints):
    """p(x) = 1/K Σ_k N(x; r (cos 2πk/K, sin 2πk/K), σ² I).

    The defaults are those that others use: a radius of 4 and a standard deviation of 0.5, both divided by √2.

    Args:
        data_dir: not used.
        components: K.
        radius: r.
        std: σ.

    Source: the toy densities of Grathwohl et al., FFJORD, https://arxiv.org/abs/1810.01367
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        components: Annotated[int, Field(ge=1, le=256)] = 8,
        radius: Length = 2.8284271,
        std: Length = 0.35355339,
    ) -> None:
        angle = 2 * math.pi * torch.arange(components, dtype=torch.float64) / components
        density = RoundGaussians(radius * torch.stack([angle.cos(), angle.sin()], dim=1), std)
        super().__init__(density, f"{components} Gaussians on a circle")
        self.knows |= {"modes"}
