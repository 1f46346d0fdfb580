"""The couplings of the library nflows, as the article used them.

Its affine scale is sigmoid(·+2) + 0.001 ≤ 1.001: from data to noise such a coupling can only contract.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bijections
from genexp.bijections.coupling import alternating
from genexp.errors import UserError
from genexp.nn.mlp import Activation, mlp
from genexp.settings import Scale, Width

Layers = Annotated[int, Field(ge=0, le=16)]


class Nflows(Bijection):
    """A transform of nflows, which speaks of directions as this program does."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform(x)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return self.transform.inverse(z)  # type: ignore[operator]


@bijections.register("nflows_affine")
def nflows_affine(
    dim: int, layer: int, *, width: Width = 32, hidden_layers: Layers = 2, activation: Activation = "silu"
) -> Nflows:
    """An affine coupling of the library nflows, which can only contract from data to noise.

    Args:
        width, hidden_layers, activation: of the conditioner's hidden layers.
    """
    from nflows.transforms import AffineCouplingTransform

    return Nflows(AffineCouplingTransform(mask(dim, layer), network([width] * hidden_layers, activation)))


@bijections.register("nflows_spline")
def nflows_spline(
    dim: int,
    layer: int,
    *,
    width: Width = 32,
    hidden_layers: Layers = 2,
    activation: Activation = "silu",
    bins: Annotated[int, Field(ge=2, le=256)] = 32,
    bound: Scale = 5.0,
) -> Nflows:
    """A rational-quadratic spline coupling of the library nflows.

    Args:
        width, hidden_layers, activation: of the conditioner's hidden layers.
        bins, bound: of the spline, which acts on [−bound, bound] and is the identity outside.
    """
    from nflows.transforms import PiecewiseRationalQuadraticCouplingTransform

    net = network([width] * hidden_layers, activation)
    keys = {"num_bins": bins, "tails": "linear", "tail_bound": bound}
    return Nflows(PiecewiseRationalQuadraticCouplingTransform(mask(dim, layer), net, **keys))


def mask(dim: int, layer: int) -> list[int]:
    """1 for the features that move, −1 for the others; UserError where none would stay."""
    if dim < 2:
        raise UserError("a coupling needs data of at least two dimensions")
    return [1 if moves else -1 for moves in alternating(dim, layer)]


def network(hidden: list[int], activation: Activation) -> type[nn.Module]:
    """The class of a conditioner, as nflows wants it."""

    class Network(nn.Module):
        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.net = mlp([inputs, *hidden, outputs], activation)
            self.hidden_features = hidden[-1] if hidden else 1  # nflows divides the scores of a spline by its root

        def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
            return self.net(x)

    return Network
