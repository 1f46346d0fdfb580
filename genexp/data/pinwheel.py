"""`dataset=pinwheel`: arms of a wheel, bent by a twist of the plane."""

import math
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import KnownDensity, KnownPoints, Length
from genexp.registry import datasets

Spread = Annotated[float, Field(ge=0.02, le=1)]  # of an arm whose middle is at radius 1


class Pinwheel(KnownDensity):
    """x = s R(2πk/K + a e^ρ) y, where y ~ N((1, 0), diag(σ_r², σ_t²)), ρ = |y|, k is one of K arms and R(α) turns by α.

    The turn depends on ρ alone, and |x| = s ρ: the map is undone by turning back, and changes areas by s² only.

    p(x) = 1/(K s²) Σ_k N(R(−2πk/K − a e^(|x|/s)) x/s; (1, 0), diag(σ_r², σ_t²))
    """

    def __init__(self, arms: int, radial: float, tangential: float, rate: float, scale: float) -> None:
        self.arms, self.rate, self.scale = arms, rate, scale
        self.std = torch.tensor([radial, tangential])
        self.starts = 2 * math.pi * torch.arange(arms) / arms

    def log_prob(self, x: Tensor) -> Tensor:
        y, std = x / self.scale, self.std.to(x.dtype)
        radius = y.norm(dim=1, keepdim=True)
        angle = torch.atan2(y[:, 1:], y[:, :1]) - self.starts.to(x.dtype) - self.rate * radius.exp()  # (n, arms)
        squares = ((radius * angle.cos() - 1) / std[0]).square() + (radius * angle.sin() / std[1]).square()
        log_scale = std.log().sum() + math.log(2 * math.pi * self.arms * self.scale**2)
        return torch.logsumexp(-0.5 * squares, dim=1) - log_scale

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        arm = torch.randint(self.arms, (n,), generator=generator, device=self.device)
        along, across = (self.std * torch.randn(n, 2, generator=generator, device=self.device)).unbind(1)
        radius = torch.hypot(1 + along, across)
        angle = torch.atan2(across, 1 + along) + self.starts[arm] + self.rate * radius.exp()
        return self.scale * radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        corner = self.scale * (1 + sigmas * self.std.max()).expand(2)
        return -corner, corner


@datasets.register("pinwheel")
class PinwheelPoints(KnownPoints):
    """Gaussians around a wheel, turned the more the further out.

    The usual pinwheel turns by the first coordinate of y in place of its radius; its density has no closed form.

    Args:
        data_dir: not used.
        arms: K.
        radial: σ_r, along an arm, whose middle is at radius 1.
        tangential: σ_t, across it.
        rate: a, of the twist.
        scale: s, of the whole.

    Source: Johnson et al., https://arxiv.org/abs/1603.06277
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        arms: Annotated[int, Field(ge=1, le=64)] = 5,
        radial: Spread = 0.3,
        tangential: Spread = 0.1,
        rate: Annotated[float, Field(ge=-1, le=1)] = 0.25,
        scale: Length = 2.0,
    ) -> None:
        super().__init__(Pinwheel(arms, radial, tangential, rate, scale), f"a pinwheel of {arms} arm{'s' * (arms > 1)}")
