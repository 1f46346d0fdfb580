"""Learnt values on grids from coarse to fine: detail of the plane is looked up where it lies."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

COARSEST = 4  # cells a side
Falloff = Literal["erf", "wave"]


class NoiseAwareFeatureGrids(nn.Module):
    """Square grids of learnt values over [−reach, reach]², read bilinearly between their nodes at a point m that is seen
    through Gaussian noise of standard deviation τ. What is read from cells of side h is weighted by

        erf(h / (√8 · damping · τ))

    so that cells much smaller than the noise, whose values would average out, are silent; or, with `falloff="wave"`, by

        exp(−(damping · τ / h)²)

    as the noise damps a wave over π√2 of the cells. The first is linear in h/τ where it is small, and so the slope of what is
    read does not fall with h at all: errors in the finest values, each too small to move a point, add to the divergence of
    a field at noise of any size. The second is silent there.

    The gradient of a point reaches only the four nodes of each grid around it: detail is learnt where it is, not as a sum of
    features that all of the plane shares.

    Args:
        levels: how many grids, their cells a side growing geometrically from 4 to `side` (one level: `side` alone).
        channels: values at each node.
        damping: 1 as in the source; less keeps small cells a little longer.
        gain: a value is `gain` times its weight, so that a step of Adam moves it that much farther.
        falloff: `erf` or `wave`, as above.
        margin: how many of its cells each grid reaches beyond the square, and so the farther the coarser it is: to where noise
            carries points that it is not too large for.

    Shapes: (n, 2), (n,) → (n, levels · channels). Beyond a grid, the value at its edge.
    Source: Müller et al., Instant Neural Graphics Primitives (2022), without the hashing; the weight is that of Barron et
    al., Zip-NeRF (2023).
    """

    reach: Tensor
    cells: Tensor
    beyond: Tensor

    def __init__(
        self,
        levels: int,
        side: int,
        channels: int,
        damping: float,
        gain: float = 1.0,
        falloff: Falloff = "erf",
        margin: float = 0.0,
    ) -> None:
        super().__init__()
        growth = (side / COARSEST) ** (1 / max(levels - 1, 1))
        sides = [round(side / growth**finer) for finer in reversed(range(levels))]
        self.values = nn.ParameterList(0.1 / gain * torch.randn(1, channels, n + 1, n + 1) for n in sides)
        self.damping, self.gain, self.falloff = damping, gain, falloff
        self.width = levels * channels
        self.register_buffer("reach", torch.tensor(1.0))
        self.register_buffer("cells", torch.tensor(sides, dtype=torch.float32))
        self.register_buffer("beyond", 1 + 2 * margin / self.cells, persistent=False)

    @torch.no_grad()
    def cover(self, points: Tensor) -> None:
        """Let the grids reach a little beyond `points`, (n, 2)."""
        self.reach.copy_(1.05 * points.abs().max())

    def forward(self, m: Tensor, tau: Tensor) -> Tensor:
        where = m / (self.reach * self.beyond)[:, None, None]  # (levels, n, 2)
        read = torch.cat(
            [
                F.grid_sample(values, here[None, None], padding_mode="border", align_corners=True)
                for values, here in zip(self.values, where, strict=True)
            ]
        )
        return (read.squeeze(2).permute(2, 0, 1) * (self.gain * self.weight(tau))[:, :, None]).flatten(1)

    def weight(self, tau: Tensor) -> Tensor:
        """What is left of each grid at noise τ, (n,) → (n, levels), from 1 to 0."""
        noise = self.damping * tau[:, None] * self.cells / (2 * self.reach * self.beyond)  # in cells
        return torch.exp(-noise.square()) if self.falloff == "wave" else torch.erf(1 / (math.sqrt(8) * noise))
