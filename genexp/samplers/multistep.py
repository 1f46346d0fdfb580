"""A solver that remembers: of order two at one evaluation of the velocity a step."""

import torch
from torch import Tensor

from genexp.registry import Part
from genexp.samplers.ode import Solver, TimeGrid, Velocity, solvers
from genexp.samplers.solvers import GRID, RK4, Evaluations, fixed_steps


@solvers.register("multistep")
class Multistep(Solver):
    """Along straight paths a velocity points at D = x + (1−t) v(x, t), the denoised point E[y|x_t], and towards a fixed D the way
    is straight. A step from t to s, after one from r to t, allows for the change of D in the logarithm of the noise level
    τ = (1−t)/t,

        D̂ = D + ½ (D − D_r) ln(τ_t/τ_s) / ln(τ_r/τ_t)
        x ← x + (s−t) (D̂ − x) / (1−t)

    which is Euler's step with D in the place of D̂; so are the first two steps from t = 0, and the last to 1.

    Args:
        evaluations: of v, one a step.
        time_grid: where the steps are.

    Source: Lu et al., DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models (2022), its 2M, on these
    paths.
    """

    order = 2

    def __init__(self, *, evaluations: Evaluations = 24, time_grid: Part[TimeGrid] = GRID) -> None:
        self.steps, self.grid = evaluations, time_grid()

    def times(self, device: torch.device) -> Tensor:
        return self.grid.times(self.steps, device).float()

    def solve(self, velocity: Velocity, x: Tensor, times: Tensor) -> Tensor:
        path, before = [x], None
        log_tau = -torch.logit(times.double()).to(x.dtype)  # infinite at the ends
        for i in range(len(times) - 1):
            t, after, x = times[i], times[i + 1], path[-1]
            v = velocity(x, t.expand(len(x)))
            denoised = x + (1 - t) * v
            step = (after - t) * v
            if before is not None and bool(log_tau[i - 1 : i + 2].isfinite().all()):
                change = (denoised - before) * ((log_tau[i] - log_tau[i + 1]) / (log_tau[i - 1] - log_tau[i])) / 2
                step = step + (after - t) / (1 - t) * change
            before = denoised
            path.append(x + step)
        return torch.stack(path)

    def solve_closely(self, velocity: Velocity, x: Tensor, times: Tensor, refinement: float) -> Tensor:
        """By steps of RK4."""
        return fixed_steps(velocity, x, times, RK4)
