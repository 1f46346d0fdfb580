"""Networks that map a point x, (n, dim), and a time t in [0, 1], (n,), to a vector, (n, dim)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.nn.feature_grids import NoiseAwareFeatureGrids
from genexp.nn.fourier import FourierFeatures, HatFunctions, NoiseAwareFourierFeatures
from genexp.nn.mlp import Activation, ModulatedMLP, mlp

KNOT_RANGE = 1e-3, 3.0  # of τ: where the hat functions of the noise level have their knots


class PlainField(nn.Module):
    """An MLP on (x, t)."""

    def __init__(self, dim: int, hidden: list[int], activation: Activation, layer_norm: bool) -> None:
        super().__init__()
        self.trunk = mlp([dim + 1, *hidden, dim], activation, layer_norm)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.trunk(torch.cat([x, t[:, None]], dim=1))


class RandomFourierField(nn.Module):
    """Fourier features of x beside an embedding of t, through one trunk."""

    def __init__(self, waves: Tensor, hidden: list[int], activation: Activation, layer_norm: bool, time_width: int) -> None:
        super().__init__()
        dim, num = waves.shape
        self.features = FourierFeatures(waves)
        self.time = nn.Sequential(*mlp([1, time_width, time_width]), nn.SiLU())
        self.trunk = mlp([2 * num + time_width, *hidden, dim], activation, layer_norm)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """The first layer is applied to waves and time apart: of the waves, four in five of its inputs, no gradient is wanted."""
        first, *rest = self.trunk
        assert isinstance(first, nn.Linear)
        waves = self.features(x)
        of_waves, of_time = first.weight.split([waves.shape[1], first.in_features - waves.shape[1]], dim=1)
        h = F.linear(waves, of_waves) + F.linear(self.time(t[:, None]), of_time, first.bias)
        for layer in rest:
            h = layer(h)
        return h


class NoiseAwareField(nn.Module):
    """Noise-aware features of m = x/t, through layers modulated by hat functions of ln τ."""

    def __init__(
        self,
        features: NoiseAwareFourierFeatures | NoiseAwareFeatureGrids,
        dim: int,
        hidden: list[int],
        activation: Activation,
        knots: int,
    ) -> None:
        super().__init__()
        self.features = features
        self.noise_level = HatFunctions(knots, *map(math.log, KNOT_RANGE))
        self.trunk = ModulatedMLP([features.width + dim + knots, *hidden, dim], knots, activation)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = t.clamp(1e-6, 1 - 1e-6)
        tau = (1 - t) / t
        features = self.features(x / t[:, None], tau)
        level = 2 * self.noise_level(tau.log())
        unit = x / (t**2 + (1 - t) ** 2).sqrt()[:, None]
        return self.trunk(torch.cat([features, unit, level], dim=1), level)
