"""ln Z by quadrature on a line or in the plane; `model/objective=quadrature`: exact maximum likelihood with it."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Objective
from genexp.data.base import Terms
from genexp.energy.base import Energy, EnergyObjective, energy_objectives
from genexp.errors import UserError

MOST = 2  # dimensions
COARSE = {1: 4_096, 2: 100}  # cells a side of the first grid, by dimension
FINE = {1: 16_384, 2: 256}  # and of the second, over what has any of the mass
DEPTH = 30.0  # nats below the highest value of the first grid, from which nothing is counted
REACH, DOUBLINGS = 6.0, 5  # standard deviations of the reference to each side at first; how often that is doubled at most
PART = 16_384  # points at once


@dataclass(frozen=True)
class Cells:
    """Middles (n, dim) of the cells of an even grid between two corners, float64; ln of the volume of a cell."""

    points: Tensor
    log_volume: float


def cells(low: Tensor, high: Tensor, side: int, shift: Tensor | None = None) -> Cells:
    """`side` cells along each axis. `shift` (dim,): points at other places of the cells than the middle, in (−½, ½)."""
    step = (high - low) / side
    along = low[:, None] + step[:, None] * (torch.arange(side, device=low.device) + 0.5)
    along = along if shift is None else along + (shift * step)[:, None]
    return Cells(torch.stack(torch.meshgrid(*along, indexing="ij"), -1).flatten(0, -2), float(step.log().sum()))


@dataclass(frozen=True)
class Resolved:
    """A density on a grid that holds nearly all of it: middles of cells (n, dim), ln of the mass in each (n,), sides (dim,)."""

    points: Tensor
    log_mass: Tensor
    sides: Tensor

    @property
    def log_z(self) -> Tensor:
        """ln of all of it."""
        return self.log_mass.logsumexp(0)

    def sample(self, n: int) -> Tensor:
        """n exact samples (n, dim), float64, but for what the density changes within a cell."""
        ends = self.log_mass.softmax(0).cumsum(0)
        drawn = torch.searchsorted(ends, torch.rand(n, dtype=ends.dtype, device=ends.device)).clamp(max=len(ends) - 1)
        return self.points[drawn] + self.sides * (torch.rand(n, len(self.sides), device=ends.device) - 0.5)


@torch.no_grad()
def resolved(log_f: Callable[[Tensor], Tensor], dim: int, width: float, like: Tensor) -> Resolved:
    """A density that decays like N(0, width²), in one or two dimensions: a coarse grid finds where the mass is, a fine one is
    laid over that. In float64; `log_f` is evaluated in the precision and on the device of `like`.
    """

    def evaluated(points: Tensor) -> Tensor:
        return torch.cat([log_f(part.to(like)).double() for part in points.split(PART)])

    reach = REACH * width
    for _ in range(DOUBLINGS):
        corner = torch.full((dim,), reach, dtype=torch.float64, device=like.device)
        grid, side = cells(-corner, corner, COARSE[dim]), 2 * reach / COARSE[dim]
        log_values = evaluated(grid.points)
        here = grid.points[log_values > log_values.max() - DEPTH]
        if not len(here) or float(here.abs().max()) < reach - side:  # nothing at the edge, or no number anywhere
            break
        reach *= 2
    here = here if len(here) else grid.points
    low, high = here.amin(0) - 1.5 * side, here.amax(0) + 1.5 * side
    fine = cells(low, high, FINE[dim])
    return Resolved(fine.points, evaluated(fine.points) + fine.log_volume, (high - low) / FINE[dim])


@energy_objectives.register("quadrature")
class ByQuadrature(EnergyObjective):
    r"""−E_data[ln p(u)] = E_data[E(u)] + ln Z, ln Z a sum over a grid: what chains only estimate, in one and two dimensions.

    The grid is fine where the data are, with room around them, and coarse as far as the reference reaches. It is shifted at
    random in each step, so that nothing hides between its points: the mean of the sum is Z itself.

    In short:
        Maximum likelihood itself, as in one and two dimensions ln Z is a sum over a grid.

    Equation:
        \mathcal{L} = \mathbb{E}_{\mathrm{data}}[E_θ(u)] + \ln \sum_{g} e^{-E_θ(u_g)} Δ_g

    Args:
        side: cells along a side of the fine grid; of a line side².

    Raises:
        UserError: more than two dimensions.
    """

    kind: Objective = "nll"
    is_likelihood = True
    low: Tensor
    high: Tensor

    def __init__(self, *, side: Annotated[int, Field(ge=8, le=1_024)] = 64) -> None:
        super().__init__()
        self.side = side

    def prepare(self, energy: Energy) -> None:
        if energy.dim > MOST:
            raise UserError(
                f"model/objective=quadrature is of one or two dimensions, and not of {energy.dim:,}",
                hint="model/objective=persistent",
            )
        self.register_buffer("low", torch.full((energy.dim,), -3.0))
        self.register_buffer("high", torch.full((energy.dim,), 3.0))

    def initialise(self, energy: Energy, u: Tensor) -> None:
        room = 0.15 * (u.amax(0) - u.amin(0)) + 0.1
        self.low.copy_(u.amin(0) - room)
        self.high.copy_(u.amax(0) + room)

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        shift = torch.rand(energy.dim, dtype=torch.float64, device=u.device) - 0.5
        points, log_weights = self.rule(energy, shift)
        data, values = energy(u).mean(), energy(points.to(u))
        log_mass = log_weights.to(u) - values
        log_z = log_mass.logsumexp(0)
        samples = ((log_mass - log_z).exp() * values).detach().sum()  # E_p[E]
        return {"loss": data + log_z, "energy_data": data, "energy_samples": samples}

    def rule(self, energy: Energy, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Points (n, dim) and ln of their weights (n,): a fine grid in the box of the data, and 3^dim − 1 blocks around it."""
        side = self.side if energy.dim == 2 else self.side**2
        outer = max(REACH * energy.width, float(self.high.max()) + 1, float(1 - self.low.min()))
        edges = [[-outer, low, high, outer] for low, high in zip(self.low.tolist(), self.high.tolist(), strict=True)]
        points, weights = [], []
        for block in product(range(3), repeat=energy.dim):
            low, high = (
                torch.tensor([edges[axis][place + more] for axis, place in enumerate(block)], dtype=torch.float64)
                for more in (0, 1)
            )
            found = cells(low, high, side if set(block) == {1} else max(4, side // 3), shift.cpu())
            points.append(found.points)
            weights.append(torch.full((len(found.points),), found.log_volume, dtype=torch.float64))
        return torch.cat(points).to(shift.device), torch.cat(weights).to(shift.device)
