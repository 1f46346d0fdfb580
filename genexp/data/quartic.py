"""The density of one coordinate in a double well, and everything exact about it."""

import math
from functools import cached_property

import torch
from torch import Tensor

from genexp.errors import UserError

FINE = 20_001  # points of the integrals
FAR = 50  # from 0 to where all wells are, at most
DEPTH = 40.0  # nats below its peak, beyond which the density counts for nothing


class Quartic:
    """ln p(x) = −quartic x⁴ + quadratic x² + tilt x − ln Z, of numbers x of any shape.

    Integrals are sums over FINE even points, which converge faster than any power for a density that decays like this one.
    """

    def __init__(self, quartic: float, quadratic: float, tilt: float) -> None:
        if (outside := max(0.0, quadratic / quartic) ** 0.5 + (abs(tilt) / quartic) ** (1 / 3)) > FAR:
            raise UserError(
                f"dataset.quartic={quartic:g}: the wells lie as far from 0 as {outside:.0f}, and {FAR} is the most",
                hint="dataset.quartic=1",
            )
        self.quartic, self.quadratic, self.tilt = quartic, quadratic, tilt

    def log_density(self, x: Tensor) -> Tensor:
        """Up to −ln Z, elementwise."""
        return (self.quadratic - self.quartic * x.square()) * x.square() + self.tilt * x

    @cached_property
    def reach(self) -> float:
        """|x| beyond which the density has fallen by DEPTH nats."""
        x = torch.linspace(-2 * FAR, 2 * FAR, 200_001, dtype=torch.float64)
        values = self.log_density(x)
        return float(x[values > values.max() - DEPTH].abs().max()) + 0.01

    @cached_property
    def _table(self) -> tuple[Tensor, Tensor, float]:
        """Even points, ln p̃ there, and their distance: float64."""
        x = torch.linspace(-self.reach, self.reach, FINE, dtype=torch.float64)
        return x, self.log_density(x), 2 * self.reach / (FINE - 1)

    @cached_property
    def log_z(self) -> float:
        """ln ∫ exp(log_density)."""
        _, values, step = self._table
        return float(torch.logsumexp(values, 0)) + math.log(step)

    @cached_property
    def entropy(self) -> float:
        """−E[ln p], in nats."""
        _, values, step = self._table
        log_p = values - self.log_z
        return -float((log_p.exp() * log_p).sum()) * step

    @cached_property
    def barrier(self) -> float:
        """Where the density is least between its peaks, which divides the wells; 0 where there is one peak only."""
        x, values, _ = self._table
        dips = (values[1:-1] < values[:-2]) & (values[1:-1] <= values[2:])
        return float(x[1:-1][dips][0]) if bool(dips.any()) else 0.0

    @cached_property
    def masses(self) -> tuple[float, float]:
        """Of the wells on the left and on the right of the barrier."""
        x, values, step = self._table
        p = (values - self.log_z).exp() * step
        right = float(p[x > self.barrier].sum())
        return 1 - right, right

    def sample(self, shape: tuple[int, ...], generator: torch.Generator | None, device: torch.device) -> Tensor:
        """Exact samples: the inverse of the distribution function, between two points of its table along a line."""
        x, values, step = self._table
        cdf = torch.cumsum((values - self.log_z).exp() * step, 0).to(device)
        u = torch.rand(shape, generator=generator, device=device, dtype=torch.float64) * cdf[-1]
        above = torch.searchsorted(cdf, u).clamp(1, FINE - 1)
        below = cdf[above - 1]
        share = (u - below) / (cdf[above] - below).clamp(min=torch.finfo(torch.float64).tiny)
        return (x.to(device)[above] + (share - 0.5) * step).float()
