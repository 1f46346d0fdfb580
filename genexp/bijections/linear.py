"""z = Wx + b, where W is a product of factors whose determinant is read off and whose inverse is a solve.

Sources: Kingma & Dhariwal, Glow (2018), for W = LU; Tomczak & Welling, Householder Flow (2016), for orthogonal ones.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections
from genexp.machine.device import all_digits
from genexp.nn.householder import householder


class Factor(nn.Module):
    """A matrix W (dim, dim) that can be inverted whatever its parameters are."""

    def forward(self, x: Tensor) -> Tensor:
        """Wx of each, (n, dim)."""
        raise NotImplementedError

    def inverse(self, z: Tensor) -> Tensor:
        """W⁻¹z of each, (n, dim)."""
        raise NotImplementedError

    def log_det(self) -> Tensor:
        """ln |det W|, a scalar."""
        raise NotImplementedError


class Diagonal(Factor):
    """W = diag(exp(s))."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_diagonal = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.log_diagonal.exp()

    def inverse(self, z: Tensor) -> Tensor:
        return z * (-self.log_diagonal).exp()

    def log_det(self) -> Tensor:
        return self.log_diagonal.sum()


class Triangular(Factor):
    """W lower triangular with the diagonal exp(s)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_diagonal = nn.Parameter(torch.zeros(dim))
        self.below = nn.Parameter(torch.zeros(dim, dim))

    def matrix(self) -> Tensor:
        return self.below.tril(-1) + self.log_diagonal.exp().diag()

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix().T

    def inverse(self, z: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.matrix(), z.T, upper=False).T

    def log_det(self) -> Tensor:
        return self.log_diagonal.sum()


class LU(Triangular):
    """W = LU, L as in `Triangular`, U upper triangular with ones on the diagonal."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.above = nn.Parameter(torch.zeros(dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + x @ self.above.triu(1).T)

    def inverse(self, z: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.above.triu(1), super().inverse(z).T, upper=True, unitriangular=True).T


class Orthogonal(Factor):
    """W orthogonal, by as many reflections as there are features; begins at random."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return x @ householder(self.vectors).T

    def inverse(self, z: Tensor) -> Tensor:
        return z @ householder(self.vectors)

    def log_det(self) -> Tensor:
        return self.vectors.new_zeros(())


FACTORS: dict[str, type[Factor]] = {"lu": LU, "triangular": Triangular, "diagonal": Diagonal, "orthogonal": Orthogonal}
FactorName = Literal["lu", "triangular", "diagonal", "orthogonal"]


@bijections.register("linear")
class Linear(Bijection):
    """z = Wx + b.

    Args:
        factor: W: `lu`, any matrix with an LU decomposition without pivots; `triangular`; `diagonal`; or `orthogonal`.
    """

    def __init__(self, dim: int, layer: int, *, factor: FactorName = "lu") -> None:
        super().__init__()
        self.factor = FACTORS[factor](dim)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(x.device):
            return self.factor(x) + self.bias, self.factor.log_det().expand(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(z.device):
            return self.factor.inverse(z - self.bias), -self.factor.log_det().expand(len(z))
