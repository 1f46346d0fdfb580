"""`dataset=gmm40`: forty Gaussians far apart, by which a method shows whether it finds modes."""

import math
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from genexp.data.gaussians import RoundGaussians
from genexp.data.known import KnownPoints, Length
from genexp.registry import datasets
from genexp.settings import Seed


@datasets.register("gmm40")
class GMM40(KnownPoints):
    """p(x) = 1/K Σ_k N(x; μ_k, σ² I) with μ_k ~ U[−reach, reach]², drawn once by a seed.

    Args:
        data_dir: not used.
        components: K.
        reach: of the means.
        std: σ; the literature's is softplus(1).
        layout: the seed that the means are drawn by; with 0 they are those of the literature.

    Source: Midgley et al., Flow Annealed Importance Sampling Bootstrap (2023), section 5.1.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        components: Annotated[int, Field(ge=1, le=1_000)] = 40,
        reach: Length = 40.0,
        std: Length = math.log1p(math.e),
        layout: Seed = 0,
    ) -> None:
        means = reach * (2 * torch.rand(components, 2, generator=torch.Generator().manual_seed(layout)) - 1)
        super().__init__(RoundGaussians(means, std), f"{components} Gaussians in the plane")
        self.knows |= {"modes"}
