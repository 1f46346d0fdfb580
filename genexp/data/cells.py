r"""A uniform density over the black cells of a grid, and everything about its flow that is known in closed form.

The path is x_t = (1−t) x₀ + t y with x₀ ~ N(0, I) and y ~ p, so m = x_t / t = y + τ x₀ with τ = (1−t)/t: at time t one
sees the data through Gaussian noise of standard deviation τ. Given m, y is distributed as p(y) N(m; y, τ²), that is, a
mixture of normals truncated to the black cells, whose moments are one-dimensional integrals.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


@dataclass(frozen=True)
class Posterior:
    """E[y | x_t], shape (n, 2), and tr Cov(y | x_t), shape (n,)."""

    mean: Tensor
    trace_cov: Tensor


@dataclass(frozen=True)
class _Axis:
    """One axis of the truncated normals, (n, cells): log mass up to a constant per row, mean and second moment."""

    log_mass: Tensor
    mean: Tensor
    square: Tensor


class UniformCells:
    """p(y) = 1/A on the black cells of `mask`, 0 elsewhere; A is the black area.

    Args:
        mask: (rows, columns) booleans, True is black; row 0 is the top.
        left, top: coordinates of the grid's upper left corner; y points up.
        cell: side of a cell, in the same units.
    """

    def __init__(self, mask: Tensor, left: float, top: float, cell: float) -> None:
        if not mask.any():
            raise ValueError("no cell is black")
        self.mask = mask.bool()
        self.left, self.top, self.cell = left, top, cell
        self._black = self.mask.nonzero()  # (black, 2): row, column
        self.device = mask.device

    def to(self, device: torch.device) -> "UniformCells":
        return UniformCells(self.mask.to(device), self.left, self.top, self.cell)

    @property
    def area(self) -> float:
        return len(self._black) * self.cell**2

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Where the grid lies: its left, right, lower and upper end."""
        rows, columns = self.mask.shape
        return self.left, self.left + columns * self.cell, self.top - rows * self.cell, self.top

    @property
    def entropy(self) -> float:
        """−E[ln p] = ln A, in nats: no model has a lower expected negative log-likelihood."""
        return math.log(self.area)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n points, shape (n, 2)."""
        which = torch.randint(len(self._black), (n,), generator=generator, device=self.device)
        inside = torch.rand(n, 2, generator=generator, device=self.device)
        row, column = self._black[which].unbind(1)
        x = self.left + (column + inside[:, 0]) * self.cell
        y = self.top - (row + inside[:, 1]) * self.cell
        return torch.stack([x, y], dim=1)

    def cells_of(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row and column of the cell that each point of x, shape (n, 2), lies in, and whether it is on the grid."""
        column = ((x[:, 0] - self.left) / self.cell).floor().long()
        row = ((self.top - x[:, 1]) / self.cell).floor().long()
        rows, columns = self.mask.shape
        on_grid = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        return row.clamp(0, rows - 1), column.clamp(0, columns - 1), on_grid

    def contains(self, x: Tensor) -> Tensor:
        """Whether each point lies in a black cell."""
        row, column, on_grid = self.cells_of(x)
        return on_grid & self.mask[row, column]

    def log_prob(self, x: Tensor) -> Tensor:
        """ln p(x), shape (n,), in nats: −ln A on black, −∞ elsewhere."""
        return torch.where(self.contains(x), -self.entropy, -math.inf)

    def posterior(self, x: Tensor, t: Tensor) -> Posterior:
        """Moments of y given x_t = x at times t in [0, 1), shape (n,). Computed in float64.

        Σ_ij M_ij P_i Q_j f_ij / Σ_ij M_ij P_i Q_j, where P_i and Q_j are the masses of N(m, τ²) in column i and row j
        and f is the mean, or the second moment, of y within the cell.
        """
        x, t = x.double(), t.double().clamp(min=1e-6)
        m, tau = x / t[:, None], (1 - t) / t
        rows, columns = self.mask.shape
        left = self.left + self.cell * torch.arange(columns, device=x.device, dtype=torch.float64)
        bottom = self.top - self.cell * torch.arange(1, rows + 1, device=x.device, dtype=torch.float64)
        across, down = self._axis(m[:, 0], tau, left), self._axis(m[:, 1], tau, bottom)
        p, q = _relative(across.log_mass), _relative(down.log_mass)
        black = self.mask.double()
        column_weight = p * (q @ black)  # (n, columns): total posterior weight of each column
        row_weight = q * (p @ black.T)
        total = column_weight.sum(1, keepdim=True)
        mean = torch.stack([(column_weight * across.mean).sum(1), (row_weight * down.mean).sum(1)], 1) / total
        square = ((column_weight * across.square).sum(1) + (row_weight * down.square).sum(1)) / total[:, 0]
        lost = total[:, 0] < 1e-290  # further from any black cell than float64 can weigh: the nearest cell has it all
        if lost.any():
            mean[lost] = self._nearest(m[lost])
            square[lost] = mean[lost].square().sum(1)
        return Posterior(mean, (square - mean.square().sum(1)).clamp(min=0))

    def optimal_velocity(self, x: Tensor, t: Tensor) -> Tensor:
        """v*(x, t) = (E[y | x_t = x] − x) / (1 − t), shape (n, 2): the field that flow matching converges to.

        Computed where the cells are, whatever the device of x: not every one has float64.
        """
        here, now = x.to(self.device).double(), t.to(self.device).double()
        return ((self.posterior(here, now).mean - here) / (1 - now)[:, None]).to(x)

    def irreducible_loss(self, n: int = 65_536, seed: int = 0) -> float:
        """E[tr Cov(y | x_t)] / (1−t)² / 2, t ~ U(0, 1): the mean squared error per element of v* itself.

        The covariance is exact; the average over (t, x_t) is over n points, stratified in t.
        """
        generator = torch.Generator(self.device).manual_seed(seed)
        x_t, t = self.path_points(n, generator)
        return float((self.posterior(x_t, t).trace_cov / (1 - t) ** 2).mean() / 2)

    def path_points(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n points x_t of the path, float64, at times stratified over (0, 1)."""
        u = torch.rand(n, generator=generator, device=self.device, dtype=torch.float64)
        t = ((torch.arange(n, device=self.device) + u) / n).clamp(1e-6, 1 - 1e-6)
        noise = torch.randn(n, 2, generator=generator, device=self.device, dtype=torch.float64)
        return (1 - t)[:, None] * noise + t[:, None] * self.sample(n, generator).double(), t

    def _axis(self, m: Tensor, tau: Tensor, lower: Tensor) -> _Axis:
        """Truncation of N(m, τ²) to each interval [l, l + cell]: with α = (l−m)/τ, β = (u−m)/τ,

        mass Φ(β) − Φ(α), mean m + τ (φ(α) − φ(β)) / mass, variance τ² (1 + (αφ(α) − βφ(β))/mass − ((φ(α) − φ(β))/mass)²).
        """
        m, tau = m[:, None], tau[:, None]
        alpha, beta = (lower - m) / tau, (lower + self.cell - m) / tau
        mirrored = alpha + beta < 0  # of the two tails, use the one where Φ keeps its digits
        a, b = torch.where(mirrored, -beta, alpha), torch.where(mirrored, -alpha, beta)
        log_upper, log_rest = torch.special.log_ndtr(-a), torch.special.log_ndtr(-b)
        log_mass = log_upper + torch.log1p(-torch.exp(log_rest - log_upper))
        at_a, at_b = _density_ratio(a, log_mass), _density_ratio(b, log_mass)
        shift = torch.where(mirrored, -1.0, 1.0) * (at_a - at_b)
        mean = m + tau * shift
        variance = tau**2 * (1 + a * at_a - b * at_b - shift**2)
        # A cell much smaller than the noise: the differences above cancel, the expansion in cell/τ does not.
        wide = (self.cell / tau).expand_as(mean) < 1e-2
        centre, second = lower + self.cell / 2, self.cell**2 / 12
        mean = torch.where(wide, centre + second * (m - centre) / tau**2, mean)
        mean = torch.minimum(torch.maximum(mean, lower), lower + self.cell)
        log_mass = torch.where(wide, -0.5 * ((centre - m) / tau) ** 2 + torch.log(self.cell / tau) - _LOG_SQRT_2PI, log_mass)
        variance = torch.where(wide, second, variance).clamp(0, self.cell**2 / 4)
        return _Axis(log_mass, mean, variance + mean**2)

    def _nearest(self, m: Tensor) -> Tensor:
        """The black point nearest to each point of m."""
        row, column = self._black.unbind(1)
        low = torch.stack([self.left + column * self.cell, self.top - (row + 1) * self.cell], 1).double()
        closest = torch.minimum(torch.maximum(m[:, None], low), low + self.cell)
        best = (closest - m[:, None]).square().sum(2).argmin(1)
        return closest[torch.arange(len(m), device=m.device), best]


def _relative(log_mass: Tensor) -> Tensor:
    return torch.exp(log_mass - log_mass.amax(1, keepdim=True))


def _density_ratio(z: Tensor, log_mass: Tensor) -> Tensor:
    """φ(z) / mass, without overflow in the far tails."""
    return torch.exp(-0.5 * z**2 - _LOG_SQRT_2PI - log_mass)
