"""Exact comparisons of a model's density with a known one, by quadrature."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.distributed import sharded
from genexp.quadrature import Grid

LogProb = Callable[[Tensor], Tensor]


@torch.no_grad()
def on_grid(log_prob: LogProb, grid: Grid, batch_size: int) -> Tensor:
    """ln p at the grid's points, (side²,), in float64 on the CPU."""
    return torch.cat(sharded(grid.points.split(batch_size), lambda part: log_prob(part).double().cpu()))


@dataclass(frozen=True)
class Comparison:
    """kl: KL(truth ‖ model) in nats. mass: the model's integral over the grid's box, 1 when nothing lies outside."""

    kl: float
    mass: float


def compare(log_truth: Tensor, log_model: Tensor, area: float) -> Comparison:
    """Integrals of ln p and ln q given on the same grid, cells of `area`.

    KL(p‖q) = ∫ p (ln p − ln q). Where p underflows to 0 the integrand is 0, whatever q is.
    """
    p = log_truth.exp()
    integrand = torch.where(p > 0, p * (log_truth - log_model), 0.0)
    return Comparison(kl=float(integrand.sum() * area), mass=float(log_model.exp().sum() * area))


def strip_mass(log_model: Tensor, grid: Grid, low: float, high: float) -> float:
    """The model's mass in the strip low < x < high of a grid whose cells line up with the strip's edges."""
    x = grid.points[:, 0].cpu()
    return float(log_model[(x > low) & (x < high)].exp().sum() * grid.area)
