"""A planar bijection: points move along one direction, by how far they lie along another."""

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections
from genexp.bijections.constraints import above_minus_one
from genexp.bijections.numerical import safeguarded_newton


@bijections.register("planar")
class Planar(Bijection):
    """z = x + u tanh(wᵀx + b),   ln |det ∂z/∂x| = ln(1 + wᵀu tanh′(wᵀx + b)).

    It can be inverted where wᵀu > −1, to which the part of u along w is held. Then wᵀz = a + wᵀu tanh(a + b) increases with
    a = wᵀx, which is found by Newton's method; and x = z − u tanh(a + b).

    Raises:
        ConvergenceError: by its inverse, of points that are no numbers.

    Source: Rezende & Mohamed, Variational Inference with Normalizing Flows (2015).
    """

    def __init__(self, dim: int, layer: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(dim))
        self.b = nn.Parameter(torch.randn(()))
        self.free_u = nn.Parameter(torch.zeros(dim))

    def u(self) -> tuple[Tensor, Tensor]:
        """u, and wᵀu > −1."""
        free = self.free_u.dot(self.w)
        along = above_minus_one(free)
        return self.free_u + (along - free) * self.w / self.w.dot(self.w), along

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        u, along = self.u()
        h = torch.tanh((x * self.w).sum(1) + self.b)
        return x + u * h[:, None], torch.log1p(along * (1 - h.square()))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        u, along = self.u()

        def image(a: Tensor) -> tuple[Tensor, Tensor]:
            h = torch.tanh(a + self.b)
            return a + along * h, 1 + along * (1 - h.square())

        y, reach = (z * self.w).sum(1), along.detach().abs()
        a = safeguarded_newton(image, y, y.detach() - reach, y.detach() + reach).x
        h = torch.tanh(a + self.b)
        return z - u * h[:, None], -torch.log1p(along * (1 - h.square()))
