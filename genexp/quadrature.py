"""Integrals over a rectangle: the midpoint rule on an even grid, and a rule that puts its points where given bumps are."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

REACH = 6.0  # standard deviations around the centre of a bump that are resolved on its own scale
ORDER = 5  # points a side of a Gauss–Legendre cell


@dataclass(frozen=True)
class Rule:
    """∫ f ≈ Σ_i w_i f(x_i): points (n, 2) and weights (n,), float64."""

    points: Tensor
    weights: Tensor

    def integral(self, values: Tensor) -> float:
        """∫ f from `values` f(x_i), shape (n,)."""
        return float((self.weights * values).sum())


@dataclass(frozen=True)
class Grid:
    """Midpoints (side², 2) of a rectangle's cells, float64, row by row in y; and the area of one cell."""

    points: Tensor
    area: float
    side: int

    def rule(self) -> Rule:
        """The midpoint rule, which converges faster than any power for smooth, decaying integrands of one scale."""
        return Rule(self.points, torch.full_like(self.points[:, 0], self.area))


def midpoints(low: Tensor, high: Tensor, side: int) -> Grid:
    """side × side midpoints of the rectangle from corner `low` (2,) to corner `high` (2,)."""
    step = (high.double() - low.double()) / side
    index = torch.arange(side, device=low.device, dtype=torch.float64) + 0.5
    x, y = low.double()[:, None] + step[:, None] * index
    points = torch.stack([x.repeat(side), y.repeat_interleave(side)], dim=1)
    return Grid(points, float(step.prod()), side)


def frame(low: Tensor, high: Tensor, side: int) -> Rule:
    """The midpoint rule in the boxes around that from `low` to `high`, (dim,), each as large as it: `side` points along each."""
    size = high.double() - low.double()
    along = (torch.arange(side, dtype=torch.float64, device=size.device) + 0.5) / side
    grid = torch.cartesian_prod(*[along] * len(size)).view(-1, len(size))
    shifts = [size.new_tensor(shift) for shift in product((-1, 0, 1), repeat=len(size)) if any(shift)]
    points = torch.cat([low + size * (grid + shift) for shift in shifts])
    return Rule(points, torch.full_like(points[:, 0], float(size.prod()) / side ** len(size)))


def joined(one: Rule, other: Rule) -> Rule:
    """For integrals over the regions of two rules."""
    return Rule(torch.cat([one.points, other.points]), torch.cat([one.weights, other.weights]))


def around(centres: Tensor, scales: Tensor, low: Tensor, high: Tensor, count: int) -> Rule:
    """At most about `count` points for bumps of any scales `scales` (K, 2) at `centres` (K, 2), on the CPU.

    The edges of the boxes centre ± REACH·scale cut the rectangle into blocks; each is divided evenly into cells of at most h
    times the smallest scale of the bumps in it, and each cell has ORDER × ORDER Gauss–Legendre points. h is as small as `count`
    allows. Blocks without a bump are divided coarsely.
    """
    centre, scale = centres.double().numpy(), scales.double().numpy()
    edges = [_edges(centre[:, axis], scale[:, axis], float(low[axis]), float(high[axis])) for axis in (0, 1)]
    blocks = _Blocks(edges, centre, scale)
    if blocks.cells(math.inf) * ORDER**2 > count:  # bumps everywhere: one block, for the finest of them
        blocks = _Blocks([axis[[0, -1]] for axis in edges], centre, scale)
    coarse, fine = 1e9, 1e-9
    for _ in range(60):
        h = math.sqrt(coarse * fine)
        coarse, fine = (h, fine) if blocks.cells(h) * ORDER**2 <= count else (coarse, h)
    return blocks.rule(coarse)


class _Blocks:
    """The blocks between `edges` along x and along y, and how fine the bumps in each want its cells, (nx, ny, 2)."""

    def __init__(self, edges: list[np.ndarray], centre: np.ndarray, scale: np.ndarray) -> None:
        self.edges = edges
        self.sides = np.stack(np.meshgrid(*map(np.diff, edges), indexing="ij"), axis=-1)
        touched = [
            np.minimum(edges[axis][1:, None], centre[:, axis] + REACH * scale[:, axis])
            - np.maximum(edges[axis][:-1, None], centre[:, axis] - REACH * scale[:, axis])
            > 0.5 * scale[:, axis]
            for axis in (0, 1)
        ]
        inside = touched[0][:, None] & touched[1][None]  # (nx, ny, K)
        smallest = np.where(inside[..., None], scale, np.inf).min(2)
        self.unit = np.where(np.isfinite(smallest), smallest, self.sides / 6)

    def divisions(self, h: float) -> np.ndarray:
        """Cells along each side of each block, (nx, ny, 2)."""
        return np.maximum(1, np.ceil(self.sides / np.minimum(h * self.unit, self.sides)))

    def cells(self, h: float) -> float:
        return float(self.divisions(h).prod(-1).sum())

    def rule(self, h: float) -> Rule:
        nodes, weights = np.polynomial.legendre.leggauss(ORDER)
        points, masses = [], []
        for (i, j), divisions in zip(product(*map(range, self.sides.shape[:2])), self.divisions(h).reshape(-1, 2), strict=True):
            along, mass = [], []
            for axis, index in enumerate((i, j)):
                low, high = self.edges[axis][index : index + 2]
                cells = np.linspace(low, high, int(divisions[axis]) + 1)
                half = np.diff(cells)[:, None] / 2
                along.append((cells[:-1, None] + half * (1 + nodes)).ravel())
                mass.append((half * weights).ravel())
            points.append(np.stack(np.meshgrid(*along, indexing="ij"), axis=-1).reshape(-1, 2))
            masses.append(np.outer(*mass).ravel())
        return Rule(torch.from_numpy(np.concatenate(points)), torch.from_numpy(np.concatenate(masses)))


def _edges(centre: np.ndarray, scale: np.ndarray, low: float, high: float) -> np.ndarray:
    """Where blocks begin and end: low, high, and the bumps' edges between them, less those that nearly repeat another."""
    wanted = sorted(zip(np.concatenate([centre - REACH * scale, centre + REACH * scale]), np.tile(scale, 2), strict=True))
    kept = [low]
    for edge, own in wanted:
        if edge - kept[-1] > own / 2 and high - edge > own / 2:
            kept.append(float(edge))
    return np.array([*kept, high])
