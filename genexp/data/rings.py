"""`dataset=rings`: concentric circles under Gaussian noise."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import FINE_SIDE, LINE, KnownDensity, KnownPoints, Length, Noise, pieces
from genexp.registry import datasets


class NoisyCircles(KnownDensity):
    """x = R_k (cos φ, sin φ) + σ ε with φ uniform, ε ~ N(0, I) and every one of K radii as likely:

    p(x) = 1/K Σ_k exp(−(r² + R_k²) / 2σ²) I₀(r R_k / σ²) / 2πσ², where r = |x|.

    Args:
        radii: R_k, (K,). std: σ.
    """

    def __init__(self, radii: Tensor, std: float) -> None:
        self.radii, self.std = radii, std

    def log_prob(self, x: Tensor) -> Tensor:
        """With i0e(u) = exp(−u) I₀(u), which does not overflow."""
        r, radii = x.norm(dim=1, keepdim=True), self.radii.to(x.dtype)
        bessel = torch.special.i0e(r * radii / self.std**2).log()
        log_scale = math.log(2 * math.pi * self.std**2 * len(radii))
        return torch.logsumexp(bessel - (r - radii).square() / (2 * self.std**2), dim=1) - log_scale

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        which = torch.randint(len(self.radii), (n,), generator=generator, device=self.device)
        angle = 2 * math.pi * torch.rand(n, generator=generator, device=self.device)
        noise = self.std * torch.randn(n, 2, generator=generator, device=self.device)
        return self.radii[which, None] * torch.stack([angle.cos(), angle.sin()], dim=1) + noise

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        corner = (self.radii.max() + sigmas * self.std).expand(2)
        return -corner, corner

    @cached_property
    def entropy(self) -> float:
        """−∫ 2πr p ln p dr, by quadrature along a radius."""
        here = self.to(torch.device("cpu"))
        r, weights = pieces([0.0, float(here.box()[1][0])], LINE * FINE_SIDE)
        log_p = here.log_prob(torch.stack([r, torch.zeros_like(r)], dim=1))
        return -float((weights * 2 * math.pi * r * log_p.exp() * log_p).sum())


@datasets.register("rings")
class Rings(KnownPoints):
    """Points of K circles of radii R/K, 2R/K, …, R under Gaussian noise, each circle as likely as the others.

    Args:
        data_dir: not used.
        count: K.
        radius: R, of the outermost circle.
        noise: standard deviation of the noise.

    Source: the toy densities of Grathwohl et al., FFJORD, https://arxiv.org/abs/1810.01367
    """

    def __init__(
        self, data_dir: Path, *, count: Annotated[int, Field(ge=1, le=32)] = 4, radius: Length = 3.0, noise: Noise = 0.08
    ) -> None:
        radii = radius * torch.arange(1, count + 1) / count
        super().__init__(NoisyCircles(radii, noise), f"{count} ring{'s' * (count > 1)}")
