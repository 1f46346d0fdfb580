"""`model=pixelcnn`: gated convolutions over pictures, each pixel from those above it and to its left."""

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from genexp.autoregressive.base import Head, Heuristic, heads, heuristics
from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.models.autoregressive import Autoregressive, Step, whole_numbers
from genexp.nn.gated import OneStack, TwoStacks
from genexp.registry import Part, models
from genexp.settings import Fraction


@models.register("pixelcnn")
class PixelCNN(Autoregressive):
    """p(x) = Π_i p(x_i | x_<i) of the pixels of a picture with one channel, row by row, all parameters by convolutions.

    One stack of masked convolutions never sees a wedge of the rows above, to the right of each pixel, however deep it is. Two
    stacks, one of rows above and one of the pixel's own row, see all.
    Source: van den Oord et al., Pixel Recurrent Neural Networks and Conditional Image Generation with PixelCNN Decoders (2016).

    Args:
        channels: of the hidden layers.
        depth: how many of them.
        size: pixels a side of a convolution.
        stacks: `two`, or `one` with its blind spot.
        dropout: in training.
        head: p of one pixel given its parameters.
        heuristic: how samples are drawn.

    Raises:
        UserError: no pictures; pictures in colour; real numbers.
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
        if len(spec.shape) != 3 or spec.shape[0] != 1:
            what = "×".join(map(str, spec.shape))
            raise UserError(f"model=pixelcnn learns pictures of one channel, and not data of shape {what}")
        self.colours = nn.Embedding(levels, channels)
        self.settings = (channels, depth, size, self.head.outputs, dropout)
        self.network = TwoStacks(*self.settings) if stacks == "two" else OneStack(*self.settings)
        self.cached = stacks == "two"

    def features(self, x: Tensor) -> Tensor:
        return self.colours(self.head.number(x))

    def parameters_of(self, features: Tensor) -> Tensor:
        return self._through(self.network, features)

    def step(self, n: int) -> Step:
        if not isinstance(self.network, TwoStacks):
            return super().step(n)
        one = self.network.row_by_row(n, *self.shape[1:])
        return lambda x, i: one(self.features(x[:, i - 1]) if i else None, i)

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
        raw: Tensor = network(features.mT.unflatten(2, self.shape[1:]))
        return raw.flatten(2).mT
