"""`dataset=mixture`: any mixture of Gaussians, in any dimension."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat

from genexp.data.gaussians import Gaussians
from genexp.data.known import KnownPoints
from genexp.data.normal import Matrix, Vector, square
from genexp.errors import UserError
from genexp.registry import datasets


@datasets.register("mixture")
class Mixture(KnownPoints):
    """p(x) = Σ_k w_k N(x; μ_k, Σ_k); `dataset=double_gaussian` is one with diagonal covariances.

    Args:
        data_dir: not used.
        means: μ_k, one list for each component; of one number each, the data are numbers.
        covariances: Σ_k, the rows of one matrix for each component.
        weights: one positive number for each component; they need not sum to one.

    Raises:
        UserError: there is not one of each for every component, the dimensions differ, or a Σ_k is not symmetric or not
            positive definite.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        means: Annotated[list[Vector], Field(min_length=1)] = [[-1.5, -1.0], [1.5, -1.0], [0.0, 1.5]],  # noqa: B006 (never changed)
        covariances: Annotated[list[Matrix], Field(min_length=1)] = [  # noqa: B006
            [[0.6, 0.45], [0.45, 0.6]],
            [[0.6, -0.45], [-0.45, 0.6]],
            [[1.0, 0.0], [0.0, 0.1]],
        ],
        weights: Annotated[list[PositiveFloat], Field(min_length=1)] = [1.0, 1.0, 1.0],  # noqa: B006
    ) -> None:
        if not len(means) == len(covariances) == len(weights):
            counts = f"{len(means)} means, {len(covariances)} covariances and {len(weights)} weights"
            raise UserError(f"dataset=mixture: {counts}; there must be one of each per component")
        dim = len(means[0])
        if any(len(mean) != dim for mean in means):
            raise UserError(f"dataset.means={means}: the components must have one dimension")
        matrices = torch.stack([square(matrix, dim, "covariances") for matrix in covariances])
        try:
            density = Gaussians(torch.tensor(means), matrices, torch.tensor(weights))
        except ValueError as failure:
            raise UserError(f"dataset.covariances={covariances}: {failure}") from None
        super().__init__(density, f"mixture of {len(means)} Gaussians in {dim} dimension{'s' * (dim > 1)}")
