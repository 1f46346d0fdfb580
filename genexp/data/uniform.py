"""`dataset=uniform`: every point of a box is as likely as every other."""

import math
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from genexp.data.known import Axis, KnownDensity, KnownPoints, panels, within
from genexp.data.normal import Vector
from genexp.errors import UserError
from genexp.registry import datasets


class UniformBox(KnownDensity):
    """p(x) = 1/V where low ≤ x ≤ high in every coordinate, else 0; low, high: (dim,)."""

    smooth = False

    def __init__(self, low: Tensor, high: Tensor) -> None:
        self.low, self.high = low, high
        self.dim = len(low)

    def log_prob(self, x: Tensor) -> Tensor:
        inside = ((x >= self.low) & (x <= self.high)).all(1)
        return torch.where(inside, x.new_tensor(-self.entropy), -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        share = torch.rand(n, self.dim, generator=generator, device=self.device)
        return torch.lerp(self.low, self.high, share)

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """With half a box of room on every side at 9 sigmas."""
        room = sigmas / 18 * (self.high - self.low)
        return self.low - room, self.high + room

    def axis(self, index: int, count: int, low: float, high: float) -> Axis:
        """In pieces, which end where the box does."""
        return panels(within(low, [float(self.low[index]), float(self.high[index])], high), count)

    @cached_property
    def entropy(self) -> float:
        """ln V."""
        return float((self.high.double() - self.low.double()).log().sum())


@datasets.register("uniform")
class Uniform(KnownPoints):
    """p(x) = 1/V in a box of volume V, of entropy ln V.

    Args:
        data_dir: not used.
        low: the lower corner, as many numbers as there are dimensions.
        high: the upper corner.

    Raises:
        UserError: the corners are not of one dimension, or not below and above each other.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        low: Vector = [-1.0, -1.0],  # noqa: B006 (never changed)
        high: Vector = [1.0, 1.0],  # noqa: B006
    ) -> None:
        corners = torch.tensor(low), torch.tensor(high)
        if len(low) != len(high):
            raise UserError(f"dataset.high={high}: {len(high)} numbers, where dataset.low has {len(low)}")
        if not bool((corners[0] < corners[1]).all()):
            raise UserError(f"dataset.high={high}: each number must be greater than that of dataset.low={low}")
        super().__init__(UniformBox(*corners), "a uniform " + {1: "interval", 2: "rectangle"}.get(len(low), "box"))
