"""`model/kernel=mala`: the Metropolis-adjusted Langevin algorithm.

A Langevin step y = x + h ∇ ln p̃(x) + √(2h) ξ is accepted with probability min(1, p̃(y) q(x|y) / p̃(x) q(y|x)), where
q(y|x) = N(y; x + h ∇ ln p̃(x), 2h I): what the step of `ula` gets wrong, the rejections put right.

Sources: Besag (1994); Roberts & Rosenthal, Optimal scaling of discrete approximations to Langevin diffusions (1998).
"""

from torch import Tensor

from genexp.samplers.kernels import (
    Diagnostics,
    LogDensity,
    State,
    Transition,
    kernels,
    local_kernels,
    metropolis,
    total,
    usable,
    with_gradient,
)
from genexp.samplers.step_size import Acceptance, Adapted, StepSize
from genexp.samplers.ula import langevin


def log_proposal(y: Tensor, x: Tensor, gradient: Tensor, step_size: float | Tensor) -> Tensor:
    """ln q(y|x) but for a constant, (n,): −|y − x − h ∇ ln p̃(x)|² / 4h."""
    return -total((y - x - step_size * gradient).square() / (4 * step_size))


def mala(x: Tensor, state: State, log_density: LogDensity, step_size: float | Tensor) -> Transition:
    """One transition of each chain; `state` as `with_gradient` gives it at x."""
    y = langevin(x, state["gradient"], step_size)
    found = with_gradient(log_density, y)
    there, back = log_proposal(y, x, state["gradient"], step_size), log_proposal(x, y, found["gradient"], step_size)
    decision = metropolis(found["log_p"] + back - state["log_p"] - there, usable(found))
    diagnostics = Diagnostics(decision.acceptance, decision.accepted, decision.bad, gradients=1)
    return Transition(decision.choose(y, x), decision.choose_state(found, state), diagnostics)


@kernels.register("mala")
@local_kernels.register("mala")
class MALA(Adapted):
    """Langevin steps with an accept step, of a size that is found in the burn-in.

    Args:
        step_size: h, in units of the squared lengths of x: where the burn-in begins.
        adapt: whether the burn-in looks for the step size.
        target_acceptance: which it looks for; 0.574 is best in many dimensions.
    """

    def __init__(self, *, step_size: StepSize = 0.1, adapt: bool = True, target_acceptance: Acceptance = 0.574) -> None:
        super().__init__(step_size, adapt, target_acceptance)

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        return with_gradient(log_density, x)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        return mala(x, state, log_density, self.step_size(state).to(x))
