"""What became of the proposals of Markov chains."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from genexp.samplers.kernels import Diagnostics

LOST = 1_000.0  # nats that an integrator misses of the energy where it diverges, as Stan has it


@dataclass(frozen=True)
class Tally:
    """What became of the proposals after the burn-in.

    Args:
        moves: the kinds of proposals.
        acceptance: the mean probability of each chain's, by the kind of move, (moves, chains); NaN of none.
        accepted: how many of each chain were taken, (chains,).
        transitions, gradients, densities: of each chain; evaluations of ∇ ln p̃, and of ln p̃ alone.
        energy_error: the mean size of what the integrator missed, in nats, where it was not lost; NaN where there is none.
        divergent: how often it was lost, missing more than a thousand nats, of all chains.
        bad: how many were refused because ln p̃ or its gradient was not finite there, of all chains.
    """

    moves: tuple[str, ...]
    acceptance: Tensor
    accepted: Tensor
    transitions: int
    gradients: int
    densities: int
    energy_error: float
    divergent: int
    bad: int


class Counts(nn.Module):
    """The sums that a tally is of, as buffers: they are kept in checkpoints."""

    acceptance: Tensor
    tried: Tensor
    spent: Tensor
    missed: Tensor
    bad: Tensor

    def __init__(self, chains: int, moves: int) -> None:
        super().__init__()
        self.register_buffer("acceptance", torch.zeros(moves, chains, dtype=torch.float64))
        self.register_buffer("tried", torch.zeros(moves, dtype=torch.long))
        self.register_buffer("spent", torch.zeros(2, dtype=torch.long))  # gradients and densities
        self.register_buffer("missed", torch.zeros(3, dtype=torch.float64))  # Σ|ΔH|, of how many, and how many were lost
        self.register_buffer("bad", torch.zeros((), dtype=torch.long))

    def add(self, found: Diagnostics) -> None:
        """One transition of all chains."""
        self.acceptance[found.move] += found.acceptance
        self.tried[found.move] += 1
        self.spent += torch.tensor([found.gradients, found.densities], device=self.spent.device)
        self.bad += found.bad.sum()
        if found.energy_error is not None:
            size = found.energy_error.abs().double()
            small = size < LOST  # and no NaN
            self.missed += torch.stack([size[small].sum(), small.double().sum(), (~small).double().sum()])

    def tally(self, moves: tuple[str, ...], accepted: Tensor) -> Tally:
        gradients, densities = self.spent.tolist()
        total, number, lost = self.missed.tolist()
        return Tally(
            moves,
            self.acceptance / torch.where(self.tried > 0, self.tried.double(), math.nan)[:, None],
            accepted,
            int(self.tried.sum()),
            gradients,
            densities,
            total / number if number else math.nan,
            int(lost),
            int(self.bad),
        )
