"""Sylvester's bijection: a planar one of several directions at once."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections
from genexp.bijections.constraints import above_minus_one
from genexp.bijections.numerical import safeguarded_newton
from genexp.machine.device import all_digits
from genexp.nn.householder import householder

Rank = Annotated[int, Field(ge=1, le=256)]


@bijections.register("sylvester")
class Sylvester(Bijection):
    """z = x + Q R tanh(S Qᵀx + b),   ln |det ∂z/∂x| = Σ_i ln(1 + R_ii S_ii tanh′(…)_i).

    Q (dim, rank) has orthonormal columns, a product of reflections; R and S (rank, rank) are upper triangular, S_ii > 0 and
    R_ii S_ii > −1. With v = Qᵀx, Qᵀz = v + R tanh(Sv + b) is solved from its last row up: one increasing equation for each v_i,
    by Newton's method; and x = z − Q R tanh(Sv + b).

    Args:
        rank: number of directions; of data of fewer dimensions, as many as those have.

    Raises:
        ConvergenceError: by its inverse, of points that are no numbers.

    Source: van den Berg et al., Sylvester Normalizing Flows for Variational Inference (2018).
    """

    def __init__(self, dim: int, layer: int, *, rank: Rank = 8) -> None:
        super().__init__()
        rank = min(rank, dim)
        self.vectors = nn.Parameter(torch.randn(rank, dim))
        self.above = nn.Parameter(torch.zeros(2, rank, rank))  # of R and S
        self.free_product = nn.Parameter(torch.zeros(rank))  # R_ii S_ii
        self.log_steepness = nn.Parameter(torch.zeros(rank))  # ln S_ii
        self.b = nn.Parameter(torch.randn(rank))

    def matrices(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Q, R, S and the products R_ii S_ii."""
        product, steepness = above_minus_one(self.free_product), self.log_steepness.exp()
        r, s = (
            above.triu(1) + diagonal.diag() for above, diagonal in zip(self.above, (product / steepness, steepness), strict=True)
        )
        return householder(self.vectors)[:, : len(product)], r, s, product

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(x.device):
            q, r, s, product = self.matrices()
            h = torch.tanh(x @ q @ s.T + self.b)
            return x + h @ r.T @ q.T, torch.log1p(product * (1 - h.square())).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(z.device):
            q, r, s, product = self.matrices()
            y, rank = z @ q, len(product)
            v, h = y[:, rank:], y[:, rank:]  # of the rows from the last one up, (n, 0) at first
            for row in range(rank - 1, -1, -1):
                known_y = y[:, row] - h @ r[row, row + 1 :]
                known_s = v @ s[row, row + 1 :] + self.b[row]
                found, squashed = _solve_row(known_y, known_s, r[row, row], s[row, row], product[row])
                v, h = torch.cat([found[:, None], v], dim=1), torch.cat([squashed[:, None], h], dim=1)
            return z - h @ r.T @ q.T, -torch.log1p(product * (1 - h.square())).sum(1)


def _solve_row(y: Tensor, b: Tensor, r: Tensor, s: Tensor, product: Tensor) -> tuple[Tensor, Tensor]:
    """v with v + r tanh(s v + b) = y, and that tanh."""

    def image(v: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(s * v + b)
        return v + r * h, 1 + product * (1 - h.square())

    reach = r.detach().abs()
    v = safeguarded_newton(image, y, y.detach() - reach, y.detach() + reach).x
    return v, torch.tanh(s * v + b)
