"""At which times the field is trained."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.samplers.time_grids import NoiseLevel, increasing
from genexp.velocity.base import TrainingTimes, training_times
from genexp.velocity.path import stratified, uniform_times


@training_times.register("uniform")
class Uniform(TrainingTimes):
    """t ~ U(0, 1)."""

    def draw(self, n: int, device: torch.device) -> Tensor:
        return uniform_times(n, device)


@training_times.register("log_noise")
class LogNoise(TrainingTimes):
    """τ = (1−t)/t log-uniform, so that every scale of detail gets the same attention; and a share of t uniform.

    Args:
        uniform_share: of the batch, for which t ~ U(0, 1).
        noise_range: of τ, for the others.

    Raises:
        UserError: a range whose end is not above its beginning.
    """

    def __init__(
        self,
        *,
        uniform_share: Annotated[float, Field(ge=0, le=1)] = 0.1,
        noise_range: tuple[NoiseLevel, NoiseLevel] = (3e-3, 1.0),
    ) -> None:
        self.uniform_share, self.noise_range = uniform_share, increasing("noise_range", noise_range)
        self.finest = noise_range[0]

    def draw(self, n: int, device: torch.device) -> Tensor:
        torch.rand(n, device=device)  # drawn, and left: so a seed gives the weights that it has always given
        even = round(self.uniform_share * n)
        low, high = map(math.log, self.noise_range)
        tau = torch.exp(low + (high - low) * stratified(n - even, device))
        return torch.cat([uniform_times(even, device), 1 / (1 + tau)])


@training_times.register("log_normal")
class LogNormal(TrainingTimes):
    """ln τ ~ N(mean, std²), stratified: most of the attention to the noise levels at which structure comes and goes.

    Args:
        mean, std: of ln τ.

    Source: Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models (2022), with −1.2 and 1.2 for data of
    standard deviation ½; the same as a logit-normal distribution of t.
    """

    def __init__(
        self,
        *,
        mean: Annotated[float, Field(ge=-10, le=10)] = -1.0,
        std: Annotated[float, Field(gt=0, le=10)] = 1.4,
    ) -> None:
        self.mean, self.std = mean, std
        self.finest = max(1e-4, math.exp(mean - 3 * std))

    def draw(self, n: int, device: torch.device) -> Tensor:
        log_tau = self.mean + self.std * torch.special.ndtri(stratified(n, device).clamp(1e-5, 1 - 1e-5))
        return torch.sigmoid(-log_tau)  # 1/(1+τ)
