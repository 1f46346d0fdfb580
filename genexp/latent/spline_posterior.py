"""A posterior that splines bend, element after element."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.spline import rational_quadratic_spline
from genexp.latent.base import posteriors
from genexp.latent.posteriors import Blocks, FlowPosterior
from genexp.machine.device import all_digits
from genexp.nn.autoregressive import MADE
from genexp.settings import Scale, Width


class SplineFlow(nn.Module):
    """`blocks` steps z_i ← spline(z_i; z_<i, context), each in a random order of the elements that is undone after it; begins as
    the identity, which each step is outside of [−bound, bound].
    """

    orders: Tensor

    def __init__(self, dim: int, blocks: int, width: int, context: int, bins: int, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.networks = nn.ModuleList(MADE(dim, context, width, outputs=3 * bins - 1) for _ in range(blocks))
        self.register_buffer("orders", torch.stack([torch.randperm(dim) for _ in range(blocks)]))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """z (n, dim), context (n, context) → the image, and ln |det| of the map, (n,)."""
        log_det = z.new_zeros(len(z))
        for network, order in zip(self.networks, self.orders, strict=True):
            moved = z[:, order]
            raw = network(moved, context).mT
            with all_digits(z.device):  # narrow bins have no width in bfloat16
                bent, log_slope = rational_quadratic_spline(moved, raw.to(z.dtype), self.bound)
            z = bent[:, order.argsort()]
            log_det = log_det + log_slope.sum(1)
        return z, log_det


@posteriors.register("spline")
def spline(
    features: int,
    latent: int,
    *,
    blocks: Blocks = 2,
    width: Width = 128,
    context: Width = 128,
    bins: Annotated[int, Field(ge=2, le=256)] = 8,
    bound: Scale = 5.0,
) -> FlowPosterior:
    """An inverse autoregressive flow whose steps are monotone rational-quadratic splines: of several peaks, if need be.

    Source: Durkan et al., Neural Spline Flows (2019), section 5.2.

    Args:
        blocks: steps of the flow.
        width: of each step's masked network.
        context: features of x that every step sees.
        bins, bound: of the splines, which move what lies in [−bound, bound].
    """
    return FlowPosterior(features, latent, context, lambda: SplineFlow(latent, blocks, width, context, bins, bound))
