"""`model/kernel=hmc`: Hamiltonian Monte Carlo.

A momentum is drawn afresh, v ~ N(0, I), and Hamilton's equations are followed for a while, dx/dt = v, dv/dt = ∇ ln p̃(x), along
which the energy H = −ln p̃(x) + ½|v|² stays what it was, nearly. The end is accepted with probability min(1, e^−ΔH).

Sources: Duane et al., Hybrid Monte Carlo (1987); Neal, MCMC using Hamiltonian dynamics (2011).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.samplers.kernels import (
    Diagnostics,
    LogDensity,
    State,
    Transition,
    kernels,
    local_kernels,
    metropolis,
    per_chain,
    total,
    usable,
    with_gradient,
)
from genexp.samplers.step_size import Acceptance, Adapted, StepSize
from genexp.settings import Fraction

Leaps = Annotated[int, Field(ge=1, le=10_000)]


@dataclass(frozen=True)
class Phase:
    """A point of phase space: x and momentum (n, *shape), and ∇ ln p̃(x)."""

    x: Tensor
    momentum: Tensor
    gradient: Tensor


def leapfrog(
    x: Tensor,
    momentum: Tensor,
    gradient: Callable[[Tensor], Tensor],
    step_size: float | Tensor,
    steps: int,
    first: Tensor | None = None,
) -> Phase:
    """`steps` times v ← v + ε/2 ∇ ln p̃(x), x ← x + ε v, v ← v + ε/2 ∇ ln p̃(x).

    Reversible (with −v it goes back), keeps volumes, and misses the energy by O(ε²).

    Args:
        x, momentum: (n, *shape).
        gradient: x → ∇ ln p̃(x), (n, *shape).
        step_size: ε; a tensor of one for each chain is (n, 1, …).
        first: the gradient at x, where it is known already.
    """
    slope = gradient(x) if first is None else first
    for _ in range(steps):
        momentum = momentum + 0.5 * step_size * slope
        x = x + step_size * momentum
        slope = gradient(x)
        momentum = momentum + 0.5 * step_size * slope
    return Phase(x, momentum, slope)


def hmc(x: Tensor, log_density: LogDensity, step_size: float | Tensor, steps: int, state: State | None = None) -> Transition:
    """One transition of each chain, with nothing adapted: x (n, *shape), `step_size` as in `leapfrog`.

    `state`: ln p̃ and its gradient at x, as `with_gradient` gives them and as the result has them for the next transition; without
    it they cost one gradient more.
    """
    before = with_gradient(log_density, x) if state is None else state
    latest: State = {}

    def gradient(at: Tensor) -> Tensor:
        latest.update(with_gradient(log_density, at))
        return latest["gradient"]

    momentum = torch.randn_like(x)
    end = leapfrog(x, momentum, gradient, step_size, steps, before["gradient"])
    energy_error = before["log_p"] - latest["log_p"] + 0.5 * total(end.momentum.square() - momentum.square())
    decision = metropolis(-energy_error, usable(latest))
    diagnostics = Diagnostics(decision.acceptance, decision.accepted, decision.bad, energy_error, steps + (state is None))
    return Transition(decision.choose(end.x, x), decision.choose_state(latest, before), diagnostics)


@kernels.register("hmc")
@local_kernels.register("hmc")
class HMC(Adapted):
    """Hamiltonian Monte Carlo with a step size that is found in the burn-in.

    Args:
        step_size: ε of the leapfrog, in the units of x: where the burn-in begins.
        steps: of the leapfrog in each transition; as many gradients.
        jitter: each transition of each chain takes ε times a number from 1 − jitter to 1 + jitter, lest a path be a whole period.
        adapt: whether the burn-in looks for the step size.
        target_acceptance: which it looks for.
    """

    def __init__(
        self,
        *,
        step_size: StepSize = 0.1,
        steps: Leaps = 10,
        jitter: Fraction = 0.2,
        adapt: bool = True,
        target_acceptance: Acceptance = 0.8,
    ) -> None:
        super().__init__(step_size, adapt, target_acceptance)
        self.steps, self.jitter = steps, jitter

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        return with_gradient(log_density, x)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        factor = 1 + self.jitter * (2 * torch.rand(len(x), device=x.device, dtype=x.dtype) - 1)
        return hmc(x, log_density, self.step_size(state).to(x) * per_chain(factor, x), self.steps, state)
