"""Learnt values on grids from coarse to fine: detail of the plane is looked up where it lies."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COARSEST = 4  # cells a side


class NoiseAwareFeatureGrids(nn.Module):
    """Square grids of learnt values over [−reach, reach]², read bilinearly between their nodes at a point m that is seen
    through Gaussian noise of standard deviation τ. What is read from cells of side h is weighted by

        erf(h / (√8 · damping · τ))

    so that cells much smaller than the noise, whose values would average out, are silent. The gradient of a point reaches
    only the four nodes of each grid around it: detail is learnt where it is, not as a sum of features that all of
    the plane shares.

    Args:
        levels: how many grids, their cells a side growing geometrically from 4 to `side` (one level: `side` alone).
        channels: values at each node.
        damping: 1 as in the source; less keeps small cells a little longer.
        gain: a value is `gain` times its weight, so that a step of Adam moves it that much farther.

    Shapes: (n, 2), (n,) → (n, levels · channels). Beyond the square, the value at its edge.
    Source: Müller et al., Instant Neural Graphics Primitives (2022), without the hashing; the weight is that of Barron et
    al., Zip-NeRF (2023).
    """

    reach: Tensor
    cells: Tensor

    def __init__(self, levels: int, side: int, channels: int, damping: float, gain: float = 1.0) -> None:
        super().__init__()
        growth = (side / COARSEST) ** (1 / max(levels - 1, 1))
        sides = [round(side / growth**finer) for finer in reversed(range(levels))]
        self.values = nn.ParameterList(0.1 / gain * torch.randn(1, channels, n + 1, n + 1) for n in sides)
        self.damping, self.gain = damping, gain
        self.width = levels * channels
        self.register_buffer("reach", torch.tensor(1.0))
        self.register_buffer("cells", torch.tensor(sides, dtype=torch.float32))

    @torch.no_grad()
    def cover(self, points: Tensor) -> None:
        """Let the grids reach a little beyond `points`, (n, 2)."""
        self.reach.copy_(1.05 * points.abs().max())

    def forward(self, m: Tensor, tau: Tensor) -> Tensor:
        where = (m / self.reach)[None, None]
        read = torch.cat([F.grid_sample(values, where, padding_mode="border", align_corners=True) for values in self.values])
        weight = self.gain * torch.erf(2 * self.reach / self.cells / (math.sqrt(8) * self.damping * tau[:, None]))
        return (read[:, :, 0].permute(2, 0, 1) * weight[:, :, None]).flatten(1)
