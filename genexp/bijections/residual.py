"""A residual bijection: the identity plus a network that changes less than its input does.

Sources: Behrmann et al., Invertible Residual Networks (2019); Chen et al., Residual Flows for Invertible Generative Modeling
(2019).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Bijection, bijections
from genexp.bijections.numerical import fixed_point
from genexp.machine.device import all_digits
from genexp.nn.lipschitz import Linearised, LipschitzMLP
from genexp.settings import Width

EXACT = 8  # dimensions up to which the Jacobian itself costs no more than the series
TERMS, TERMS_AT_TEST = 2, 20  # of the series, before chance decides
MOST_ITERATIONS = 3_000  # of the inverse

Layers = Annotated[int, Field(ge=1, le=16)]
Lipschitz = Annotated[float, Field(ge=0.01, le=0.99)]
Roulette = Annotated[float, Field(ge=0, le=0.99)]


@bijections.register("residual")
class Residual(Bijection):
    """z = x + g(x), where g has a Lipschitz constant below 1. Its inverse is the fixed point of x ← z − g(x).

    In up to eight dimensions ln |det ∂z/∂x| = ln det(I + J), J = ∂g/∂x, is found from J. Beyond, it is an unbiased estimate:

        ln det(I + J) = Σ_k (−1)^(k+1) tr(J^k) / k,   tr(J^k) ≈ vᵀ J^k v,   v = ±1 at random,

    whose first terms (2 in training, 20 at test) are always taken, and each next one with probability `roulette`, divided by the
    probability that it came to that. In training one draw of chance says how far the series of a whole batch goes, as in the
    source; at test each example has its own, so that the examples' estimates are independent and their scatter says how far
    their mean may be off. Its gradient is that of the Neumann series, Σ_k (−1)^k vᵀJ^k (∂J) v, whose factor vᵀJ^k
    needs none itself: memory does not grow with the number of terms.

    Args:
        width, hidden_layers: of g.
        lipschitz: the most that g may be steep: near 1 it can do most, and its inverse takes longest.
        roulette: the probability of each further term; the variance is finite for sure where it is above lipschitz².

    Raises:
        ConvergenceError: by its inverse, where the iteration does not come to rest; with the residual and the iterations.
    """

    smooth = True

    def __init__(
        self,
        dim: int,
        layer: int,
        *,
        width: Width = 64,
        hidden_layers: Layers = 2,
        lipschitz: Lipschitz = 0.97,
        roulette: Roulette = 0.5,
    ) -> None:
        super().__init__()
        self.exact = dim <= EXACT
        self.roulette = roulette
        self.g = LipschitzMLP([dim, *[width] * hidden_layers, dim], lipschitz)

    def initialise(self, x: Tensor) -> None:
        for linear in self.g.layers:
            linear.follow()  # type: ignore[operator]

    def before_step(self) -> None:
        for linear in self.g.layers:
            linear.follow()  # type: ignore[operator]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(x.device):
            g = self.g(x, self.g.bounded())
            return x + g.value, self.log_det(g)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        with all_digits(z.device):
            weights = self.g.bounded()
            x = fixed_point(lambda x: z - self.g(x, weights).value, z, MOST_ITERATIONS).x
            if torch.is_grad_enabled():  # Newton's step from the root: its value is x, its derivatives are those of the inverse
                g = self.g(x, weights)
                identity = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
                x = x + torch.linalg.solve(identity + g.jacobian().detach(), z - x - g.value)
            return x, -self.log_det(self.g(x, weights))

    def log_det(self, g: Linearised) -> Tensor:
        """ln det(I + J), or an unbiased estimate of it, (n,)."""
        if self.exact:
            return log_det_plus_identity(g.jacobian())
        if self.training:
            return series(g, TERMS, self.roulette, draws=1)
        return series(g, TERMS_AT_TEST, self.roulette, draws=len(g.value))


def log_det_plus_identity(jacobian: Tensor) -> Tensor:
    """ln det(I + J) of matrices (n, dim, dim) with no eigenvalue of −1 or below."""
    if jacobian.shape[-1] == 1:
        return jacobian[:, 0, 0].log1p()
    if jacobian.shape[-1] == 2:
        a, b, c, d = jacobian.flatten(1).unbind(1)
        return (a + d + a * d - b * c).log1p()
    return torch.linalg.slogdet(jacobian + torch.eye(jacobian.shape[-1], dtype=jacobian.dtype, device=jacobian.device)).logabsdet


def series(g: Linearised, terms: int, roulette: float, draws: int) -> Tensor:
    """An unbiased estimate of ln det(I + J), (n,), with an unbiased gradient.

    Args:
        draws: of how many terms follow the first: 1 for the batch, or n, one for each example.
    """
    with torch.no_grad():
        further = torch.empty(draws).geometric_(1 - roulette) - 1 if roulette else torch.zeros(draws)  # on the CPU, as it is read
        v = torch.randint_like(g.value, 2) * 2 - 1
        power, neumann, found = v, v.clone(), torch.zeros_like(v[:, 0])
        going, part = torch.arange(len(v), device=v.device), g  # those whose series goes on
        for k in range(1, terms + int(further.max()) + 1):
            if k > terms and draws > 1:
                left = (further >= k - terms).nonzero()[:, 0]
                further, left = further[left], left.to(v.device)
                going, power, part = going[left], power[left], part.of(left)
            power = part.cotangent(power)  # vᵀJ^k
            signed = -((-1) ** k) / roulette ** max(0, k - terms)
            rows = slice(None) if len(going) == len(v) else going  # which copies nothing
            found[rows] += signed / k * (power * v[rows]).sum(1)
            neumann[rows] -= signed * power
    slope = (neumann * g.tangent(v)).sum(1)
    return found + slope - slope.detach()
