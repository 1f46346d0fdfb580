"""The step size of Markov chains, found in their burn-in by dual averaging.

Source: Hoffman & Gelman, The No-U-Turn Sampler (2014), section 3.2.
"""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.samplers.kernels import Diagnostics, LocalKernel, LogDensity, State

StepSize = Annotated[float, Field(gt=0, le=1e3)]
Acceptance = Annotated[float, Field(gt=0, lt=1)]
GAMMA, OFFSET, DECAY = 0.05, 10.0, 0.75  # γ, t₀ and κ of the source
LARGER = 10.0  # times the first step size: what it is drawn towards, so that large ones are tried early


class Adapted(LocalKernel):
    """Base of kernels with a step size that is found in the burn-in.

    Of their state are "tuning" (4,): ln ε, its average, the mean error of the acceptance, and how many transitions it is of.
    """

    def __init__(self, step_size: float, adapt: bool, target_acceptance: float) -> None:
        super().__init__()
        self.first, self.adapt, self.target_acceptance = step_size, adapt, target_acceptance

    def begin(self, x: Tensor, log_density: LogDensity) -> State:
        return self.at(x, log_density) | {"tuning": x.new_tensor([math.log(self.first), 0.0, 0.0, 0.0])}

    def step_size(self, state: State) -> Tensor:
        return state["tuning"][:1].exp()

    def tune(self, state: State, diagnostics: Diagnostics) -> State:
        return tuned(state, diagnostics, self.first, self.target_acceptance) if self.adapt else state

    def settle(self, state: State) -> State:
        return settled(state)


def tuned(state: State, diagnostics: Diagnostics, first: float, target: float) -> State:
    """After one transition of all chains, with their mean acceptance ᾱ and the wanted one δ:

    e ← (1 − 1/(t + t₀)) e + (δ − ᾱ)/(t + t₀),  ln ε = ln 10 ε₀ − √t/γ e,  and ln ε̄ is the average of ln ε with weights t^−κ.
    """
    _, average, error, count = state["tuning"].tolist()
    count += 1
    share = 1 / (count + OFFSET)
    error = (1 - share) * error + share * (target - float(diagnostics.acceptance.mean()))
    log_step = math.log(LARGER * first) - math.sqrt(count) / GAMMA * error
    weight = count**-DECAY
    average = weight * log_step + (1 - weight) * average
    return state | {"tuning": state["tuning"].new_tensor([log_step, average, error, count])}


def settled(state: State) -> State:
    """From now on with the average ε̄."""
    log_step, average, error, count = state["tuning"].unbind()
    return state | {"tuning": torch.stack([torch.where(count > 0, average, log_step), average, error, count])}
