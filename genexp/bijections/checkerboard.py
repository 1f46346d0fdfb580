"""Couplings of fields on a periodic square lattice: its black sites move, given the white ones, and then the other way round."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Conditioner, bijections
from genexp.bijections.coupling import Coupling
from genexp.bijections.transformers import Affine, LogScaleBound
from genexp.errors import UserError
from genexp.settings import Width


def side_of(dim: int, bijection: str, least: int = 1) -> int:
    """√dim; UserError where the data are no square lattice, or one of fewer than `least` sites a side."""
    side = math.isqrt(dim)
    if side * side != dim or side < least:
        raise UserError(f"model/bijection={bijection} needs fields on a square lattice, and not points of dimension {dim}")
    return side


class PeriodicConvolutions(Conditioner):
    """The field at the sites that stay, 0 at the others, → s and t of the sites that move, by 3×3 convolutions without an edge:

    h_1 = tanh(W_1 φ), … , h = tanh(W_k h_(k−1));   t = W_t h,   s = W_s h² + b,

    without any other bias: so −φ gives the same s and −t, and the coupling commutes with φ → −φ. It begins as s = t = 0.

    Args:
        mask: which sites move, (side, side).
        width: channels of each of `hidden_layers` convolutions.
    """

    kept: Tensor
    moved: Tensor

    def __init__(self, mask: Tensor, width: int, hidden_layers: int) -> None:
        super().__init__()
        self.side = len(mask)
        self.register_buffer("kept", (~mask).flatten().nonzero()[:, 0], persistent=False)
        self.register_buffer("moved", mask.flatten().nonzero()[:, 0], persistent=False)
        self.hidden = nn.ModuleList(convolution(width if layer else 1, width) for layer in range(hidden_layers))
        self.shift, self.scale = convolution(width, 1), convolution(width, 1, bias=True)
        for weights in (*self.shift.parameters(), *self.scale.parameters()):
            nn.init.zeros_(weights)

    def forward(self, x: Tensor) -> Tensor:
        """(n, kept) → (n, 2 moved): s and t of one site after the other."""
        h = x.new_zeros(len(x), self.side**2).index_copy(1, self.kept, x).view(-1, 1, self.side, self.side)
        for layer in self.hidden:
            h = torch.tanh(layer(h))
        raw = torch.stack([self.scale(h.square()).flatten(1), self.shift(h).flatten(1)], dim=-1)
        return raw.index_select(1, self.moved).flatten(1)


def convolution(before: int, after: int, bias: bool = False) -> nn.Conv2d:
    """3×3, on a lattice whose edges meet."""
    return nn.Conv2d(before, after, 3, padding=1, padding_mode="circular", bias=bias)


@bijections.register("checkerboard_coupling")
def checkerboard_coupling(
    dim: int,
    layer: int,
    *,
    width: Width = 16,
    hidden_layers: Annotated[int, Field(ge=1, le=8)] = 2,
    log_scale_bound: LogScaleBound = 4.0,
) -> Coupling:
    """φ ← φ e^s + t at the sites of one colour of a checkerboard, the others in every other layer; s and t are found from the
    sites that stay by convolutions, which shifts by an even number of sites and φ → −φ commute with.

    Source: Albergo et al., Introduction to Normalizing Flows for Lattice Field Theory, https://arxiv.org/abs/2101.08176

    Args:
        width, hidden_layers: of the convolutions.
        log_scale_bound: a coupling stretches by at most e to this power, and shrinks by as much.

    Raises:
        UserError: data that are no square lattice of at least two sites a side.
    """
    side = side_of(dim, "checkerboard_coupling", least=2)
    row = torch.arange(side)
    mask = (row[:, None] + row) % 2 == layer % 2
    return Coupling(
        mask.flatten().tolist(),
        lambda: Affine(log_scale_bound=log_scale_bound),
        lambda _inputs, _outputs: PeriodicConvolutions(mask, width, hidden_layers),
    )
