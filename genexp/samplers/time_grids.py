"""Grids of times from 0 (noise) to 1 (data), for solvers with fixed steps."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.errors import UserError
from genexp.samplers.ode import TimeGrid, time_grids

NoiseLevel = Annotated[float, Field(ge=1e-5, le=1e5)]  # τ = (1−t)/t: the data are seen through noise of this size


def increasing(name: str, noise_range: tuple[float, float]) -> tuple[float, float]:
    """The setting `name`, a range of noise levels; UserError where it is none."""
    low, high = noise_range
    if low >= high:
        raise UserError(f"{name}=[{low:g}, {high:g}]: the first must be less than the second")
    return noise_range


@time_grids.register("uniform")
class Uniform(TimeGrid):
    """Equidistant in t."""

    def times(self, steps: int, device: torch.device) -> Tensor:
        return torch.linspace(0, 1, steps + 1, device=device, dtype=torch.float64)


@time_grids.register("power")
class Power(TimeGrid):
    """t = 1 − (1−u)^power, u equidistant: the closer, the nearer to the data.

    Args:
        power: 1 is the uniform grid.
    """

    def __init__(self, *, power: Annotated[float, Field(ge=1, le=100)] = 2.0) -> None:
        self.power = power

    def times(self, steps: int, device: torch.device) -> Tensor:
        return 1 - (1 - torch.linspace(0, 1, steps + 1, device=device, dtype=torch.float64)) ** self.power


@time_grids.register("log_noise")
class LogNoise(TimeGrid):
    """τ = (1−t)/t equidistant in its logarithm, as the scales of detail are; and from the end of that to t = 1 in one step of
    Euler's, which is the denoised point itself.

    Args:
        grid_range: of τ.

    Raises:
        UserError: a range whose end is not above its beginning.
    """

    ends_denoised = True

    def __init__(self, *, grid_range: tuple[NoiseLevel, NoiseLevel] = (5e-3, 8.0)) -> None:
        self.low, self.high = increasing("grid_range", grid_range)

    def times(self, steps: int, device: torch.device) -> Tensor:
        ends = torch.linspace(0, 1, 2, device=device, dtype=torch.float64)
        if steps == 1:
            return ends
        u = torch.linspace(0, 1, steps - 1, device=device, dtype=torch.float64)
        tau = self.high * (self.low / self.high) ** u
        return torch.cat([ends[:1], 1 / (1 + tau), ends[1:]])
