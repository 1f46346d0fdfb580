"""Networks that give a coupling its parameters."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.bijections.base import Conditioner, conditioners
from genexp.nn.fourier import FourierFeatures
from genexp.nn.mlp import Activation, mlp
from genexp.settings import Scale, Width

Gain = Annotated[float, Field(gt=0, le=100)]


@conditioners.register("mlp")
class MLPConditioner(Conditioner):
    """A multilayer perceptron, that can also see sin and cos of πkx/span, k = 1 … harmonics, of each feature.

    Args:
        width, hidden_layers, activation: of its hidden layers.
        harmonics: how many; 0 is none.
        span: half the period of the first of them, in the units that the noise has.
        gain: outputs are multiplied by it. Below 1, a step of the optimizer, which moves every weight of the last layer by as
            much, changes the bijection by less (nflows has 1/√width): what is sharp is then learnt without upheavals.
        start: the last layer's weights begin as usual, times this. At 0 a coupling begins as the identity, a saddle where
            couplings only shift and the data are symmetric: no shift of one feature is better than none as long as others stay.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: Width = 32,
        hidden_layers: Annotated[int, Field(ge=0, le=16)] = 2,
        activation: Activation = "silu",
        harmonics: Annotated[int, Field(ge=0, le=1024)] = 0,
        span: Scale = 5.0,
        gain: Gain = 1.0,
        start: Annotated[float, Field(ge=0, le=10)] = 0.0,
    ) -> None:
        super().__init__()
        self.gain = gain
        waves = torch.arange(1, harmonics + 1) / (2 * span)
        self.waves = FourierFeatures(torch.kron(torch.eye(inputs), waves)) if harmonics else None
        self.net = mlp([inputs * (1 + 2 * harmonics), *[width] * hidden_layers, outputs], activation)
        last = self.net[-1]
        with torch.no_grad():
            last.weight.mul_(start)  # type: ignore[operator]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * self.net(x if self.waves is None else torch.cat([x, self.waves(x)], dim=1))
