"""A continuous bijection: points are moved by a velocity, and the volume around them changes as its divergence says.

Sources: Chen et al., Neural Ordinary Differential Equations (2018); Grathwohl et al., FFJORD (2019); Finlay et al., How to Train
Your Neural ODE (2020).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Bijection, bijections
from genexp.machine.device import all_digits
from genexp.nn.motion import ClosedField, DeepField, Motion, SmoothActivation, WideField
from genexp.settings import Width

EXACT = 4  # dimensions up to which a deep field is differentiated along every one of them
AT_TEST = 2  # times as many steps as in training
STAGES = 4  # of the way, in a picture

Change = Callable[[Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]  # of a state with time
OdeSolver = Literal["rk4", "dopri5"]
Steps = Annotated[int, Field(ge=1, le=100)]
Layers = Annotated[int, Field(ge=1, le=16)]
TimeWidth = Annotated[int, Field(ge=1, le=256)]


@dataclass(frozen=True)
class Path:
    """Where points end, (n, dim); ln |det ∂end/∂start|, (n,); and, each (n,), the integrals over time of what may be held small:
    |v|² / dim and ‖∂v/∂x‖² / dim.
    """

    end: Tensor
    log_det: Tensor
    kinetic: Tensor
    jacobian: Tensor


class Ode(Bijection):
    """x(1) → z = x(0), where dx/dt = v(x, t):  ln |det ∂z/∂x| = −∫₀¹ div v(x(t), t) dt.

    Training goes backwards through the steps of the solver. Outside of training there are twice as many, so that nothing is
    gained by what a coarse solver gets wrong.

    Args:
        dim: number of features.
        field: the velocity. A `DeepField` is differentiated along each dimension, if these are four at most, and else along one
            direction ε of ±1 at random for each point and way, εᵀ(∂v/∂x)ε: an unbiased estimate. Others know their divergence.
        solver: `rk4` in equal steps, or `dopri5`, which chooses them.
        steps: of rk4, in training.
        error: of the way back, or of ln |det|, at the weights that laws try.
    """

    smooth = True

    def __init__(self, dim: int, field: ClosedField | DeepField, solver: OdeSolver, steps: int, error: float = 1e-4) -> None:
        super().__init__()
        self.error = error
        self.dim, self.solver, self.steps = dim, solver, steps
        self.exact = not isinstance(field, DeepField) or dim <= EXACT
        self.field = field

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        path = self.follow(x, 1.0, 0.0)
        return path.end, path.log_det

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        path = self.follow(z, 0.0, 1.0)
        return path.end, path.log_det

    def stages(self, z: Tensor) -> list[Tensor]:
        path, times = [z], torch.linspace(0, 1, STAGES + 1).tolist()
        for start, stop in pairwise(times):
            path.append(self.follow(path[-1], start, stop).end)
        return path[1:]

    def follow(self, x: Tensor, start: float, stop: float, squares: bool = False) -> Path:
        """Points x (n, dim) from one time to another; `squares`: with the integral of ‖∂v/∂x‖²."""
        with all_digits(x.device):
            directions = self.directions(x) if isinstance(self.field, DeepField) else None
            zero = torch.zeros_like(x[:, 0])

            def change(t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
                motion = self.motion(state[0], t, directions, squares)
                energy = motion.velocity.square().mean(1)
                bending = zero if motion.squared_jacobian is None else motion.squared_jacobian / self.dim
                return motion.velocity, motion.divergence, energy, bending

            steps = max(1, round(self.steps * abs(stop - start))) * (1 if self.training else AT_TEST)
            times = torch.linspace(start, stop, steps + 1, dtype=x.dtype, device=x.device)
            state: tuple[Tensor, ...] = (x, zero, zero, zero)
            if self.solver == "dopri5":
                from torchdiffeq import odeint  # not before: it brings scipy.integrate

                ends = odeint(change, state, times[[0, -1]], method="dopri5", rtol=1e-5, atol=1e-6)
                end, log_det, kinetic, jacobian = (values[-1] for values in ends)
            else:
                for t, after in pairwise(times):
                    state = rk4(change, t, after - t, state)
                end, log_det, kinetic, jacobian = state
            return Path(end, log_det, kinetic.abs(), jacobian.abs())

    def motion(self, x: Tensor, t: Tensor, directions: Tensor | None, squares: bool) -> Motion:
        if isinstance(self.field, DeepField):
            assert directions is not None
            return self.field(x, t, directions)
        found: Motion = self.field(x, t, squares)
        return found

    def directions(self, x: Tensor) -> Tensor:
        """Every unit vector, (dim, 1, dim), or one vector of ±1 for each point, (1, n, dim)."""
        if self.exact:
            return torch.eye(self.dim, dtype=x.dtype, device=x.device)[:, None]
        return torch.randint_like(x, 2)[None] * 2 - 1


def rk4(change: Change, t: Tensor, h: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The classical Runge–Kutta step of order four. Only the first part of the state changes what changes."""

    def moved(by: Tensor, slopes: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (state[0] + by * slopes[0], *state[1:])

    k_1 = change(t, state)
    k_2 = change(t + h / 2, moved(h / 2, k_1))
    k_3 = change(t + h / 2, moved(h / 2, k_2))
    k_4 = change(t + h, moved(h, k_3))
    return tuple(
        value + h / 6 * (one + 2 * (two + three) + four)
        for value, one, two, three, four in zip(state, k_1, k_2, k_3, k_4, strict=True)
    )


@bijections.register("continuous")
def continuous(
    dim: int,
    layer: int,
    *,
    width: Width = 256,
    hidden_layers: Layers = 1,
    activation: SmoothActivation = "tanh",
    time_width: TimeWidth = 4,
    solver: OdeSolver = "rk4",
    steps: Steps = 8,
) -> Ode:
    """An ODE whose velocity is a network. With one hidden layer its divergence has a closed form.

    Args:
        width, hidden_layers, activation: of the velocity's network.
        time_width: number of cosines of time by which its units are changed.
        solver: `rk4` in equal steps, or `dopri5`, which chooses them.
        steps: of rk4, in training.
    """
    sizes = [dim, *[width] * hidden_layers, dim]
    wide = hidden_layers == 1
    field = WideField(dim, width, time_width, activation) if wide else DeepField(sizes, time_width, activation)
    return Ode(dim, field, solver, steps)
