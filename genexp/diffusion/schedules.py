"""Noise schedules: how the signal α and the noise σ of x_s = α u + σ ε change with s, from 0 (data) to 1 (noise)."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.diffusion.base import Schedule, schedules
from genexp.samplers.time_grids import NoiseLevel, increasing

EARLIEST = 1e-4  # of the time of the source, where its own formula has no noise left

Rate = Annotated[float, Field(gt=0, le=1000)]
Range = tuple[NoiseLevel, NoiseLevel]


@schedules.register("linear")
class Linear(Schedule):
    """α² = exp(−∫β), σ² = 1 − α², with β(s) = low + s (high − low): the variance is preserved.

    Args:
        beta: β at the data and at the noise.

    Sources: Ho et al., Denoising diffusion probabilistic models (2020); Song et al., Score-based generative modeling through
    stochastic differential equations (2021), the VP-SDE.
    """

    def __init__(self, *, beta: tuple[Rate, Rate] = (0.1, 20.0)) -> None:
        self.low, self.high = beta

    def _integral(self, s: Tensor) -> Tensor:
        s = EARLIEST + (1 - EARLIEST) * s.double()
        return self.low * s + 0.5 * (self.high - self.low) * s**2

    def alpha(self, s: Tensor) -> Tensor:
        return (-0.5 * self._integral(s)).exp()

    def sigma(self, s: Tensor) -> Tensor:
        return (-torch.expm1(-self._integral(s))).sqrt()


class Between(Schedule):
    """Base of schedules from one noise level to another.

    Args:
        noise_range: of τ, in standard deviations of the data.

    Raises:
        UserError: a range whose end is not above its beginning.
    """

    def __init__(self, *, noise_range: Range = (5e-3, 10.0)) -> None:
        self.low, self.high = increasing("noise_range", noise_range)


@schedules.register("cosine")
class Cosine(Between):
    """α = cos φ, σ = sin φ, φ even between the ends: the variance is preserved, and signal turns into noise at a constant rate.

    Args:
        noise_range: of τ, in standard deviations of the data.

    Source: Nichol & Dhariwal, Improved denoising diffusion probabilistic models (2021), with an offset of 0.008: a least τ
    of 0.0125.
    """

    def _angle(self, s: Tensor) -> Tensor:
        first, last = math.atan(self.low), math.atan(self.high)
        return first + (last - first) * s.double()

    def alpha(self, s: Tensor) -> Tensor:
        return self._angle(s).cos()

    def sigma(self, s: Tensor) -> Tensor:
        return self._angle(s).sin()


class Exploding(Between):
    """Base of those with α = 1 and σ even in s: the signal stays, and the noise grows until nothing else is seen. The steps of a
    sampler are not even: as the ODE is dx/dσ = ε̂, they may be short where there is little noise.
    """

    def alpha(self, s: Tensor) -> Tensor:
        return torch.ones_like(s, dtype=torch.float64)

    def sigma(self, s: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * s.double()

    def levels(self, u: Tensor) -> Tensor:
        """σ after a share 1 − u of the steps, u from 1 to 0."""
        raise NotImplementedError

    def grid(self, steps: int) -> Tensor:
        s = (self.levels(super().grid(steps)) - self.low) / (self.high - self.low)
        return s.clamp(0, 1)


@schedules.register("geometric")
class Geometric(Exploding):
    """σ falls by equal factors: σ = low (high/low)^u.

    Args:
        noise_range: of τ, in standard deviations of the data.

    Source: Song & Ermon, Generative modeling by estimating gradients of the data distribution (2019).
    """

    def levels(self, u: Tensor) -> Tensor:
        return self.low * (self.high / self.low) ** u


@schedules.register("karras")
class Karras(Exploding):
    """σ = (low^(1/ρ) + u (high^(1/ρ) − low^(1/ρ)))^ρ: fewer of the steps at the least noise than `geometric` has.

    Args:
        noise_range: of τ, in standard deviations of the data.
        rho: ρ; 1 is even in σ, and many come near to `geometric`.

    Source: Karras et al., Elucidating the design space of diffusion-based generative models (2022).
    """

    def __init__(self, *, noise_range: Range = (5e-3, 10.0), rho: Annotated[float, Field(ge=1, le=100)] = 7.0) -> None:
        super().__init__(noise_range=noise_range)
        self.rho = rho

    def levels(self, u: Tensor) -> Tensor:
        first, last = self.low ** (1 / self.rho), self.high ** (1 / self.rho)
        return (first + (last - first) * u) ** self.rho


@schedules.register("straight")
class Straight(Between):
    """α = 1 − r, σ = r, r even between the ends: the straight path of flow matching.

    Args:
        noise_range: of τ, in standard deviations of the data.
    """

    def sigma(self, s: Tensor) -> Tensor:
        first, last = self.low / (1 + self.low), self.high / (1 + self.high)
        return first + (last - first) * s.double()

    def alpha(self, s: Tensor) -> Tensor:
        return 1 - self.sigma(s)
