"""`model=made`: a masked autoencoder. All conditionals come from one pass through a perceptron with missing connections."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step
from genexp.nn.autoregressive import MaskedLinear, MaskedMLP
from genexp.nn.mlp import Activation
from genexp.registry import Part, models
from genexp.settings import Seed, Width


@models.register("made")
class MADE(Autoregressive):
    """p(x) = Π_i p(x_i | x_<i), whose parameters are the outputs of one perceptron with masks: a hidden unit of degree d sees
    the first d numbers of the order, and the outputs of number i see units of degree below i.

    Sampling computes each hidden unit once, when the last number that it sees is drawn: as much work as a likelihood.
    Source: Germain et al., MADE: Masked Autoencoder for Distribution Estimation (2015).

    Args:
        width, hidden_layers, activation: of the perceptron.
        order: `raster`, the order of the example's axes, or `random`.
        order_seed: of a random order.
        head: p of one number given its parameters.
        heuristic: how samples are drawn.

    Raises:
        UserError: symbols, whose numbers have no order that a perceptron could use.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        width: Width = 512,
        hidden_layers: Annotated[int, Field(ge=1, le=16)] = 2,
        activation: Activation = "relu",
        order: Literal["raster", "random"] = "raster",
        order_seed: Seed = 0,
        head: Part[Head] = heads.part("logistic_mixture"),
        heuristic: Part[Heuristic] = heuristics.part("none"),
    ) -> None:
        super().__init__(spec, head, heuristic)
        if spec.kind == "tokens":
            raise UserError("model=made learns numbers, and not symbols", hint="genexp list models --data NAME")
        if order == "random":
            self.order.copy_(torch.randperm(self.dim, generator=torch.Generator().manual_seed(order_seed)))
        self.network = MaskedMLP(self.dim, self.head.outputs, width, hidden_layers, activation)

    @torch.no_grad()
    def initialise(self, batch: Batch) -> None:
        """Every number begins with its own frequencies, as if it were independent of the others."""
        super().initialise(batch)
        last, start = self.network.net[-1], self.head.marginals(batch.x.flatten(1)[:, self.order])
        if start is not None and isinstance(last, MaskedLinear):
            last.bias.copy_(start.flatten())

    def features(self, x: Tensor) -> Tensor:
        return x[..., None].to(self.network.net[-1].weight.dtype)  # type: ignore[arg-type]

    def parameters_of(self, features: Tensor) -> Tensor:
        return self.network(features[..., 0])

    def step(self, n: int) -> Step:
        once = self.network.in_order(n)
        return lambda x, i: once(self.features(x)[..., 0], i)
