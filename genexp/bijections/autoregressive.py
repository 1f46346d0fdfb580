"""Autoregressive bijections: each feature is moved by a transformer whose parameters depend on those before it.

    z_i = T(x_i; c_i(x_1 … x_i−1)),      ln |det ∂z/∂x| = Σ_i ln T′(x_i),

as the Jacobian is triangular. Data → noise takes one pass of the network. Noise → data takes one for each feature, in turn; or
the iteration x ← T⁻¹(z; c(x)) of all of them at once (Jacobi's), which has the first k right after k passes, and often all of
them long before: when nothing changes any more. Either begins from x₁, whose parameters are constants.

Sources: Papamakarios et al., Masked Autoregressive Flow (2017); Song et al., Accelerating Feedforward Computation via Parallel
Nonlinear Equation Solving (2021), for the iteration.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Bijection, Transformer, bijections, transformers
from genexp.bijections.numerical import ConvergenceError
from genexp.machine.device import all_digits
from genexp.nn.autoregressive import MaskedMLP
from genexp.nn.mlp import Activation
from genexp.registry import Part
from genexp.settings import Width

Layers = Annotated[int, Field(ge=0, le=16)]
Solver = Literal["sequential", "jacobi"]


@bijections.register("autoregressive")
class Autoregressive(Bijection):
    """The features in their order, and in every other layer from the last to the first.

    Args:
        width, hidden_layers, activation: of the masked network's hidden layers.
        solver: of the inverse: `sequential`, or all features at once (`jacobi`), with the same result.
        transformer: the map of each feature.
    """

    def __init__(
        self,
        dim: int,
        layer: int,
        *,
        width: Width = 64,
        hidden_layers: Layers = 2,
        activation: Activation = "silu",
        solver: Solver = "jacobi",
        transformer: Part[Transformer] = transformers.part("affine"),
    ) -> None:
        super().__init__()
        self.dim, self.solve, self.can_turn = dim, SOLVERS[solver], True
        self.turned = layer % 2 == 1
        self.transformer = transformer()
        self.network = MaskedMLP(dim, self.transformer.per_feature, width, hidden_layers, activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.turn(x)
        z, log_slope = self.move(x, seen=x)
        return self.turn(z), log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x, log_slope = self.solve(self, self.turn(z), True)
        return self.turn(x), log_slope.sum(1)

    def solve_in_turn(self) -> None:
        self.solve = sequential

    def turn(self, x: Tensor) -> Tensor:
        """From the data's order to this layer's, and back."""
        return x.flip(1) if self.turned else x

    def move(self, x: Tensor, seen: Tensor, inverse: bool = False) -> tuple[Tensor, Tensor]:
        """T(x_i; c_i(seen_1 … seen_i−1)), or T⁻¹, of all features at once, and ln of the slopes: both (n, dim), in this layer's
        order.
        """
        raw = self.network(seen)
        with all_digits(x.device):  # the network may be bfloat16, the bijection not
            return self.transformer(x, raw.to(x.dtype), inverse)

    def begin(self, x: Tensor, inverse: bool) -> Tensor:
        """x (n, dim), the first feature of which has moved: it sees no other."""
        raw = self.network.first().to(x.dtype).expand(len(x), 1, -1)
        with all_digits(x.device):
            return torch.cat([self.transformer(x[:, :1], raw, inverse)[0], x[:, 1:]], dim=1)


def sequential(layer: Autoregressive, x: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
    """y_i = T(x_i; c_i(y_1 … y_i−1)), or T⁻¹, and ln of the slopes, by passes each of which finds the next feature."""
    place = torch.arange(layer.dim, device=x.device)
    y = layer.begin(x, inverse)
    for feature in range(1, max(2, layer.dim)):
        found, log_slope = layer.move(x, y, inverse)
        y = torch.where(place == feature, found, y)
    return y, log_slope


def jacobi(layer: Autoregressive, x: Tensor, inverse: bool) -> tuple[Tensor, Tensor]:
    """The same by passes that find all features at once, until nothing changes; as many as there are features at most.

    With derivatives it takes all passes that it may need: those are not exact before.

    Raises:
        ConvergenceError: what is to be moved, or its image, is no number.
    """
    y = layer.begin(x, inverse)
    for _ in range(max(1, layer.dim - 1)):  # the last one finds the last feature, and the slopes of all
        before = y
        y, log_slope = layer.move(x, before, inverse)
        if not torch.is_grad_enabled() and torch.equal(y, before):
            break
    if not torch.is_grad_enabled() and not y.isfinite().all():
        raise ConvergenceError("the inverse of an autoregressive map was not found: its images are not finite")
    return y, log_slope


Solve = Callable[[Autoregressive, Tensor, bool], tuple[Tensor, Tensor]]
SOLVERS: dict[str, Solve] = {"sequential": sequential, "jacobi": jacobi}
