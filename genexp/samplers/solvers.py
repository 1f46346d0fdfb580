"""Solvers of dx/dt = v(x, t): free functions of any velocity, and the parts by which a model names them.

    x = fixed_steps(velocity, x, times, HEUN)[-1]

Source: Hairer, Nørsett & Wanner, Solving Ordinary Differential Equations I (1993), II.1 and II.5.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.registry import Part
from genexp.samplers.ode import Solver, TimeGrid, Velocity, solvers, time_grids

Evaluations = Annotated[int, Field(ge=1, le=1000)]
Tolerance = Annotated[float, Field(ge=1e-5, le=1.0)]
ROUNDING = 5e-7  # a tolerance below would be of float32's own errors
Slope = Callable[[Tensor, Tensor], Tensor]  # v(t, x) of all points at one time t, ()


@dataclass(frozen=True)
class Method:
    """A Runge–Kutta method: `step(slope, t, after, x)` goes from t to the time after by so many `evaluations` of the slope; the
    error of many steps h over a fixed time falls as h^order.
    """

    order: int
    evaluations: int
    step: Callable[[Slope, Tensor, Tensor, Tensor], Tensor]


def _euler(slope: Slope, t: Tensor, after: Tensor, x: Tensor) -> Tensor:
    return x + (after - t) * slope(t, x)


def _midpoint(slope: Slope, t: Tensor, after: Tensor, x: Tensor) -> Tensor:
    h = after - t
    return x + h * slope(t + h / 2, x + h / 2 * slope(t, x))


def _heun(slope: Slope, t: Tensor, after: Tensor, x: Tensor) -> Tensor:
    h = after - t
    k_1 = slope(t, x)
    k_2 = slope(t + h, x + h * k_1)
    return x + h * (k_1 / 2 + k_2 / 2)


def _rk4(slope: Slope, t: Tensor, after: Tensor, x: Tensor) -> Tensor:
    """Kutta's 3/8 rule: of order four too, with a smaller error than the better known one."""
    h, third = after - t, 1 / 3
    k_1 = slope(t, x)
    k_2 = slope(t + h * third, x + h * k_1 * third)
    k_3 = slope(t + h * (2 / 3), x + h * (k_2 - k_1 * third))
    k_4 = slope(after, x + h * (k_1 - k_2 + k_3))
    return x + (k_1 + 3 * (k_2 + k_3) + k_4) * h / 8


EULER, MIDPOINT, HEUN, RK4 = Method(1, 1, _euler), Method(2, 2, _midpoint), Method(2, 2, _heun), Method(4, 4, _rk4)


def fixed_steps(velocity: Velocity, x: Tensor, times: Tensor, method: Method, last: Method | None = None) -> Tensor:
    """Where points x, (n, dim), at the first of the `times` are at each of them, (k, n, dim): one step of the method from each
    to the next, the last one by the method `last`.
    """
    slope = _slope(velocity)
    path = [x]
    for i, (t, after) in enumerate(pairwise(times), 2):
        now = last if last is not None and i == len(times) else method
        path.append(now.step(slope, t, after, path[-1]))
    return torch.stack(path)


def dopri5(velocity: Velocity, x: Tensor, times: Tensor, tolerance: float) -> Tensor:
    """The same by adaptive steps whose estimated error stays below tolerance · (|x| + 1/10).

    Source: Dormand & Prince, A Family of Embedded Runge–Kutta Formulae (1980).
    """
    from torchdiffeq import odeint  # not before: it brings scipy.integrate

    return odeint(_slope(velocity), x, times, method="dopri5", rtol=tolerance, atol=tolerance / 10)


def _slope(velocity: Velocity) -> Slope:
    return lambda t, x: velocity(x, t.expand(len(x)))


class FixedSteps(Solver):
    """A method with about as many steps as `evaluations` of v allow, at the times of a grid."""

    def __init__(self, method: Method, evaluations: int, time_grid: TimeGrid) -> None:
        self.method, self.order, self.grid = method, method.order, time_grid
        self.steps = max(1, -(-evaluations // method.evaluations))

    def times(self, device: torch.device) -> Tensor:
        return self.grid.times(self.steps, device).float()

    def solve(self, velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
        last = EULER if self.grid.ends_denoised and len(times) > 2 else None
        return fixed_steps(velocity, x, times, self.method, last)

    def solve_closely(self, velocity: Velocity, x: Tensor, times: Tensor, refinement: float) -> Tensor:
        """By steps of RK4, whatever the method."""
        return fixed_steps(velocity, x, times, RK4)


GRID = time_grids.part("log_noise")


@solvers.register("euler")
def euler_solver(*, evaluations: Evaluations = 40, time_grid: Part[TimeGrid] = GRID) -> FixedSteps:
    """x ← x + h v(x, t): of order one.

    Args:
        evaluations: of v.
        time_grid: where the steps are.
    """
    return FixedSteps(EULER, evaluations, time_grid())


@solvers.register("midpoint")
def midpoint_solver(*, evaluations: Evaluations = 40, time_grid: Part[TimeGrid] = GRID) -> FixedSteps:
    """x ← x + h v(x + h/2 v(x, t), t + h/2): of order two.

    Args:
        evaluations: of v.
        time_grid: where the steps are.
    """
    return FixedSteps(MIDPOINT, evaluations, time_grid())


@solvers.register("heun")
def heun_solver(*, evaluations: Evaluations = 40, time_grid: Part[TimeGrid] = GRID) -> FixedSteps:
    """x ← x + h/2 (v(x, t) + v(x + h v(x, t), t + h)): of order two.

    Args:
        evaluations: of v.
        time_grid: where the steps are.
    """
    return FixedSteps(HEUN, evaluations, time_grid())


@solvers.register("rk4")
def rk4_solver(*, evaluations: Evaluations = 40, time_grid: Part[TimeGrid] = GRID) -> FixedSteps:
    """A Runge–Kutta method of order four, Kutta's 3/8 rule.

    Args:
        evaluations: of v.
        time_grid: where the steps are.
    """
    return FixedSteps(RK4, evaluations, time_grid())


@solvers.register("dopri5")
class Dopri5(Solver):
    """Adaptive steps of order five.

    Args:
        tolerance: error of one step relative to x; a tenth of it, where x is small. A likelihood is taken ten times as closely.
    """

    order = 5

    def __init__(self, *, tolerance: Tolerance = 1e-4) -> None:
        self.tolerance = tolerance

    def times(self, device: torch.device) -> Tensor:
        return torch.tensor([0.0, 1.0], device=device)

    def solve(self, velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
        return dopri5(velocity, x, times, self.tolerance)

    def solve_closely(self, velocity: Velocity, x: Tensor, times: Tensor, refinement: float) -> Tensor:
        return dopri5(velocity, x, times[[0, -1]], max(self.tolerance / 10 / refinement, ROUNDING))
