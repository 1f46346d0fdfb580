"""Points whose density is known: what a density offers to measures and pictures, and the base of the data sets that have one."""

import copy
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import DataSpec, FreshData, LogDensity
from genexp.quadrature import ORDER, Rule

FINE_SIDE = 600  # of the entropy's quadrature
HALVINGS = 6  # of a panel beside a jump
LINE = 16  # times as many points on a line as along a side of a grid
LOST = 1e-3  # what a quadrature may miss of the mass at most
PART = 8_192  # points whose densities are found at once
DRAWN = 200_000  # samples of which the entropy is the mean where there is no quadrature

Length = Annotated[float, Field(ge=0.01, le=100)]  # of a shape in the plane, or its standard deviation
Noise = Annotated[float, Field(ge=0.03, le=10)]  # a standard deviation around a curve
Axis = tuple[Tensor, Tensor]  # nodes and weights of an integral along one coordinate, float64


class KnownDensity:
    """p(x) of points x (n, dim). A subclass says `log_prob`, `sample` and, on a line or in the plane, `box`; where ln p has jumps
    or scales of several kinds, also `axis`, and where there is a closed form, `entropy`.
    """

    dim = 2
    smooth = True  # ln p has a gradient everywhere, and is finite
    device = torch.device("cpu")

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats and in the precision of x."""
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, shape (n, dim)."""
        raise NotImplementedError

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """Lower and upper corner, (dim,), of a box that holds about what `sigmas` standard deviations hold of a Gaussian; of a
        density that ends, with as much room around it.
        """
        raise NotImplementedError

    def to(self, device: torch.device) -> Self:
        moved = copy.copy(self)
        moved.__dict__.update({name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)})
        moved.device = device
        return moved

    def quadrature(self, side: int, low: Tensor, high: Tensor) -> Rule:
        """For integrals over the box from `low` to `high`: about side² points of the plane, or 16·side of a line."""
        count = side if self.dim == 2 else LINE * side
        axes = [self.axis(index, count, float(low[index]), float(high[index])) for index in range(self.dim)]
        nodes, weights = (torch.stack(torch.meshgrid(*each, indexing="ij"), dim=-1) for each in zip(*axes, strict=True))
        return Rule(nodes.flatten(0, -2), weights.prod(-1).flatten())

    def axis(self, index: int, count: int, low: float, high: float) -> Axis:
        """The midpoint rule for coordinate `index`, which converges faster than any power where p is smooth and decays."""
        return pieces([low, high], count)

    def mass(self, rule: Rule) -> float:
        """This density's own integral by a rule: what it misses, no integral of this density by that rule is worth."""
        return rule.integral(self._at(rule).exp())

    @cached_property
    def entropy(self) -> float:
        """−E[ln p], in nats."""
        return self.measured_entropy()

    def measured_entropy(self, side: int = FINE_SIDE) -> float:
        """By quadrature, NaN where that misses the mass; in more than two dimensions the mean over 200,000 samples."""
        here = self.to(torch.device("cpu"))
        if here.dim > 2:
            parts = here.sample(DRAWN, torch.Generator().manual_seed(0)).split(PART)
            return -float(torch.cat([here.log_prob(part.double()) for part in parts]).mean())
        rule = here.quadrature(side, *here.box())
        p = here._at(rule).exp()
        return -rule.integral(torch.xlogy(p, p)) if abs(rule.integral(p) - 1) < LOST else math.nan

    def _at(self, rule: Rule) -> Tensor:
        return torch.cat([self.log_prob(part) for part in rule.points.split(PART)])


def pieces(edges: list[float], count: int) -> Axis:
    """The midpoint rule in each piece between two `edges`, with at least `count` nodes in all: exact at jumps that lie there."""
    nodes, weights = [], []
    for low, high in pairwise(edges):
        size = high - low
        number = max(1, math.ceil(count * size / (edges[-1] - edges[0])))
        nodes.append(low + size * (torch.arange(number, dtype=torch.float64) + 0.5) / number)
        weights.append(torch.full((number,), size / number, dtype=torch.float64))
    return torch.cat(nodes), torch.cat(weights)


def panels(edges: list[float], count: int) -> Axis:
    """Five Gauss–Legendre nodes in each of about `count`/5 panels between the first and the last of the `edges`: where p has
    jumps at those between. A model turns the more sharply there the better it is, so the panels beside a jump are halved
    towards it, HALVINGS times; their nodes come on top.
    """
    share, weight = map(torch.from_numpy, np.polynomial.legendre.leggauss(ORDER))
    ends = [edges[0]]
    for index, (low, high) in enumerate(pairwise(edges)):
        number = max(2, math.ceil(count // ORDER * (high - low) / (edges[-1] - edges[0])))
        inner = np.linspace(low, high, number + 1)
        closer = (inner[1] - low) * 0.5 ** np.arange(HALVINGS, 0, -1)
        left = low + closer if index > 0 else []
        right = high - closer[::-1] if index < len(edges) - 2 else []
        ends += [*left, *inner[1:-1], *right, high]
    cut = torch.tensor(ends, dtype=torch.float64)
    middles, halves = (cut[1:] + cut[:-1]) / 2, cut.diff() / 2
    return (middles[:, None] + halves[:, None] * share).flatten(), (halves[:, None] * weight).flatten()


def within(low: float, edges: list[float], high: float) -> list[float]:
    """`low`, those of the sorted `edges` between, and `high`."""
    return [low, *(edge for edge in edges if low < edge < high), high]


@dataclass(frozen=True)
class Marginal:
    """Coordinates `first` and `second` of points, counted from 0; ln of their own density, (n, 2) → (n,); and the window of them
    that is worth a picture, from the corner `low` to `high`.
    """

    first: int
    second: int
    log_prob: LogDensity
    low: tuple[float, float]
    high: tuple[float, float]


class KnownPoints(FreshData):
    """Base of data sets that are samples of a known density.

    Args:
        density: the density.
        what: what it is, in a few words.
    """

    def __init__(self, density: KnownDensity, what: str) -> None:
        self.density = density
        self.what = what
        self.spec = DataSpec(shape=(density.dim,), kind="real")
        told: dict[Known, bool] = {"density": True, "box": density.dim <= 2, "edges": not density.smooth}
        self.knows = frozenset(word for word, true in told.items() if true)

    def to(self, device: torch.device) -> Self:
        self.density = self.density.to(device)
        return super().to(device)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return self.density.sample(n, generator)

    def describe(self) -> str:
        return f"{self.what}; entropy {self.density.entropy:.5f} nats"
