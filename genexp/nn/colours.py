"""The colours of one pixel, one after another."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Colours(nn.Module):
    """seen (n, pixels, width), features (n, pixels, count, width) → (n, pixels, count, outputs):

        output_c = W_c ReLU(seen + Σ_{b<c} V_b features_b) + w_c,

    what is seen of other pixels, and the colours b of the same one that come before c.
    """

    def __init__(self, count: int, width: int, outputs: int) -> None:
        super().__init__()
        self.count = count
        self.before = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(count - 1))
        self.last = nn.ModuleList(nn.Linear(width, outputs) for _ in range(count))

    def forward(self, seen: Tensor, features: Tensor) -> Tensor:
        found = []
        for c, last in enumerate(self.last):
            found.append(last(F.relu(seen)))
            seen = seen + self.before[c](features[..., c, :]) if c < self.count - 1 else seen
        return torch.stack(found, dim=-2)

    def one_by_one(
        self, features: Callable[[Tensor], Tensor], pixel: Callable[[Tensor | None, int], Tensor]
    ) -> Callable[[Tensor, int], Tensor]:
        """The same for one number after another, x (n, dim) of which i are known → (n, outputs).

        `features`: of numbers that are whole pixels, (n, count) → (n, count, width); `pixel`: what is seen of others, told the
        sum of the features of the pixel before (none before the first) and which pixel it is.
        """
        seen: list[Tensor] = []

        def step(x: Tensor, i: int) -> Tensor:
            at, c = divmod(i, self.count)
            first = at * self.count
            if c == 0:
                before = features(x[:, first - self.count : first]).sum(1) if at else None
                seen[:] = [pixel(before, at)]
            else:
                own = features(x[:, first : first + self.count])[:, c - 1]  # those not drawn yet are not looked at
                seen[0] = seen[0] + self.before[c - 1](own)
            return self.last[c](F.relu(seen[0]))

        return step
