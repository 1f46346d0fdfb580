"""Monotone maps of one feature, of which couplings, autoregressive and elementwise bijections are made."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.spline import rational_quadratic_spline, spline_knots
from genexp.settings import Scale

Bins = Annotated[int, Field(ge=2, le=256)]
LogScaleBound = Annotated[float, Field(gt=0, le=50)]


@transformers.register("additive")
class Additive(Transformer):
    """z = x + shift: volumes stay as they are.

    Source: Dinh et al., NICE: Non-linear Independent Components Estimation (2015).
    """

    per_feature = 1

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        shift = raw[..., 0]
        return (x - shift if inverse else x + shift), torch.zeros_like(x)


@transformers.register("affine")
class Affine(Transformer):
    """z = x exp(s) + shift with s = bound tanh(raw/bound): stretches as readily as it shrinks, and never too much.

    Source: Dinh et al., Density Estimation Using Real NVP (2017).

    Args:
        log_scale_bound: a coupling stretches by at most e to this power, and shrinks by as much.
    """

    per_feature = 2

    def __init__(self, *, log_scale_bound: LogScaleBound = 4.0) -> None:
        super().__init__()
        self.bound = log_scale_bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        raw_scale, shift = raw.unbind(-1)
        s = self.bound * torch.tanh(raw_scale / self.bound)
        return ((x - shift) * torch.exp(-s), -s) if inverse else (torch.addcmul(shift, x, torch.exp(s)), s)


@transformers.register("spline")
class Spline(Transformer):
    """z = rational-quadratic spline of x on [−bound, bound], the identity outside.

    Source: Durkan et al., Neural Spline Flows (2019).

    Args:
        bins: between the spline's knots.
        bound: where it ends, in the units that the noise has.
    """

    def __init__(self, *, bins: Bins = 32, bound: Scale = 5.0) -> None:
        super().__init__()
        self.per_feature, self.bound = 3 * bins - 1, bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        return rational_quadratic_spline(x, raw, self.bound, inverse)


@transformers.register("leaky_relu")
class LeakyReLU(Transformer):
    """z = x where x ≥ 0, and exp(s) x where x < 0, with s = bound tanh(raw/bound).

    Source: He et al., Delving Deep into Rectifiers (2015), for the slope that is learnt.

    Args:
        log_scale_bound: the slope lies between e to minus this power and e to this power.
    """

    per_feature = 1

    def __init__(self, *, log_scale_bound: LogScaleBound = 4.0) -> None:
        super().__init__()
        self.bound = log_scale_bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        s = self.bound * torch.tanh(raw[..., 0] / self.bound)
        log_slope = torch.where(x < 0, -s if inverse else s, 0.0)
        return x * torch.exp(log_slope), log_slope


@transformers.register("piecewise_linear")
class PiecewiseLinear(Transformer):
    """z = y_k + (x − x_k) (y_k+1 − y_k)/(x_k+1 − x_k) between even knots x_k on [−bound, bound], the identity outside.

    Source: Müller et al., Neural Importance Sampling (2019).

    Args:
        bins: between the knots.
        bound: where it ends, in the units that the noise has.
    """

    minimum = 1e-4  # of a bin's share of the interval

    def __init__(self, *, bins: Bins = 32, bound: Scale = 5.0) -> None:
        super().__init__()
        self.per_feature, self.bound = bins, bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        bins, width = self.per_feature, 2 * self.bound / self.per_feature
        inside = x.abs() < self.bound
        v = torch.where(inside, x, 0.0)
        heights = spline_knots(raw, self.bound, self.minimum)
        even = torch.linspace(-self.bound, self.bound, bins + 1, device=x.device, dtype=x.dtype)
        interior = heights.detach()[..., 1:-1] if inverse else even[1:-1]
        left = (interior <= v.detach()[..., None]).sum(-1, keepdim=True)
        y0, y1 = (heights.gather(-1, end)[..., 0] for end in (left, left + 1))
        x0, slope = even[left[..., 0]], (y1 - y0) / width
        image = x0 + (v - y0) / slope if inverse else y0 + (v - x0) * slope
        log_slope = -slope.log() if inverse else slope.log()
        return torch.where(inside, image, x), torch.where(inside, log_slope, 0.0)
