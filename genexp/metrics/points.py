"""How near two clouds of points are."""

import math

import torch
from torch import Tensor


def sliced_wasserstein(one: Tensor, other: Tensor, directions: int = 64) -> float:
    """Mean over directions of the Wasserstein-1 distance of the projections, in the units of the points.

    Both clouds have shape (n, 2) and equal n. Not 0 for two samples of one distribution but about 1/√n: compare with that.
    """
    angle = torch.arange(directions, dtype=torch.float64) * math.pi / directions
    axes = torch.stack([angle.cos(), angle.sin()])
    gaps = (one.double() @ axes).sort(dim=0).values - (other.double() @ axes).sort(dim=0).values
    return float(gaps.abs().mean())
