"""Correlated Gaussians, x = μ + L z with Σ = L Lᵀ, and their mixtures, a component first and then a point of it.

Sources: Golub & Van Loan, Matrix Computations, section 4.2; Walker, An efficient method for generating discrete random variables
(1977), and Vose, A linear algorithm for generating random numbers with a given distribution (1991).
"""

from typing import Annotated

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from genexp.data.normal import Matrix, Vector
from genexp.errors import UserError
from genexp.registry import Part
from genexp.samplers.base import Drawn, Stage, Stream, Transform, standard_cdf, transforms
from genexp.samplers.gaussians import Gaussian, gaussians


def factor(covariance: Tensor, key: str) -> Tensor:
    """L of Σ = L Lᵀ, (…, dim, dim), float64; UserError where Σ is not symmetric or not positive definite."""
    if bool((covariance - covariance.mT).abs().amax() > 1e-9 * covariance.abs().amax()):
        raise UserError(f"model.transform.{key}: a covariance must be symmetric")
    found, failed = torch.linalg.cholesky_ex(covariance)
    if bool(failed.any()):
        raise UserError(f"model.transform.{key}: a covariance must be positive definite")
    return found


def whitened(x: Tensor, mean: Tensor, lower: Tensor) -> Tensor:
    """z with x = μ + L z, (n, dim)."""
    return torch.linalg.solve_triangular(lower, (x.double() - mean).mT, upper=False).mT


def gaussian_stages(gaussian: Gaussian, stream: Stream, n: int) -> list[Stage]:
    """The steps to Gaussian points: in the plane those of the method itself, else its result."""
    if gaussian.dim == 2:
        found = gaussian.stages(stream, n)
        if found[-1].x.shape == (n, 2):
            return found
    z = gaussian.draw(stream, n).x
    return [Stage("gaussian", z, standard_cdf(z))]


@transforms.register("cholesky")
class Cholesky(Transform):
    """x = μ + L z ~ N(μ, L Lᵀ) of any mean and covariance, however nearly singular float64 can tell.

    Args:
        mean: μ; null: 0.
        covariance: Σ, as rows; null: unit variances, and `correlation` between each two coordinates.
        correlation: not used when `covariance` is given.
        gaussian: where z comes from.
    """

    lower: Tensor
    mean: Tensor

    def __init__(
        self,
        dim: int,
        *,
        mean: Vector | None = None,
        covariance: Matrix | None = None,
        correlation: Annotated[float, Field(ge=-0.999, le=0.999)] = 0.8,
        gaussian: Part[Gaussian] = gaussians.part("box_muller"),
    ) -> None:
        super().__init__(dim)
        rows = covariance or torch.full((dim, dim), correlation).fill_diagonal_(1.0).tolist()
        if any(len(each) != dim for each in (mean or rows[0], rows, *rows)):
            raise UserError(f"model/transform=cholesky: μ must be {dim} numbers and Σ {dim} rows of {dim}, as the data are")
        self.covariance = torch.tensor(rows, dtype=torch.float64)
        self.register_buffer("lower", factor(self.covariance, "covariance"), persistent=False)
        self.register_buffer("mean", torch.tensor(mean or [0.0] * dim, dtype=torch.float64), persistent=False)
        self.gaussian = gaussian(dim)
        self.acceptance = self.gaussian.acceptance

    def draw(self, stream: Stream, n: int) -> Drawn:
        found = self.gaussian.draw(stream, n)
        return Drawn(self.moved(found.x), found.proposed, found.kept)

    def moved(self, z: Tensor) -> Tensor:
        """μ + L z of each row."""
        return self.mean.cpu().double() + z.double() @ self.lower.cpu().double().mT

    def uniformised(self, x: Tensor) -> Tensor:
        return standard_cdf(whitened(x, self.mean.cpu().double(), self.lower.cpu().double()))

    def largest(self, bits: int) -> float | None:
        """max_i |μ_i| + Σ_j |L_ij| times the largest |z|."""
        return reach(self.mean, self.lower, self.gaussian.largest(bits))

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        before = gaussian_stages(self.gaussian, stream, n)
        x = self.moved(before[-1].x)
        return [*before, Stage("correlated", x, self.uniformised(x), before[-1].colour)]


def reach(mean: Tensor, lower: Tensor, largest: float | None) -> float | None:
    """The largest |x| of x = μ + L z with no |z| above `largest`: μ (…, dim), L (…, dim, dim)."""
    if largest is None:
        return None
    return float((mean.cpu().double().abs() + largest * lower.cpu().double().abs().sum(-1)).max())


class AliasTable:
    """A component in one step, however many there are: a place k of the table, which keeps a share of its draws and gives
    the rest to its alias.

    Args:
        weights: (components,), positive.
    """

    def __init__(self, weights: Tensor) -> None:
        count = len(weights)
        share = (weights.double() * count / weights.double().sum()).tolist()
        self.keeps, self.alias = torch.ones(count, dtype=torch.float64), torch.arange(count)
        small, large = [k for k in range(count) if share[k] < 1], [k for k in range(count) if share[k] >= 1]
        while small and large:
            poor, rich = small.pop(), large[-1]
            self.keeps[poor], self.alias[poor] = share[poor], rich
            share[rich] -= 1 - share[poor]
            if share[rich] < 1:
                small.append(large.pop())

    def __call__(self, u: Tensor) -> Tensor:
        """Components (n,), by uniform numbers (n,) in [0, 1): the place is the whole part of K u, and what is left decides."""
        place = (u * len(self.keeps)).long()
        return torch.where(u * len(self.keeps) - place < self.keeps[place], place, self.alias[place])

    def probabilities(self) -> Tensor:
        """Of each component, as the table has it."""
        given = torch.zeros_like(self.keeps).index_add(0, self.alias, 1 - self.keeps)
        return (self.keeps + given) / len(self.keeps)


@transforms.register("alias")
class AliasMixture(Transform):
    """p(x) = Σ_k w_k N(x; μ_k, L_k L_kᵀ), from the top: k by an alias table, then x = μ_k + L_k z.

    Args:
        means: μ_k, one list for each component.
        covariances: Σ_k, the rows of one matrix for each component.
        weights: one positive number for each component; they need not sum to one.
        gaussian: where z comes from.
    """

    lower: Tensor
    means: Tensor

    def __init__(
        self,
        dim: int,
        *,
        means: Annotated[list[Vector], Field(min_length=1)] = [[-1.5, -1.0], [1.5, -1.0], [0.0, 1.5]],  # noqa: B006 (never changed)
        covariances: Annotated[list[Matrix], Field(min_length=1)] = [  # noqa: B006
            [[0.6, 0.45], [0.45, 0.6]],
            [[0.6, -0.45], [-0.45, 0.6]],
            [[1.0, 0.0], [0.0, 0.1]],
        ],
        weights: Annotated[list[PositiveFloat], Field(min_length=1)] = [1.0, 1.0, 1.0],  # noqa: B006
        gaussian: Part[Gaussian] = gaussians.part("box_muller"),
    ) -> None:
        super().__init__(dim)
        if not len(means) == len(covariances) == len(weights):
            raise UserError("model/transform=alias: there must be a mean, a covariance and a weight of each component")
        rows = [row for matrix in covariances for row in matrix]
        if any(len(each) != dim for each in [*means, *rows]) or any(len(matrix) != dim for matrix in covariances):
            raise UserError(f"model/transform=alias: its means and covariances must be of {dim} dimensions, as the data are")
        self.register_buffer("lower", factor(torch.tensor(covariances, dtype=torch.float64), "covariances"), persistent=False)
        self.register_buffer("means", torch.tensor(means, dtype=torch.float64), persistent=False)
        self.weights = torch.tensor(weights, dtype=torch.float64) / sum(weights)
        self.table = AliasTable(self.weights)
        self.gaussian = gaussian(dim)
        self.acceptance = self.gaussian.acceptance

    def draw(self, stream: Stream, n: int) -> Drawn:
        component = self.table(stream.uniform(n))
        found = self.gaussian.draw(stream, n)
        return Drawn(self.means.cpu()[component] + self.stretched(found.x, component), found.proposed, found.kept)

    def largest(self, bits: int) -> float | None:
        """That of the component that reaches farthest."""
        return reach(self.means, self.lower, self.gaussian.largest(bits))

    def stretched(self, z: Tensor, component: Tensor) -> Tensor:
        """L_k z of each row."""
        return torch.einsum("nij,nj->ni", self.lower.cpu().double()[component], z.double())

    def uniformised(self, x: Tensor) -> Tensor:
        """F(x_i | x_1 … x_{i−1}) = Σ_k r_k Φ(z_ki), where r_k is the posterior of component k given the coordinates before."""
        pairs = zip(self.means.cpu().double(), self.lower.cpu().double(), strict=True)
        z = torch.stack([whitened(x, mean, lower) for mean, lower in pairs])  # (components, n, dim)
        scale = self.lower.cpu().double().diagonal(dim1=1, dim2=2)[:, None]
        log_r = (-0.5 * z.square() - scale.log()).cumsum(2).roll(1, 2)
        log_r[..., 0] = 0
        r = (log_r + self.weights.log()[:, None, None]).softmax(0)
        return (r * standard_cdf(z)).sum(0)

    def stages(self, stream: Stream, n: int) -> list[Stage]:
        component = self.table(stream.uniform(n))
        before = gaussian_stages(self.gaussian, stream, n)
        stretched = self.stretched(before[-1].x, component)
        back = torch.linalg.solve_triangular(self.lower.cpu().double()[component], stretched[..., None], upper=False)[..., 0]
        x = self.means.cpu()[component] + stretched
        colour = component / max(1, len(self.weights) - 1)
        return [
            *before,
            Stage("correlated", stretched, standard_cdf(back), colour),
            Stage("mixture of Gaussians", x, self.uniformised(x), colour),
        ]
