"""`dataset=double_gaussian`: two Gaussian peaks in the plane, or any other mixture of Gaussians."""

from pathlib import Path
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, PositiveFloat

from genexp.capabilities import Known
from genexp.data.base import DataSpec, FreshData, FreshStream
from genexp.data.mixture import GaussianMixture
from genexp.errors import UserError
from genexp.registry import datasets

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
PositivePair = Annotated[list[PositiveFloat], Field(min_length=2, max_length=2)]


@datasets.register("double_gaussian")
class DoubleGaussian(FreshData):
    """A mixture of Gaussians with diagonal covariances; as many components as there are means.

    Args:
        data_dir: not used.
        means: one [x, y] for each component.
        stds: one [σ_x, σ_y] for each component.
        weights: one positive number for each component; they need not sum to one.
        bridge: the strip of x whose mass `bridge_mass` measures: what leaks between the peaks.
        draw: how the points of a training batch are drawn: `random`, or `even`, on a randomly shifted lattice that is brought to
            this density, so that gradients are as right on average and scatter less. Measured is at random points in any case.
    """

    knows: frozenset[Known] = frozenset({"density", "box", "bridge"})

    def __init__(
        self,
        data_dir: Path,
        *,
        means: Annotated[list[Pair], Field(min_length=1)] = [[-2.0, 0.0], [2.0, 0.0]],  # noqa: B006 (never changed)
        stds: Annotated[list[PositivePair], Field(min_length=1)] = [[0.5, 0.8], [0.5, 0.8]],  # noqa: B006
        weights: Annotated[list[PositiveFloat], Field(min_length=1)] = [0.5, 0.5],  # noqa: B006
        bridge: Pair = [-0.5, 0.5],  # noqa: B006
        draw: Literal["random", "even"] = "random",
    ) -> None:
        if not len(means) == len(stds) == len(weights):
            counts = f"{len(means)} means, {len(stds)} stds and {len(weights)} weights"
            raise UserError(f"dataset=double_gaussian: {counts}; there must be one of each per component")
        if bridge[0] >= bridge[1]:
            raise UserError(f"dataset.bridge={bridge}: the first must be less than the second")
        self.spec = DataSpec(shape=(2,), kind="real")
        self.bridge, self.draw = (bridge[0], bridge[1]), draw
        self.density = GaussianMixture(*(torch.tensor(numbers, dtype=torch.float32) for numbers in (means, stds, weights)))

    def to(self, device: torch.device) -> Self:
        self.density = self.density.to(device)
        return super().to(device)

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.density.sample(n, generator)

    def train_stream(self, batch_size: int, seed: int) -> FreshStream:
        source = _Evenly(self.density) if self.draw == "even" else self
        return FreshStream(source, batch_size, seed, self.log_density)

    def describe(self) -> str:
        return f"mixture of {len(self.density.weights)} Gaussians; entropy {self.density.entropy:.5f} nats"


class _Evenly:
    """A mixture as a source of training batches whose points lie evenly."""

    def __init__(self, density: GaussianMixture) -> None:
        self.sample, self.device = density.sample_evenly, density.device
