"""Markov chains of lattice fields: HMC by the force, and Metropolis–Hastings among points that are known already."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.base import LogDensity
from genexp.samplers.hmc import leapfrog

LEAPS = 10  # of each transition
JITTER = 0.2  # of the step, lest a path be a whole period of a mode
TARGET = 0.8  # acceptance that the burn-in looks for
FIRST = 0.05  # the step that it begins with


@dataclass(frozen=True)
class Move:
    """Fields after a transition of each chain, (chains, dim), and whether it was accepted, (chains,)."""

    x: Tensor
    accepted: Tensor


def hmc_move(x: Tensor, log_density: LogDensity, force: LogDensity, step: float) -> Move:
    """One transition of each chain, by LEAPS steps of about `step`; `force` is ∇ log_density, in closed form."""
    sizes = step * (1 + JITTER * (2 * torch.rand(len(x), 1, device=x.device, dtype=x.dtype) - 1))
    momentum = torch.randn_like(x)
    end = leapfrog(x, momentum, force, sizes, LEAPS)
    gain = log_density(end.x) - log_density(x) + 0.5 * (momentum.square() - end.momentum.square()).sum(1)
    accepted = torch.rand_like(gain).log() < gain  # which NaN never is
    return Move(torch.where(accepted[:, None], end.x, x), accepted)


def warmed(x: Tensor, log_density: LogDensity, force: LogDensity, transitions: int) -> tuple[Tensor, float]:
    """Fields after a burn-in, and the step that was found in it: ln step moves by what the acceptance is above TARGET."""
    step = FIRST
    for number in range(transitions):
        move = hmc_move(x, log_density, force, step)
        x, rate = move.x, float(move.accepted.double().mean())
        step *= math.exp((rate - TARGET) / (1 + number / 10) ** 0.6)
    return x, step


@dataclass(frozen=True)
class Independent:
    """Which of the proposals each chain is at after each, (draws, chains), and the share that was accepted."""

    chosen: Tensor
    acceptance: float


def independent(log_weight: Tensor, generator: torch.Generator) -> Independent:
    """Independence Metropolis–Hastings: proposal t of each chain is accepted with probability min(1, w_t / w), w the weight of
    where the chain is. `log_weight`: ln p̃/q of independent points of q, (draws, chains); a chain begins at its first.

    Source: Tierney, Markov Chains for Exploring Posterior Distributions (1994).
    """
    draws, chains = log_weight.shape
    log_u = torch.rand(draws, chains, generator=generator, dtype=log_weight.dtype).log()
    chosen = torch.zeros(draws, chains, dtype=torch.long)
    now, accepted = log_weight[0], 0
    for t in range(1, draws):
        accept = log_u[t] < log_weight[t] - now
        now = torch.where(accept, log_weight[t], now)
        chosen[t] = torch.where(accept, t, chosen[t - 1])
        accepted += int(accept.sum())
    return Independent(chosen, accepted / max(1, (draws - 1) * chains))
