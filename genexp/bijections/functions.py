"""Functions that are known and not learnt, for worked examples of a change of variables."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Function, functions


@functions.register("scale")
class Scale(Function):
    """x = a z,   ln |∂x/∂z| = ln a.

    Args:
        factor: a.
    """

    def __init__(self, *, factor: Annotated[float, Field(ge=1e-3, le=1e3)] = 4.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x / self.factor, -torch.full_like(x, self.factor).log().sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z * self.factor, torch.full_like(z, self.factor).log().sum(1)


@functions.register("exp")
class Exp(Function):
    """x = exp z,   ln |∂x/∂z| = z. What is not positive is the image of nothing: its z is far below all others."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = x.clamp(min=torch.finfo(x.dtype).tiny).log()
        return z, -z.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z.exp(), z.sum(1)
