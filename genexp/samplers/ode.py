"""The kinds of parts that a sampler along an ordinary differential equation is put together from."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from genexp.registry import Registry

Velocity = Callable[[Tensor, Tensor], Tensor]  # v(x, t), (n, dim), of points (n, dim) at times (n,)


class TimeGrid:
    """Where a solver with fixed steps takes them.

    Told when built: nothing. `ends_denoised`: whether the last step is to be Euler's, so that it ends at x + (1−t) v(x, t), which
    is the denoised point E[y|x_t] itself.
    """

    ends_denoised: ClassVar[bool] = False

    def times(self, steps: int, device: torch.device) -> Tensor:
        """steps + 1 times in float64, rising from 0 to 1."""
        raise NotImplementedError


class Solver:
    """The solution of dx/dt = v(x, t) for any velocity v.

    Told when built: nothing. `order`: p, where the error at a fixed time falls as hᵖ with the step h.
    """

    order: int

    def times(self, device: torch.device) -> Tensor:
        """The times at which it wants to stop on the way from 0 to 1, both among them, (steps + 1,)."""
        raise NotImplementedError

    def solve(self, velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
        """Where points x, (n, dim), at the first of the `times`, (k,), rising or falling, are at each of them: (k, n, dim)."""
        raise NotImplementedError

    def solve_closely(self, velocity: Velocity, x: Tensor, times: Tensor, refinement: float) -> Tensor:
        """The same for a likelihood, which forgives less than a picture of samples does; `refinement` is how many times more
        closely than need be, and what can follow from it by more `times` has done so.
        """
        raise NotImplementedError


time_grids = Registry("time_grid", "genexp.samplers", TimeGrid)
solvers = Registry("solver", "genexp.samplers", Solver)
