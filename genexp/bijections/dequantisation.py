"""Noise that makes greys continuous, so that a density can be fitted to them.

A picture of whole numbers k = 0 … L − 1 is given to a flow as y = (k + u)/L with u in [0, 1), and whatever density p(y) it learns
bounds the probability of the greys:

    ln P(k) = ln E_q[p(y) L^−D / q(u|k)] ≥ E_q[ln p(y) − ln q(u|k)] − D ln L,

for any density q(u|k) of the noise. Several draws of u inside the logarithm make the bound tighter.

Sources: Theis et al., A note on the evaluation of generative models (2016), for uniform noise; Ho et al., Flow++ (2019), for
noise that is learnt.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import transformers
from genexp.bijections.picture_coupling import PictureCoupling
from genexp.registry import Registry
from genexp.settings import Width

SHORT_OF_ONE = 1 - 2.0**-24  # the largest float32 below 1


class Dequantisation(nn.Module):
    """Told when built: the `shape` of a picture, (channels, height, width). `learnt`: whether the noise is, in training."""

    learnt = False

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures x (n, *shape) in [0, 1] → u (n, *shape) in [0, 1), and ln q(u|x) in nats, (n,)."""
        raise NotImplementedError


dequantisations: Registry[Dequantisation] = Registry("dequantisation", "genexp.bijections", Dequantisation)


def continuous(x: Tensor, u: Tensor, levels: int) -> Tensor:
    """Greys x = k/(levels − 1) with their noise: y = (k + u)/levels, in [0, 1)."""
    return ((x * (levels - 1)).round() + u) / levels


def greys(y: Tensor, levels: int) -> Tensor:
    """The other way round: x = k/(levels − 1) of the bin k that y lies in; of what is outside of [0, 1] the first or the last."""
    return (y * levels).floor().clamp(0, levels - 1) / (levels - 1)


@dequantisations.register("uniform")
class UniformNoise(Dequantisation):
    """u ~ U[0, 1)."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.rand_like(x), x.new_zeros(len(x))


@dequantisations.register("variational")
class VariationalNoise(Dequantisation):
    """u = Φ(v), where v comes from ε ~ N(0, I) by affine couplings that see the picture; it begins as uniform noise, v = ε.

        ln q(u|x) = ln N(ε) − ln |det ∂v/∂ε| − ln N(v)

    Args:
        couplings: how many, on the two colours of a checkerboard in turn.
        width: channels of their convolutions.
    """

    learnt = True

    def __init__(self, shape: tuple[int, ...], *, couplings: Annotated[int, Field(ge=1, le=16)] = 2, width: Width = 32) -> None:
        super().__init__()
        size = (shape[0], shape[1], shape[2])
        self.couplings = nn.ModuleList(
            PictureCoupling(
                size, place, mask="places", width=width, hidden_layers=1, transformer=transformers.part("affine"), seen=shape[0]
            )
            for place in range(couplings)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        noise = torch.randn_like(x)
        v, log_det = noise, x.new_zeros(len(x))
        for coupling in self.couplings:
            v, more = coupling(v, 2 * x - 1)
            log_det = log_det + more
        log_q = 0.5 * (v.square() - noise.square()).flatten(1).sum(1) - log_det
        return torch.special.ndtr(v).clamp(max=SHORT_OF_ONE), log_q
