"""Pictures turned, stretched and moved a little, anew each time they are seen."""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.data.base import Batch, EpochStream


@dataclass(frozen=True)
class Augmentation:
    """Standard deviations of a random affine map: degrees, share of the size, share of the width; and how many get one."""

    rotate: float
    stretch: float
    shift: float
    share: float

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x (n, channels, side, side) with a random `share` of it warped; the border goes on beyond the edge."""
        n, device = len(x), x.device
        chosen = torch.rand(n, generator=generator, device=device) < self.share
        angle, sx, sy, tx, ty = torch.randn(5, n, generator=generator, device=device)
        angle, sx, sy = angle * math.radians(self.rotate), 1 + self.stretch * sx, 1 + self.stretch * sy
        rows = [angle.cos() * sx, -angle.sin() * sy, 2 * self.shift * tx, angle.sin() * sx, angle.cos() * sy, 2 * self.shift * ty]
        maps = torch.stack(rows, dim=1).view(n, 2, 3)[chosen]
        if not len(maps):
            return x
        grid = F.affine_grid(maps, [len(maps), *x.shape[1:]], align_corners=False)
        warped = x.clone()
        warped[chosen] = F.grid_sample(x[chosen], grid, padding_mode="border", align_corners=False)
        return warped


class AugmentedStream:
    """Another stream's batches, warped."""

    def __init__(self, stream: EpochStream, augmentation: Augmentation, seed: int) -> None:
        self.stream, self.augmentation = stream, augmentation
        self.steps_per_epoch = stream.steps_per_epoch
        self.generator = torch.Generator(stream.x.device).manual_seed(seed)

    def next(self) -> Batch:
        batch = self.stream.next()
        return Batch(self.augmentation(batch.x, self.generator), batch.label)

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stream.load_state_dict(state["stream"])
        self.generator.set_state(state["generator"].cpu())
