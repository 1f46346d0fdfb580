"""`model=pixelcnn`: gated convolutions over pictures, each pixel from those above it and to its left."""

from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics
from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step, whole_numbers
from genexp.nn.colours import Colours
from genexp.nn.gated import OneStack, TwoStacks
from genexp.registry import Part, models
from genexp.settings import Fraction


@models.register("pixelcnn")
class PixelCNN(Autoregressive):
    r"""p(x) = Π_i p(x_i | x_<i) of the pixels of a picture, row by row, all parameters by convolutions.

    One stack of masked convolutions never sees a wedge of the rows above, to the right of each pixel, however deep it is. Two
    stacks, one of rows above and one of the pixel's own row, see all. The colours of a pixel follow one another, red, green,
    blue: each from the pixels before and from the colours of its own pixel before it.
    Source: van den Oord et al., Pixel Recurrent Neural Networks and Conditional Image Generation with PixelCNN Decoders (2016).

    In short:
        The probability of each pixel given those above it and to its left is learnt, by masked convolutions that all pixels
        share: an exact likelihood; samples come pixel after pixel.

    Equation:
        \ln p(x) = \sum_{i=1}^{D} \ln p(x_i | x_{<i}), \qquad h = \tanh(W_1 * x) \odot σ(W_2 * x), \quad W \text{ masked}

    Objective:
        \mathcal{L} = -\mathbb{E}_{\mathrm{data}} \sum_{i} \ln p_θ(x_i | x_{<i})

    Args:
        channels: of the hidden layers.
        depth: how many of them.
        size: pixels a side of a convolution.
        stacks: `two`, or `one` with its blind spot.
        dropout: in training.
        head: p of one number given its parameters.
        heuristic: how samples are drawn.

    Raises:
        UserError: no pictures; real numbers.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        channels: Annotated[int, Field(ge=1, le=4096)] = 48,
        depth: Annotated[int, Field(ge=1, le=64)] = 5,
        size: Literal[3, 5, 7] = 3,
        stacks: Literal["two", "one"] = "two",
        dropout: Fraction = 0.0,
        head: Part[Head] = heads.part("categorical"),
        heuristic: Part[Heuristic] = heuristics.part("none"),
    ) -> None:
        levels = whole_numbers(spec, "model=pixelcnn")
        super().__init__(spec, head, heuristic)
        if len(spec.shape) != 3:
            what = "×".join(map(str, spec.shape))
            raise UserError(f"model=pixelcnn learns pictures, and not data of shape {what}")
        self.count = spec.shape[0]
        self.colours = nn.Embedding(self.count * levels, channels)
        self.levels = levels
        self.settings = (channels, depth, size, self.head.outputs if self.count == 1 else channels, dropout)
        self.network = TwoStacks(*self.settings) if stacks == "two" else OneStack(*self.settings)
        self.cached = stacks == "two"
        self.within = Colours(self.count, channels, self.head.outputs) if self.count > 1 else None
        if self.count > 1:  # pixel after pixel, the colours of each in turn
            self.order.copy_(self.order.view(self.count, -1).T.flatten())
            value = torch.linspace(-1, 1, levels)[:, None]  # neighbouring greys begin alike
            self.colours.weight.data.view(self.count, levels, -1).mul_(0.1).add_(value * torch.randn(self.count, 1, channels))

    def features(self, x: Tensor) -> Tensor:
        first = self.levels * torch.arange(self.count, device=x.device)
        return self.colours(self.head.number(x) + first.repeat(x.shape[1] // self.count))

    def parameters_of(self, features: Tensor) -> Tensor:
        return self._through(self.network, features)

    def step(self, n: int) -> Step:
        if not isinstance(self.network, TwoStacks):
            return super().step(n)
        one = self.network.row_by_row(n, *self.shape[1:])
        if self.within is None:
            return lambda x, i: one(self.features(x[:, i - 1 : i])[:, 0] if i else None, i)
        return self.within.one_by_one(lambda x: self.features(x), one)

    def influence(self, x: Tensor, place: int) -> dict[str, Tensor]:
        """That of the network itself, and of an untrained one of each kind of stacks."""
        found = {"this model": self._influence(self.parameters_of, x, place)}
        for name, kind in (("one stack, untrained: a blind spot", OneStack), ("two stacks, untrained: none", TwoStacks)):
            fresh = kind(*self.settings).to(self.colours.weight)
            nn.init.normal_(fresh.last[-1].weight)  # type: ignore[arg-type]
            found[name] = self._influence(partial(self._through, fresh), x, place)
        return found

    def _through(self, network: nn.Module, features: Tensor) -> Tensor:
        """(n, dim, width) → (n, dim, outputs), as pictures in between."""
        of_pixels = features.unflatten(1, (-1, self.count))
        found: Tensor = network(of_pixels.sum(2).mT.unflatten(2, self.shape[1:]))
        seen = found.flatten(2).mT
        return seen if self.within is None else self.within(seen, of_pixels).flatten(1, 2)
