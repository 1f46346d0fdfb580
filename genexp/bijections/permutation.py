"""A change of the order of features, which has no parameters and no volume."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from genexp.bijections.base import Bijection, bijections

ORDERS: dict[str, Callable[[int], Tensor]] = {"reversed": lambda dim: torch.arange(dim).flip(0), "random": torch.randperm}


@bijections.register("permutation")
class Permutation(Bijection):
    """z_i = x_order(i).

    Args:
        order: `reversed`, or `random`, drawn once when it is built.
    """

    order: Tensor

    def __init__(self, dim: int, layer: int, *, order: Literal["reversed", "random"] = "reversed") -> None:
        super().__init__()
        self.register_buffer("order", ORDERS[order](dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.index_select(1, self.order.argsort()), z.new_zeros(len(z))
