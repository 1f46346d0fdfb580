"""What the field is taught at a point of a path."""

import math
from itertools import accumulate
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.velocity.base import Target, targets
from genexp.velocity.path import PathSample

WHOLE = 64  # bins a side of the coarsest level, all of which are asked
WINDOW = 11  # bins a side that are asked of the others, the point in the middle one: 3.5 standard deviations of the noise or more
PART = 65_536  # points that are counted at once


@targets.register("sample")
class Sample(Target):
    """The velocity y − x₀ of the point's own path: right on average, and as noisy as one draw is."""

    def forward(self, path: PathSample, y: Tensor) -> Tensor:
        return path.velocity


@targets.register("counted")
class Counted(Target):
    """The mean velocity E[y − x₀ | x_t] itself, as all points of the plane that training has met so far give it. With m = x_t/t
    seen through noise of standard deviation τ = (1−t)/t, and yⱼ those points,

        E[y|m] ≈ m + o,   o = Σⱼ (yⱼ − m) N(m; yⱼ, τ²) / Σⱼ N(m; yⱼ, τ²),   E[x₀|m] = (m − E[y|m])/τ = −o/τ

    which is the minimum of the same loss over the same points, without the noise of a single draw. The yⱼ are counted in
    square bins, of side τ/√2 < h ≤ τ for each noise level τ, but none larger than the 64th part of a side: where noise is
    wide, and carries points far beyond the data, the coarse bins that it would allow get their edges wrong.

    A count is a density that was blurred by a bin, of variance h²/12 along each axis; so the Gaussian is of variance
    s² = τ² − h²/12, and o is the mean offset of the bins times τ²/s². Both blurs
    together differ from one of τ² by the fourth cumulant of a bin, −h⁴/120. Where no bin within reach has a point: the sample.

    Args:
        side: how many of the smallest bins lie along a side of the square around the data; noise that is finer than they are gets
            the sample.
        first_look: how many points are counted before the first step: to count one takes a tenth of the time of training on it,
            and what is taught errs the less, the more there are.

    Raises:
        UserError: data that are no points of the plane.

    Source: Xu, Tong & Jaakkola, Stable Target Field for Reduced Variance Score Estimation in Diffusion Models (2023), by all
    points in place of a batch.
    """

    counts: Tensor
    low: Tensor
    span: Tensor
    side: Tensor
    start: Tensor
    window: Tensor

    def __init__(
        self,
        dim: int,
        *,
        side: Annotated[int, Field(ge=WINDOW, le=4096)] = 1024,
        first_look: Annotated[int, Field(ge=0, le=100_000_000)] = 0,
    ) -> None:
        super().__init__(dim)
        self.first_look = first_look
        if dim != 2:
            raise UserError("model/target=counted is for points of the plane", hint="model/target=sample")
        levels = 1 + max(0, math.floor(2 * math.log2(side / WHOLE)))
        sides = [round(side / 2 ** (finer / 2)) for finer in reversed(range(levels))]
        starts = [0, *accumulate(side**2 for side in sides)]
        self.register_buffer("counts", torch.zeros(starts[-1]))
        self.register_buffer("low", torch.zeros(2))
        self.register_buffer("span", torch.tensor(1.0))
        self.register_buffer("side", torch.tensor(sides), persistent=False)
        self.register_buffer("start", torch.tensor(starts[:-1]), persistent=False)
        self.register_buffer("window", torch.arange(WINDOW), persistent=False)

    @torch.no_grad()
    def initialise(self, y: Tensor) -> None:
        """Lay the bins over points, (n, 2), and count them."""
        low, high = y.amin(0), y.amax(0)
        self.span.copy_(1.02 * (high - low).amax().clamp(min=1e-6))
        self.low.copy_((low + high - self.span) / 2)
        for part in y.split(PART):
            self.meet(part)

    def meet(self, y: Tensor) -> None:
        """Count points, (n, 2), at every level; those beyond the bins are left out."""
        unit = (y - self.low) / self.span
        unit = unit[((unit >= 0) & (unit < 1)).all(1), None]
        column, row = (unit * self.side[:, None]).long().unbind(2)  # (n, levels)
        where = (self.start + row * self.side + column).flatten()
        self.counts.index_add_(0, where, self.counts.new_ones(1).expand(len(where)))

    @torch.no_grad()
    def forward(self, path: PathSample, y: Tensor) -> Tensor:
        self.meet(y)
        with all_digits(y.device):
            return self.mean_velocity(path)

    def mean_velocity(self, path: PathSample) -> Tensor:
        """E[y − x₀ | x_t] of the points that were counted."""
        t = path.t.clamp(min=1e-6)[:, None]
        m, tau = path.x_t / t, ((1 - t) / t).clamp(min=1e-6)
        level = (self.side * tau < self.span).sum(1).clamp(max=len(self.side) - 1)  # the coarsest with h ≤ τ
        h = self.span / self.side[level][:, None]
        variance = (tau**2 - h**2 / 12).clamp(min=1e-12)
        moved, mass = torch.empty_like(m), torch.empty_like(m[:, 0])
        for asked, which in ((self.asked_whole, level == 0), (self.asked_near, level > 0)):
            index = which.nonzero()[:, 0]
            moved[index], mass[index] = asked(m[index], variance[index], level[index])
        moved = moved / mass[:, None] * (tau**2 / variance)
        known = (mass > 0) & (h[:, 0] <= 1.5 * tau[:, 0])
        return torch.where(known[:, None], m + moved + moved / tau, path.velocity)

    def asked_whole(self, m: Tensor, variance: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Σ (yⱼ − m) N(m; yⱼ, s²), (n, 2), and Σ N(m; yⱼ, s²), (n,), up to one factor, over all bins of the coarsest level."""
        side = int(self.side[0])
        count = self.counts[: side**2].view(side, side)  # (rows, columns)
        bins = torch.arange(side, device=m.device)
        offset = ((bins + 0.5) * (self.span / side) + self.low[:, None]) - m[:, :, None]  # (n, 2, side): along x, along y
        weight = _normal(offset, variance)
        across, down = (weight[:, 1] @ count) * weight[:, 0], (weight[:, 0] @ count.T) * weight[:, 1]
        return torch.stack([(across * offset[:, 0]).sum(1), (down * offset[:, 1]).sum(1)], 1), across.sum(1)

    def asked_near(self, m: Tensor, variance: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """The same over the bins around m of the given levels, (n,)."""
        side = self.side[level][:, None]
        h = self.span / side
        middle = ((m - self.low) / h).clamp(min=0).minimum(side).long()
        first = (middle - WINDOW // 2).clamp(min=0).minimum(side - WINDOW)  # (n, 2): column, row
        offset = ((first + 0.5) * h + self.low - m)[:, :, None] + h[:, :, None] * self.window  # (n, 2, WINDOW)
        weight = _normal(offset, variance)
        rows = (self.start[level] + first[:, 0])[:, None] + (first[:, 1, None] + self.window) * side
        windows = self.counts.as_strided((len(self.counts) - WINDOW + 1, WINDOW), (1, 1))
        count = windows.index_select(0, rows.flatten()).view(-1, WINDOW, WINDOW)  # (n, rows, columns)
        across = torch.bmm(weight[:, 1, None], count)[:, 0] * weight[:, 0]
        down = torch.bmm(count, weight[:, 0, :, None])[:, :, 0] * weight[:, 1]
        return torch.stack([(across * offset[:, 0]).sum(1), (down * offset[:, 1]).sum(1)], 1), across.sum(1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Of runs that counted in coarser bins too, which came first, the counts that are asked now."""
        counts = state_dict.get(f"{prefix}counts")
        if counts is not None and len(counts) > len(self.counts):
            state_dict[f"{prefix}counts"] = counts[-len(self.counts) :]
        super()._load_from_state_dict(state_dict, prefix, *args)


def _normal(offset: Tensor, variance: Tensor) -> Tensor:
    """N(offset; 0, variance) up to a factor, (n, 2, k) and (n, 1)."""
    return torch.exp((offset.square() * (-0.5 / variance)[:, :, None]).clamp(min=-40))
