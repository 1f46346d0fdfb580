"""How near samples are to the data, as clouds of points."""

import math

import torch
from torch import Tensor

from genexp.measures.record import Value, measure
from genexp.seeds import seed_for
from genexp.subject import Subject


@measure(
    "sliced_wasserstein",
    "distance between samples and data, in their units",
    better="lower",
    headline=90,
    data={"points", "drawn"},
)
def sliced_wasserstein(subject: Subject) -> Value:
    """Beside what as many fresh points of the data get."""
    target = subject.target
    more = subject.data.heldout(len(target), seed_for(subject.settings.seed, "floor")).x.cpu()
    return Value(sliced_distance(subject.samples, target), floor=sliced_distance(more, target))


def sliced_distance(one: Tensor, other: Tensor, directions: int = 64) -> float:
    """Mean over directions of the Wasserstein-1 distance of the projections, in the units of the points.

    Both clouds have shape (n, dim) and equal n. The directions are even in the plane, and in more dimensions always the same
    random ones; on a line there is one. Not 0 for two samples of one distribution but about 1/√n: compare with that.
    """
    axes = _directions(one.shape[1], directions)
    gaps = (one.double() @ axes).sort(dim=0).values - (other.double() @ axes).sort(dim=0).values
    return float(gaps.abs().mean())


def _directions(dim: int, count: int) -> Tensor:
    """Unit vectors as columns, (dim, count)."""
    if dim == 1:
        return torch.ones(1, 1, dtype=torch.float64)
    if dim == 2:
        angle = torch.arange(count, dtype=torch.float64) * math.pi / count
        return torch.stack([angle.cos(), angle.sin()])
    axes = torch.randn(dim, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return axes / axes.norm(dim=0)
