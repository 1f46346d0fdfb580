"""Networks that map a point x, (n, dim), and a time t in [0, 1], (n,), to a vector, (n, dim)."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genexp.errors import UserError
from genexp.nn.feature_grids import Falloff, NoiseAwareFeatureGrids
from genexp.nn.fourier import FourierFeatures, HatFunctions, NoiseAwareFourierFeatures, Spread, random_frequencies
from genexp.nn.mlp import Activation, ModulatedMLP, mlp
from genexp.samplers.time_grids import NoiseLevel, increasing
from genexp.settings import Scale, Width
from genexp.velocity.base import FieldNetwork, fields

Depth = Annotated[int, Field(ge=1, le=32)]
Damping = Annotated[float, Field(ge=0, le=100)]
Knots = Annotated[int, Field(ge=2, le=4096)]
KNOT_RANGE = 1e-3, 3.0  # of τ: where the hat functions of the noise level have their knots


def given(known: Tensor, condition: Tensor | None) -> list[Tensor]:
    """What is known of each point, and the condition beside it where there is one."""
    return [known] if condition is None else [known, condition.to(known.dtype)]


@fields.register("plain")
class PlainField(FieldNetwork):
    """An MLP on (x, t).

    Args:
        width, depth, activation, layer_norm: of its hidden layers.
    """

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        *,
        width: Width = 256,
        depth: Depth = 3,
        activation: Activation = "relu",
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        _draw_unused(dim)
        self.trunk = mlp([dim + 1 + condition, *[width] * depth, dim], activation, layer_norm)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.trunk(torch.cat([x, *given(t[:, None], condition)], dim=1))


@fields.register("random")
class RandomFourierField(FieldNetwork):
    """Fourier features of x beside an embedding of t by a small network of its own, through one trunk.

    Args:
        num_frequencies, frequency_scale, frequency_spread: number of random Fourier features; and their frequencies in cycles per
            unit length: `normal` with that standard deviation, or `even` from 0 to there.
        width, depth, activation, layer_norm: of the hidden layers.
        time_width: of the network that embeds time.
    """

    def __init__(
        self,
        dim: int,
        condition: int = 0,
        *,
        num_frequencies: Width = 256,
        frequency_scale: Scale = 16.0,
        frequency_spread: Spread = "even",
        width: Width = 256,
        depth: Depth = 3,
        activation: Activation = "relu",
        layer_norm: bool = False,
        time_width: Knots = 16,
    ) -> None:
        super().__init__()
        self.features = FourierFeatures(random_frequencies(dim, num_frequencies, frequency_scale, frequency_spread))
        self.time = nn.Sequential(*mlp([1, time_width, time_width]), nn.SiLU())
        self.trunk = mlp([2 * num_frequencies + time_width + condition, *[width] * depth, dim], activation, layer_norm)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """The first layer is applied to features and time apart: of features, four in five inputs, no gradient is wanted."""
        first, *rest = self.trunk
        assert isinstance(first, nn.Linear)
        waves = self.features(x)
        of_waves, of_time = first.weight.split([waves.shape[1], first.in_features - waves.shape[1]], dim=1)
        h = F.linear(waves, of_waves) + F.linear(torch.cat(given(self.time(t[:, None]), condition), dim=1), of_time, first.bias)
        for layer in rest:
            h = layer(h)
        return h


class NoiseAwareField(FieldNetwork):
    """Noise-aware features of m = x/t, through layers modulated (FiLM) by `knots` hat functions of ln τ."""

    def __init__(
        self,
        dim: int,
        condition: int,
        features: NoiseAwareFourierFeatures | NoiseAwareFeatureGrids,
        hidden: list[int],
        activation: Activation,
        knots: int,
        knot_range: tuple[float, float] = KNOT_RANGE,
    ) -> None:
        super().__init__()
        self.features = features
        self.noise_level = HatFunctions(knots, *map(math.log, knot_range))
        self.trunk = ModulatedMLP([features.width + dim + knots + condition, *hidden, dim], knots + condition, activation)

    def initialise(self, x: Tensor) -> None:
        if isinstance(self.features, NoiseAwareFeatureGrids):
            self.features.cover(x)

    def forward(self, x: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is None and t.stride() == (0,):  # one time for all, as a solver's: what depends on it alone is found once
            t = t[:1]
        t = t.clamp(1e-6, 1 - 1e-6)
        tau = (1 - t) / t
        features = self.features(x / t[:, None], tau)
        level = torch.cat(given(2 * self.noise_level(tau.log()), condition), dim=1)
        unit = x / (t**2 + (1 - t) ** 2).sqrt()[:, None]
        return self.trunk(torch.cat([features, unit, level.expand(len(x), -1)], dim=1), level)


@fields.register("noise_aware")
def noise_aware(
    dim: int,
    condition: int = 0,
    *,
    num_frequencies: Width = 256,
    frequency_scale: Scale = 16.0,
    frequency_spread: Spread = "even",
    damping: Damping = 0.5,
    width: Width = 256,
    depth: Depth = 3,
    activation: Activation = "relu",
    time_width: Knots = 16,
) -> NoiseAwareField:
    """Fourier features of x/t, damped as the noise at time t damps them.

    Args:
        num_frequencies, frequency_scale, frequency_spread: as of `random`.
        damping: 1 damps as the noise does, less keeps fine detail a little longer.
        width, depth, activation: of the hidden layers, which are modulated by time.
        time_width: how many hat functions of ln τ.
    """
    waves = random_frequencies(dim, num_frequencies, frequency_scale, frequency_spread)
    return NoiseAwareField(dim, condition, NoiseAwareFourierFeatures(waves, damping), [width] * depth, activation, time_width)


@fields.register("feature_grid")
def feature_grid(
    dim: int,
    condition: int = 0,
    *,
    levels: Annotated[int, Field(ge=1, le=16)] = 8,
    side: Annotated[int, Field(ge=4, le=2048)] = 384,
    channels: Annotated[int, Field(ge=1, le=64)] = 4,
    damping: Damping = 0.5,
    falloff: Falloff = "erf",
    margin: Annotated[float, Field(ge=0, le=100)] = 0.0,
    gain: Annotated[float, Field(ge=0.01, le=100)] = 1.0,
    width: Width = 256,
    depth: Depth = 3,
    activation: Activation = "relu",
    time_width: Knots = 16,
    knot_range: tuple[NoiseLevel, NoiseLevel] = KNOT_RANGE,
) -> NoiseAwareField:
    """Learnt values on grids in the plane, read at x/t and damped as the noise at time t damps them.

    Args:
        levels, side, channels: how many grids, from 4 cells a side to `side` of the finest, and the values at each node.
        damping: 1 damps as the noise does, less keeps fine detail a little longer.
        falloff: `erf` of the cells' side over that of the noise, or `wave`, which falls faster where the noise is larger.
        margin: how many of its cells each grid reaches beyond the data.
        gain: how many times as fast as the other weights the values are learnt.
        width, depth, activation: of the hidden layers, which are modulated by time.
        time_width, knot_range: how many hat functions of ln τ, and from which τ to which they lie; beyond, all τ are one.

    Raises:
        UserError: data that are no points of the plane; a range whose end is not above its beginning.
    """
    if dim != 2:
        raise UserError("model/field=feature_grid is for points of the plane", hint="model/field=noise_aware")
    _draw_unused(dim)
    grids = NoiseAwareFeatureGrids(levels, side, channels, damping, gain, falloff, margin)
    knots = increasing("knot_range", knot_range)
    return NoiseAwareField(dim, condition, grids, [width] * depth, activation, time_width, knots)


def _draw_unused(dim: int) -> None:
    """Draw the default frequencies, and leave them: so a seed gives these fields the weights that it has always given them."""
    random_frequencies(dim, 256, 1.0, "even")
