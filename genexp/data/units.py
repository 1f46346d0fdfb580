"""The user's own units: how the numbers of a table were brought to mean 0 and standard deviation 1, and back."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Units:
    """x = (y − shift)/scale of each column: y in its own units, x as a model sees it."""

    columns: tuple[str, ...]
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def log_scale(self) -> float:
        """ln |det ∂y/∂x| in nats: −ln p(y) = −ln p(x) + log_scale."""
        return math.fsum(map(math.log, self.scale))

    def own(self, x: Tensor) -> Tensor:
        """x (n, dim) in the columns' own units, float64."""
        scale, shift = (torch.tensor(values, dtype=torch.float64, device=x.device) for values in (self.scale, self.shift))
        return x.double() * scale + shift

    def seen(self, y: Tensor) -> Tensor:
        """y (n, dim) as a model sees it, float32."""
        scale, shift = (torch.tensor(values, dtype=torch.float64, device=y.device) for values in (self.scale, self.shift))
        return ((y.double() - shift) / scale).float()

    def record(self) -> dict[str, Any]:
        """For run.json, under `data.units`."""
        return asdict(self)


def units_of(record: Any, dim: int) -> Units | None:
    """Those of a run.json that has `data.units` of so many columns; None of any other."""
    if not isinstance(record, Mapping):
        return None
    columns, shift, scale = (record.get(key) for key in ("columns", "shift", "scale"))
    lists = [each for each in (columns, shift, scale) if isinstance(each, list) and len(each) == dim]
    if len(lists) < 3 or not all(type(value) is float and math.isfinite(value) for value in (*lists[1], *lists[2])):
        return None
    return Units(*map(tuple, lists)) if min(lists[2]) > 0 else None
