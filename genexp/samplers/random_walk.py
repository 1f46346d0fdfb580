"""`model/kernel=random_walk`: Metropolis's random walk.

Source: Metropolis et al., Equation of State Calculations by Fast Computing Machines (1953).
"""

import torch
from torch import Tensor

from genexp.samplers.kernels import (
    Diagnostics,
    LogDensity,
    State,
    Transition,
    kernels,
    local_kernels,
    metropolis,
    usable,
)
from genexp.samplers.step_size import Acceptance, Adapted, StepSize


def random_walk(x: Tensor, state: State, log_density: LogDensity, step_size: float | Tensor) -> Transition:
    """One transition of each chain: y = x + s ξ, ξ ~ N(0, I), is accepted with probability min(1, p̃(y)/p̃(x))."""
    y = x + step_size * torch.randn_like(x)
    found = {"log_p": log_density(y)}
    decision = metropolis(found["log_p"] - state["log_p"], usable(found))
    diagnostics = Diagnostics(decision.acceptance, decision.accepted, decision.bad, densities=1)
    return Transition(decision.choose(y, x), decision.choose_state(found, state), diagnostics)


@kernels.register("random_walk")
@local_kernels.register("random_walk")
class RandomWalk(Adapted):
    """Metropolis's random walk with a step size that is found in the burn-in.

    Args:
        step_size: s, the standard deviation of a step: where the burn-in begins.
        adapt: whether the burn-in looks for the step size.
        target_acceptance: which it looks for; 0.234 is best in many dimensions, 0.44 in one.
    """

    def __init__(self, *, step_size: StepSize = 1.0, adapt: bool = True, target_acceptance: Acceptance = 0.234) -> None:
        super().__init__(step_size, adapt, target_acceptance)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        return random_walk(x, state, log_density, self.step_size(state).to(x))
