"""The autoregressive bijection the other way round: noise → data takes one pass, data → noise one for each feature.

    x_i = T(z_i; c_i(z_1 … z_i−1)).

Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow (2016).
"""

from torch import Tensor

from genexp.bijections.autoregressive import Autoregressive, Layers, Solver
from genexp.bijections.base import Bijection, Transformer, bijections, transformers
from genexp.nn.mlp import Activation
from genexp.registry import Part
from genexp.settings import Width


class Inverse(Bijection):
    """A bijection the other way round."""

    def __init__(self, bijection: Bijection) -> None:
        super().__init__()
        self.bijection, self.can_turn = bijection, bijection.can_turn

    def solve_in_turn(self) -> None:
        self.bijection.solve_in_turn()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.bijection.inverse(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.bijection(z)


@bijections.register("inverse_autoregressive")
def inverse_autoregressive(
    dim: int,
    layer: int,
    *,
    width: Width = 64,
    hidden_layers: Layers = 2,
    activation: Activation = "silu",
    solver: Solver = "jacobi",
    transformer: Part[Transformer] = transformers.part("affine"),
) -> Inverse:
    """Each feature of the data from the noise up to it: fast samples, slow likelihoods.

    Args:
        width, hidden_layers, activation: of the masked network's hidden layers.
        solver: of data → noise: `sequential`, or all features at once (`jacobi`), with the same result.
        transformer: the map of each feature.
    """
    keys = {"width": width, "hidden_layers": hidden_layers, "activation": activation, "solver": solver}
    return Inverse(Autoregressive(dim, layer, transformer=transformer, **keys))  # type: ignore[arg-type]
