"""Fully connected encoders and decoders: examples of any shape ↔ features."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.nn.fourier import FourierFeatures, Spread, random_frequencies
from genexp.nn.mlp import ACTIVATIONS, Activation, hidden_layers, mlp
from genexp.nn.pairs import Decoder, Encoder
from genexp.settings import Width

Widths = Annotated[tuple[Width, ...], Field(min_length=1, max_length=32)]


class MLPEncoder(Encoder):
    """Examples x (n, *shape), with a condition c (n, condition) beside them, → features (n, widths[-1])."""

    def __init__(
        self, shape: tuple[int, ...], widths: Sequence[int], condition: int, activation: Activation, residual: bool = False
    ) -> None:
        super().__init__()
        self.features = widths[-1]
        self.first = nn.Linear(math.prod(shape) + condition, widths[0])
        self.rest = nn.Sequential(ACTIVATIONS[activation]())
        if len(widths) > 1 and residual:
            self.rest.extend(hidden_layers(widths, activation, residual=True))
        elif len(widths) > 1:
            self.rest.extend([mlp(list(widths), activation), ACTIVATIONS[activation]()])

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.rest(self.first(torch.cat([x.flatten(1), c], dim=1)))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Let the first layer begin as a function of departures from the mean of the examples x."""
        mean = x.mean(0).flatten()
        self.first.bias.sub_(self.first.weight[:, : len(mean)] @ mean)


class MLPDecoder(Decoder):
    """Latents z (n, latent), with a condition c (n, condition) beside them, → (n, *shape).

    With `frequencies`, the network also sees cos and sin of 2πBz for as many fixed frequencies B: from few coordinates
    alone an MLP learns fine detail only slowly.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        latent: int,
        widths: Sequence[int],
        condition: int,
        activation: Activation,
        frequencies: int = 0,
        scale: float = 1.0,
        spread: Spread = "normal",
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.waves = FourierFeatures(random_frequencies(latent, frequencies, scale, spread)) if frequencies else None
        self.net = mlp([latent + 2 * frequencies + condition, *widths, math.prod(shape)], activation, residual=residual)

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        waves = [] if self.waves is None else [self.waves(z)]
        return self.net(torch.cat([z, *waves, c], dim=1)).unflatten(1, self.shape)

    @torch.no_grad()
    def initialise(self, x: Tensor, from_mean: Callable[[Tensor], Tensor]) -> None:
        """Let the output begin at the mean of the examples x; `from_mean` gives the output that has a mean."""
        self.net[-1].bias.copy_(from_mean(x.mean(0)).flatten())  # type: ignore[operator,union-attr]
