"""`dataset=class_mixture`: Gaussians in the plane, or in any dimension, each of which is a class."""

from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.base import Batch, DataSpec, FreshStream
from genexp.data.gaussians import Gaussians
from genexp.data.known import KnownPoints, Length
from genexp.data.normal import Vector
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.registry import datasets


@datasets.register("class_mixture")
class ClassMixture(KnownPoints):
    """p(x) = 1/K Σ_y N(x; μ_y, σ² I), and the class y of each point: p(y|x) = N(x; μ_y, σ²I) / K p(x).

    Args:
        data_dir: not used.
        means: μ_y, one list for each class; of one number each, the data are numbers.
        std: σ.

    Raises:
        UserError: the dimensions differ.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        means: Annotated[list[Vector], Field(min_length=1, max_length=256)] = [[-1.5, -1.0], [1.5, -1.0], [0.0, 1.5]],  # noqa: B006
        std: Length = 1.0,
    ) -> None:
        dim = len(means[0])
        if any(len(mean) != dim for mean in means):
            raise UserError(f"dataset.means={means}: the classes must have one dimension")
        covariances = std**2 * torch.eye(dim).expand(len(means), dim, dim)
        super().__init__(
            Gaussians(torch.tensor(means), covariances, torch.ones(len(means))), f"{len(means)} Gaussians, each a class"
        )
        self.spec = DataSpec(shape=(dim,), classes=tuple(str(index) for index in range(len(means))), kind="real")
        self.knows |= {"gaussian_classes"}

    def train_stream(self, batch_size: int, seed: int) -> "ClassStream":
        return ClassStream(self, batch_size, seed)

    def heldout(self, size: int, seed: int) -> Batch:
        return ClassStream(self, size, seed).next()

    def labelled(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n points, (n, dim), and their classes, (n,)."""
        density = self.density
        label = torch.multinomial(density.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, density.dim, generator=generator, device=self.device)
        return density.means[label] + torch.einsum("nij,nj->ni", density.factors[label], noise), label


class ClassStream(FreshStream):
    """Batches drawn anew, with their classes."""

    source: ClassMixture

    def __init__(self, source: ClassMixture, batch_size: int, seed: int) -> None:
        super().__init__(source, batch_size, seed, source.log_density)

    def next(self) -> Batch:
        with all_digits(torch.device(self.source.device)):
            x, label = self.source.labelled(self.batch_size, self.generator)
        return Batch(x, label, self.log_density)
