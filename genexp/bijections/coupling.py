"""Coupling layers: bijections that move some features elementwise, given the others.

The Jacobian is triangular, so the determinant is the product of the elementwise slopes.
Source: Dinh et al., Density Estimation Using Real NVP (2017).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from genexp.bijections.base import Bijection, Conditioner, Transformer, bijections, conditioners, transformers
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.registry import Part


class Coupling(Bijection):
    """Moves the features where `mask` is true by a transformer, whose parameters a conditioner finds from the others."""

    kept: Tensor
    moved: Tensor
    order: Tensor

    def __init__(
        self, mask: Sequence[bool], transformer: Callable[[], Transformer], conditioner: Callable[[int, int], Conditioner]
    ) -> None:
        super().__init__()
        moved = [index for index, moves in enumerate(mask) if moves]
        kept = [index for index, moves in enumerate(mask) if not moves]
        self.register_buffer("kept", torch.tensor(kept))
        self.register_buffer("moved", torch.tensor(moved))
        self.register_buffer("order", torch.argsort(torch.tensor(kept + moved)))
        self.transformer = transformer()
        self.conditioner = conditioner(len(kept), len(moved) * self.transformer.per_feature)

    def forward(self, x: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        kept, moved = x.index_select(1, self.kept), x.index_select(1, self.moved)
        raw = self.conditioner(kept).view(*moved.shape, self.transformer.per_feature)
        with all_digits(x.device):  # the conditioner may be bfloat16, the bijection not
            image, log_slope = self.transformer(moved, raw.to(x.dtype), inverse)
        return torch.cat([kept, image], dim=1).index_select(1, self.order), log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.forward(z, inverse=True)


@bijections.register("coupling")
def coupling(
    dim: int,
    layer: int,
    *,
    transformer: Part[Transformer] = transformers.part("spline"),
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
) -> Coupling:
    """A coupling that moves the even features, and in every other layer the odd ones.

    Args:
        transformer: the map of each feature that moves.
        conditioner: the network that finds its parameters.

    Raises:
        UserError: one feature only.
    """
    if dim < 2:
        raise UserError("a coupling needs data of at least two dimensions")
    return Coupling(alternating(dim, layer), transformer, conditioner)


def alternating(dim: int, layer: int) -> list[bool]:
    """Which features move: the even ones, and in every other layer the odd ones."""
    return [feature % 2 == layer % 2 for feature in range(dim)]


def random_halves(dim: int, depth: int) -> list[list[bool]]:
    """Which features move in each of `depth` layers: half of them at random, and then the others."""
    masks: list[list[bool]] = []
    for layer in range(depth):
        if layer % 2:
            masks.append([not moves for moves in masks[-1]])
        else:
            masks.append([position < max(1, dim // 2) for position in torch.randperm(dim).tolist()])
    return masks
