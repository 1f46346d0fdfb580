"""`dataset=two_moons`, `two_spirals`, `swiss_roll`: curves in the plane under Gaussian noise.

The density of a point on the curve plus noise is an integral along the curve. It is taken by Gauss–Legendre nodes, about 1.6 or
more for each σ of length: the density is the mixture of the Gaussians around the nodes, and samples are drawn from exactly that.
ln p differs from that of the integral by less than 10⁻⁵ within 3σ of the curve, beyond its ends too. (An even row of points σ
apart is as good everywhere but at the ends, where its ln p is wrong by 0.4.)
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genexp.data.gaussians import RoundGaussians
from genexp.data.known import Axis, KnownPoints, Noise
from genexp.registry import datasets

FINE = 10_000  # points by which the speed along a curve is found
PIECE, NODES = 10.0, 16  # standard deviations of the noise that a piece of a curve is long at most, and nodes in each
Reach = Annotated[float, Field(ge=0.1, le=10)]  # of a curve

Curve = Callable[[Tensor], Tensor]  # its parameter in [0, 1], (n,), to points (n, 2)


def places(curve: Curve, std: float) -> Axis:
    """Gauss–Legendre nodes u and weights of ∫₀¹ du, (n,) each, in even pieces, none longer on the curve than PIECE `std`."""
    fine = curve(torch.linspace(0, 1, FINE + 1, dtype=torch.float64))
    speed = FINE * float(fine.diff(dim=0).norm(dim=1).max())
    count = max(1, math.ceil(speed / (PIECE * std)))
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
    u = (torch.arange(count, dtype=torch.float64)[:, None] + (1 + nodes) / 2) / count
    return u.flatten(), weights.repeat(count) / (2 * count)


def turned(one: Tensor) -> Tensor:
    """The points (n, 2) and, after them, the same half a turn around the origin."""
    return torch.cat([one, -one])


@datasets.register("two_moons")
class TwoMoons(KnownPoints):
    """Two half circles that interlock, under noise: ±(r (cos φ, sin φ) − c), φ uniform in (0, π), where c = r (½, ¼).

    Args:
        data_dir: not used.
        radius: r, of a half circle.
        noise: standard deviation of the noise.

    Source: scikit-learn's make_moons, centred here and twice as large,
    https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_moons.html
    """

    version = 2

    def __init__(self, data_dir: Path, *, radius: Reach = 2.0, noise: Noise = 0.2) -> None:
        def moon(u: Tensor) -> Tensor:
            angle = math.pi * u
            return radius * torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], dim=1)

        u, share = places(moon, noise)
        super().__init__(RoundGaussians(turned(moon(u)), noise, weights=share.repeat(2)), "two moons")


@datasets.register("two_spirals")
class TwoSpirals(KnownPoints):
    """±R u (−cos φ, sin φ) under noise, φ = 2π · turns · u, where u ∈ (0, 1) has the density 2u: about evenly along the arms.

    Args:
        data_dir: not used.
        turns: of each arm.
        radius: R, where the arms end.
        noise: standard deviation of the noise.

    Source: the toy densities of Grathwohl et al., FFJORD, https://arxiv.org/abs/1810.01367
    """

    version = 2

    def __init__(
        self,
        data_dir: Path,
        *,
        turns: Annotated[float, Field(ge=0, le=5)] = 1.5,
        radius: Reach = 3.0,
        noise: Noise = 0.1,
    ) -> None:
        def arm(u: Tensor) -> Tensor:
            angle = 2 * math.pi * turns * u
            return radius * u[:, None] * torch.stack([-angle.cos(), angle.sin()], dim=1)

        u, share = places(arm, noise)
        super().__init__(RoundGaussians(turned(arm(u)), noise, weights=(2 * u * share).repeat(2)), "two spirals")


@datasets.register("swiss_roll")
class SwissRoll(KnownPoints):
    """R φ/φ₁ (cos φ, sin φ) under noise, φ uniform between 3π/2 and φ₁ = 9π/2.

    Args:
        data_dir: not used.
        radius: R, where the roll ends.
        noise: standard deviation of the noise.

    Source: scikit-learn's make_swiss_roll seen from the side, in about a fifth of its size, as in Grathwohl et al., FFJORD,
    https://arxiv.org/abs/1810.01367
    """

    version = 2

    def __init__(self, data_dir: Path, *, radius: Reach = 2.8, noise: Noise = 0.2) -> None:
        def roll(u: Tensor) -> Tensor:
            angle = 1.5 * math.pi * (1 + 2 * u)
            return radius * (angle / (4.5 * math.pi))[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)

        u, share = places(roll, noise)
        super().__init__(RoundGaussians(roll(u), noise, weights=share), "a Swiss roll")
