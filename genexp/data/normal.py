"""`dataset=normal`: one Gaussian, in any dimension."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field

from genexp.data.gaussians import Gaussians
from genexp.data.known import KnownPoints
from genexp.errors import UserError
from genexp.registry import datasets

MOST = 1_000  # dimensions
Vector = Annotated[list[float], Field(min_length=1, max_length=MOST)]
Matrix = Annotated[list[Vector], Field(min_length=1, max_length=MOST)]


def square(matrix: list[list[float]], dim: int, key: str) -> torch.Tensor:
    """The matrix as a tensor; UserError where it is not dim × dim."""
    if len(matrix) != dim or any(len(row) != dim for row in matrix):
        raise UserError(f"dataset.{key}: a covariance must have {dim} rows of {dim} numbers, as the mean has {dim}")
    return torch.tensor(matrix, dtype=torch.float64)


@datasets.register("normal")
class Normal(KnownPoints):
    """p(x) = N(x; μ, Σ), of entropy ½ ln det 2πeΣ.

    Args:
        data_dir: not used.
        mean: μ, as many numbers as there are dimensions.
        covariance: Σ, as rows; null: unit variances, and `correlation` between each two coordinates.
        correlation: not used when `covariance` is given.

    Raises:
        UserError: Σ is not of the mean's dimension, not symmetric or not positive definite.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        mean: Vector = [0.0, 0.0],  # noqa: B006 (never changed)
        covariance: Matrix | None = None,
        correlation: Annotated[float, Field(ge=-0.999, le=0.999)] = 0.8,
    ) -> None:
        dim = len(mean)
        if covariance is None:
            matrix = torch.full((dim, dim), correlation, dtype=torch.float64).fill_diagonal_(1.0)
        else:
            matrix = square(covariance, dim, "covariance")
        try:
            density = Gaussians(torch.tensor([mean]), matrix[None], torch.ones(1))
        except ValueError as failure:
            key = "correlation" if covariance is None else "covariance"
            raise UserError(f"dataset.{key}={correlation if covariance is None else covariance}: {failure}") from None
        super().__init__(density, f"a Gaussian in {dim} dimension{'s' * (dim > 1)}")
        self.knows |= {"covariance"}
