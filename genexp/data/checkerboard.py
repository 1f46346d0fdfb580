"""`dataset=checkerboard`: the uniform density over the black squares of a chessboard."""

import math
from functools import cached_property
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.data.known import Axis, KnownDensity, KnownPoints, Length, panels, within
from genexp.registry import datasets

RIM = 1e-5  # of a square's side, left free: rounded to float32, a sample is still in its own square


class BlackSquares(KnownDensity):
    """p(x) = 1/A on the black squares, of area A, of a board of `cells` × `cells` squares over [−reach, reach]²; the lower left
    one is black.
    """

    smooth = False

    def __init__(self, cells: int, reach: float) -> None:
        self.cells, self.reach = cells, reach
        self.side = 2 * reach / cells
        index = torch.arange(cells)
        self.black = ((index[:, None] + index) % 2 == 0).nonzero()  # (black squares, 2): column, row

    def log_prob(self, x: Tensor) -> Tensor:
        index = ((x + self.reach) / self.side).floor()
        black = ((index >= 0) & (index < self.cells)).all(1) & (index.sum(1) % 2 == 0)
        return torch.where(black, x.new_tensor(-self.entropy), -math.inf)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        which = torch.randint(len(self.black), (n,), generator=generator, device=self.device)
        inside = RIM + (1 - 2 * RIM) * torch.rand(n, 2, generator=generator, device=self.device)
        return (self.black[which] + inside) * self.side - self.reach

    def box(self, sigmas: float = 9.0) -> tuple[Tensor, Tensor]:
        """With half a board of room on every side at 9 sigmas."""
        corner = torch.full((2,), self.reach * (1 + sigmas / 9), device=self.device)
        return -corner, corner

    def axis(self, index: int, count: int, low: float, high: float) -> Axis:
        """In pieces, which end where the squares do."""
        lines = [self.side * number - self.reach for number in range(self.cells + 1)]
        return panels(within(low, lines, high), count)

    @cached_property
    def entropy(self) -> float:
        """ln A."""
        return math.log(len(self.black) * self.side**2)


@datasets.register("checkerboard")
class Checkerboard(KnownPoints):
    """p(x) = 1/A on the black squares of a board, of entropy ln A: ln 32 by default.

    Args:
        data_dir: not used.
        cells: squares along a side of the board.
        reach: the board is [−reach, reach]².

    Source: the toy densities of Grathwohl et al., FFJORD, https://arxiv.org/abs/1810.01367
    """

    def __init__(self, data_dir: Path, *, cells: Annotated[int, Field(ge=2, le=32)] = 4, reach: Length = 4.0) -> None:
        super().__init__(BlackSquares(cells, reach), f"a board of {cells}×{cells} squares")
