"""`model/kernel=mixture_of_moves`: most transitions move nearby, and some go wherever a model of another run proposes.

A transition is one or the other by a coin that knows nothing of the chains: what leaves the target as it is in either case does
so in both. The local moves explore a peak, the others go from peak to peak.

Source: Gabrié, Rotskoff & Vanden-Eijnden, Adaptive Monte Carlo augmented with normalizing flows (2022).
"""

from dataclasses import replace

import torch
from torch import Tensor

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.registry import Part
from genexp.samplers.independence import Independence
from genexp.samplers.kernels import (
    Diagnostics,
    Kernel,
    LocalKernel,
    LogDensity,
    State,
    Transition,
    kernels,
    local_kernels,
)
from genexp.settings import Fraction


@kernels.register("mixture_of_moves")
class MixtureOfMoves(Kernel):
    """Local moves and those that a model with an exact likelihood proposes.

    Args:
        run: whose model proposes: the folder of a finished run.
        share: of the transitions, in which it does; of all chains at once.
        local: the kernel of the others.
    """

    moves = ("local", "proposed")

    def __init__(
        self,
        spec: DataSpec,
        context: Context,
        *,
        run: str | None = None,
        share: Fraction = 0.1,
        local: Part[LocalKernel] = local_kernels.part("hmc"),
    ) -> None:
        super().__init__()
        self.share, self.local = share, local()
        self.independent = Independence(spec, context, run=run)

    @property
    def alone(self) -> Kernel:
        return self.local

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        return self.local.at(x, log_density)

    def begin(self, x: Tensor, log_density: LogDensity) -> State:
        return self.local.begin(x, log_density)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        if float(torch.rand(())) >= self.share:
            local = self.local.step(x, state, log_density)
            return Transition(local.x, local.state, replace(local.diagnostics, energy_error=None))
        log_q = self.independent.proposal.log_prob(x)
        jump = self.independent.step(x, {"log_p": state["log_p"], "log_q": log_q}, log_density)
        found = self.local.at(jump.x, log_density)
        cost = {"gradients": int("gradient" in found), "densities": 1 + int("gradient" not in found)}
        return Transition(jump.x, state | found, replace(jump.diagnostics, move=1, **cost))  # type: ignore[arg-type]

    def tune(self, state: State, diagnostics: Diagnostics) -> State:
        return self.local.tune(state, diagnostics) if diagnostics.move == 0 else state

    def settle(self, state: State) -> State:
        return self.local.settle(state)

    def step_size(self, state: State) -> Tensor | None:
        return self.local.step_size(state)

    def covariance(self, state: State, covariance: Tensor) -> Tensor | None:
        return covariance if self.local.exact else None
