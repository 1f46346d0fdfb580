"""What varies in made-up data, where all of it is known: factors, each of so many values."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Factors:
    """Names, and how many values each has; an index counts all combinations, the last factor fastest."""

    names: tuple[str, ...]
    levels: tuple[int, ...]

    @property
    def combinations(self) -> int:
        return math.prod(self.levels)

    def of(self, index: Tensor) -> Tensor:
        """The values of combinations (n,) by number: (n, factors)."""
        found = []
        for levels in reversed(self.levels):
            index, value = index // levels, index % levels
            found.append(value)
        return torch.stack(found[::-1], dim=1)
