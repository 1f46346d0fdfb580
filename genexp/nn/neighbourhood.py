"""What each pixel of a picture may be told of those before it, row by row from above, and one network that all pixels share.

A number of a picture is a channel of a pixel; its order is row, column, channel. Of the numbers before it, it is told

    those of a window: `radius` rows above, and its own row to the left,
    the earlier channels of its own pixel,
    means over blocks of `block` × `block` pixels of the rows above, out to six blocks up and five to each side: far, but blurred.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UP, ASIDE = 6, 5  # blocks


@dataclass(frozen=True)
class Places:
    """Which numbers of which pictures: indices (m,) each."""

    picture: Tensor
    row: Tensor
    column: Tensor
    channel: Tensor


class Neighbourhood(nn.Module):
    """features (n, channels · height · width, f) in order → what each place is told, (m, size).

    What lies outside of the picture is zero, as is what a place must not see. `window`, `far`: how much further on than its first
    pixel, and its first block, the others of a place are.
    """

    window: Tensor
    far: Tensor

    def __init__(self, shape: tuple[int, int, int], features: int, radius: int, block: int) -> None:
        super().__init__()
        self.shape, self.features, self.radius, self.block = shape, features, radius, block
        self.channels, self.height, self.width = shape
        self.depth = self.channels * features  # of one pixel
        up, across = torch.arange(radius), torch.arange(2 * radius + 1)
        columns = self.width + 2 * radius  # of a padded picture
        above = columns * up[:, None] + across
        self.register_buffer("window", torch.cat([above.flatten(), columns * radius + up]), False)
        up, across = block * torch.arange(UP), block * torch.arange(2 * ASIDE + 1)
        columns = self.width + 2 * ASIDE * block  # of a summary
        self.register_buffer("far", (columns * up[:, None] + across).flatten(), False)
        self.size = 2 * radius * (radius + 1) * self.depth + (self.channels - 1) * features + self.blocks

    @property
    def blocks(self) -> int:
        return UP * (2 * ASIDE + 1) if self.block else 0

    def padded(self, features: Tensor) -> Tensor:
        """(n, dim, f) → (n, radius + height, radius + width + radius, depth), zero outside."""
        pixels = features.reshape(len(features), self.height, self.width, self.depth)
        return F.pad(pixels, (0, 0, self.radius, self.radius, self.radius, 0))

    def summary(self, features: Tensor) -> Tensor | None:
        """Means of the first feature over blocks, (n, rows, columns): the block whose lowest row is the one above a place, and in
        whose middle its column is, b · (UP − 1) rows and b · ASIDE columns further on. None without blocks.
        """
        if not self.block:
            return None
        b, aside = self.block, ASIDE * self.block
        grey = features.reshape(len(features), self.height, self.width, self.channels, -1)[..., 0].mean(-1)
        grey = F.pad(grey, (aside + b // 2, aside + b - b // 2 - 1, UP * b, -1))
        for axis in (1, 2):
            length = grey.shape[axis] - b + 1
            grey = torch.stack([grey.narrow(axis, first, length) for first in range(b)]).sum(0)
        return grey / b**2

    def at(self, features: Tensor, places: Places) -> Tensor:
        return self.gather(self.padded(features), self.summary(features), places)

    def gather(self, padded: Tensor, summary: Tensor | None, places: Places) -> Tensor:
        """The same of what `padded` and `summary` gave."""
        rows, columns = padded.shape[1:3]
        first = (places.picture * rows + places.row) * columns + places.column
        found = [_taken(padded.flatten(0, 2), first, self.window)]
        if self.channels > 1:
            own = padded.flatten(0, 2)[first + self.radius * (columns + 1), : -self.features]
            before = torch.arange(self.channels - 1, device=first.device) < places.channel[:, None]
            found.append(own * before.repeat_interleave(self.features, 1))
        if summary is not None:
            rows, columns = summary.shape[1:]
            first = (places.picture * rows + places.row) * columns + places.column
            found.append(_taken(summary.flatten()[:, None], first, self.far))
        return torch.cat(found, 1)


def _taken(rows: Tensor, first: Tensor, further: Tensor) -> Tensor:
    """Rows (k, depth) at first (m,) + further (w,), side by side: (m, w · depth)."""
    return rows.index_select(0, (first[:, None] + further).flatten()).view(len(first), -1)


class SharedNetwork(nn.Module):
    """What a place is told (m, size), and where it is → (m, outputs): h ← h + W σ(V norm h), the same for all places."""

    def __init__(self, size: int, places: int, channels: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(size, width)
        self.place = nn.Parameter(torch.zeros(places, width))
        self.channel = nn.Parameter(torch.zeros(channels, width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(depth)
        )
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, outputs)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, told: Tensor, place: Tensor, channel: Tensor) -> Tensor:
        h = self.first(told) + self.place[place] + self.channel[channel]
        for block in self.blocks:
            h = h + block(h)
        return self.last(F.silu(self.norm(h)))
