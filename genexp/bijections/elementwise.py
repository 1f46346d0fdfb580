"""Bijections of each feature by itself: a transformer under parameters that are learnt as they are.

z_i = T(x_i; θ_i),      ln |det ∂z/∂x| = Σ_i ln T′(x_i; θ_i).
"""

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, Transformer, bijections
from genexp.bijections.transformers import Affine, Bins, LeakyReLU, LogScaleBound, PiecewiseLinear, Spline
from genexp.machine.device import all_digits
from genexp.settings import Scale


class Elementwise(Bijection):
    """A transformer of each of `dim` features, with parameters of its own for each; begins as the identity."""

    def __init__(self, dim: int, transformer: Transformer) -> None:
        super().__init__()
        self.transformer = transformer
        self.raw = nn.Parameter(torch.zeros(dim, transformer.per_feature))

    def forward(self, x: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        with all_digits(x.device):
            image, log_slope = self.transformer(x, self.raw.expand(len(x), -1, -1), inverse)
        return image, log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(z, inverse=True)


@bijections.register("affine")
def affine(dim: int, layer: int, *, log_scale_bound: LogScaleBound = 4.0) -> Elementwise:
    """Each feature stretched and shifted.

    Args:
        log_scale_bound: a feature is stretched by at most e to this power, and shrunk by as much.
    """
    return Elementwise(dim, Affine(log_scale_bound=log_scale_bound))


@bijections.register("leaky_relu")
def leaky_relu(dim: int, layer: int, *, log_scale_bound: LogScaleBound = 4.0) -> Elementwise:
    """The negative half of each feature stretched, by a factor that is learnt.

    Args:
        log_scale_bound: it is stretched by at most e to this power, and shrunk by as much.
    """
    return Elementwise(dim, LeakyReLU(log_scale_bound=log_scale_bound))


@bijections.register("elementwise_spline")
def elementwise_spline(dim: int, layer: int, *, bins: Bins = 32, bound: Scale = 5.0) -> Elementwise:
    """A monotone rational-quadratic spline of each feature.

    Args:
        bins: between the spline's knots.
        bound: where it ends, in the units that the noise has.
    """
    return Elementwise(dim, Spline(bins=bins, bound=bound))


@bijections.register("piecewise_linear")
def piecewise_linear(dim: int, layer: int, *, bins: Bins = 32, bound: Scale = 5.0) -> Elementwise:
    """A monotone piecewise linear map of each feature: a density of steps, as a histogram is.

    Args:
        bins: between the knots.
        bound: where it ends, in the units that the noise has.
    """
    return Elementwise(dim, PiecewiseLinear(bins=bins, bound=bound))
