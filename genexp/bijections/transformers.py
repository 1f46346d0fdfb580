"""Monotone maps of one feature, of which couplings are made."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Transformer, transformers
from genexp.bijections.spline import rational_quadratic_spline
from genexp.settings import Scale


@transformers.register("affine")
class Affine(Transformer):
    """z = x exp(s) + shift with s = bound tanh(raw/bound): stretches as readily as it shrinks, and never too much.

    Source: Dinh et al., Density Estimation Using Real NVP (2017).

    Args:
        log_scale_bound: a coupling stretches by at most e to this power, and shrinks by as much.
    """

    per_feature = 2

    def __init__(self, *, log_scale_bound: Annotated[float, Field(gt=0, le=50)] = 4.0) -> None:
        super().__init__()
        self.bound = log_scale_bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        raw_scale, shift = raw.unbind(-1)
        s = self.bound * torch.tanh(raw_scale / self.bound)
        return ((x - shift) * torch.exp(-s), -s) if inverse else (x * torch.exp(s) + shift, s)


@transformers.register("spline")
class Spline(Transformer):
    """z = rational-quadratic spline of x on [−bound, bound], the identity outside.

    Source: Durkan et al., Neural Spline Flows (2019).

    Args:
        bins: between the spline's knots.
        bound: where it ends, in the units that the noise has.
    """

    def __init__(self, *, bins: Annotated[int, Field(ge=2, le=256)] = 32, bound: Scale = 5.0) -> None:
        super().__init__()
        self.per_feature, self.bound = 3 * bins - 1, bound

    def forward(self, x: Tensor, raw: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        return rational_quadratic_spline(x, raw, self.bound, inverse)
