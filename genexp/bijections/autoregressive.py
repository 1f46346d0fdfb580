"""Autoregressive bijections: each feature is moved by a transformer whose parameters depend on those before it.

    z_i = T(x_i; c_i(x_1 … x_i−1)),      ln |det ∂z/∂x| = Σ_i ln T′(x_i),

as the Jacobian is triangular. Data → noise takes one pass of the network. Noise → data takes one for each feature, in turn; or
the iteration x ← T⁻¹(z; c(x)) of all of them at once (Jacobi's), which has the first k right after k passes, and often all of
them long before: when nothing changes any more.

Sources: Papamakarios et al., Masked Autoregressive Flow (2017); Song et al., Accelerating Feedforward Computation via Parallel
Nonlinear Equation Solving (2021), for the iteration.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Bijection, Transformer, bijections, transformers
from genexp.bijections.numerical import fixed_point
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
        z, log_slope = self.transform(self.turn(x))
        return self.turn(z), log_slope.sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        x = self.solve(self, self.turn(z))
        return self.turn(x), -self.transform(x)[1].sum(1)

    def solve_in_turn(self) -> None:
        self.solve = sequential

    def turn(self, x: Tensor) -> Tensor:
        """From the data's order to this layer's, and back."""
        return x.flip(1) if self.turned else x

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Data → noise: the image and ln of the slopes, both (n, dim), in this layer's order."""
        raw = self.network(x)
        with torch.autocast(x.device.type, enabled=False):  # the network may be bfloat16, the bijection not
            return self.transformer(x, raw.to(x.dtype))

    def guess(self, z: Tensor, x: Tensor) -> Tensor:
        """T⁻¹(z; c(x)), (n, dim): feature i is right where all of x before it are."""
        raw = self.network(x)
        with torch.autocast(z.device.type, enabled=False):
            return self.transformer(z, raw.to(z.dtype), inverse=True)[0]


def sequential(layer: Autoregressive, z: Tensor) -> Tensor:
    """x of z by `dim` passes, each of which finds the next feature."""
    x, place = torch.zeros_like(z), torch.arange(layer.dim, device=z.device)
    for feature in range(layer.dim):
        x = torch.where(place == feature, layer.guess(z, x), x)
    return x


def jacobi(layer: Autoregressive, z: Tensor) -> Tensor:
    """x of z by passes that find all features at once, until nothing changes; one more than there are features at most.

    With derivatives it takes as many as there are features: those are not exact before.
    """
    if torch.is_grad_enabled():
        x = z
        for _ in range(layer.dim):
            x = layer.guess(z, x)
        return x
    return fixed_point(lambda x: layer.guess(z, x), z, most=layer.dim + 1, exactly=True).x


SOLVERS: dict[str, Callable[[Autoregressive, Tensor], Tensor]] = {"sequential": sequential, "jacobi": jacobi}
