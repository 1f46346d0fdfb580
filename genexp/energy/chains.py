"""`model/objective=contrastive_divergence | persistent`: the gradient of the likelihood, with chains for the mean over the model.

    ∇_θ E_data[−ln p(u)] = E_data[∇_θ E(u)] − E_p[∇_θ E(u)]:

the energy is pulled down where the data are and pushed up where the model's own samples are; where both are alike it rests. The
samples of p come from Markov chains, which have to be short: where they begin is what tells the two objectives apart.

Sources: Hinton, Training Products of Experts by Minimizing Contrastive Divergence (2002); Tieleman, Training Restricted Boltzmann
Machines using Approximations to the Likelihood Gradient (2008); Du & Mordatch, Implicit Generation and Modeling with Energy-Based
Models (2019).
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Objective
from genexp.data.base import Terms
from genexp.energy.base import Energy, EnergyObjective, energy_objectives
from genexp.errors import UserError
from genexp.machine.distributed import world
from genexp.registry import Part
from genexp.samplers.kernels import TUNING, LocalKernel, local_kernels
from genexp.settings import Fraction, Weight

Transitions = Annotated[int, Field(ge=1, le=100_000)]
SHORTER = (1.0, 1 / 8, 1.0, 1 / 64)  # times its step size, in turn: chains that begin on a steep slope would overshoot the valley
REMEMBERED = 100.0  # transitions by which a step size is judged: the energy, and with it the best step, goes on changing


@dataclass(frozen=True)
class Walked:
    """Where chains are, (n, *shape), their step size's "tuning", and how many proposals they accepted."""

    u: Tensor
    tuning: Tensor
    acceptance: Tensor


@torch.no_grad()
def walk(kernel: LocalKernel, energy: Energy, u: Tensor, steps: int, tuning: Tensor, first: int = 0) -> Walked:
    """`steps` transitions under exp(−E) of chains that begin at u. `tuning` (4,): what was learnt of the step size before, of
    which the last number counts the transitions it was learnt from; 0: nothing. `first`: the number of the first transition.
    Some transitions are shorter than the tuned step size says, whatever the state, so that all leave exp(−E) as it is.
    """
    state = kernel.begin(u, energy.log_density)
    adapted = TUNING in state
    if adapted and bool(tuning[3] > 0):
        state[TUNING] = torch.cat([tuning[:3], tuning[3:].clamp(max=REMEMBERED)]).to(u)
    accepted = []
    for number in range(first, first + steps):
        shorter = SHORTER[number % len(SHORTER)]
        if adapted and shorter < 1:
            known = state[TUNING]
            state = state | {TUNING: torch.cat([known[:1] + math.log(shorter), known[1:]])}
            moved = kernel.step(u, state, energy.log_density)
            u, state = moved.x, moved.state | {TUNING: known}
            continue
        moved = kernel.step(u, state, energy.log_density)
        u, state = moved.x, kernel.tune(moved.state, moved.diagnostics)
        accepted.append(moved.diagnostics.acceptance.mean())
    return Walked(u, state.get(TUNING, tuning), torch.stack(accepted).mean() if accepted else u.new_ones(()))


class ChainObjective(EnergyObjective):
    """Base of the two. `moves`: the kernel of the chains, `steps`: their transitions in each step of training."""

    kind: Objective = "nll"
    tuning: Tensor

    def __init__(self, steps: int, penalty: float, moves: Part[LocalKernel]) -> None:
        super().__init__()
        self.steps, self.penalty, self.moves = steps, penalty, moves()
        self.register_buffer("tuning", torch.zeros(4))

    def begin(self, energy: Energy, u: Tensor) -> Tensor:
        """Where the chains begin."""
        raise NotImplementedError

    def keep(self, u: Tensor) -> None:
        """Where they ended."""

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        """E_data[E] − E_chains[E], whose gradient is that of −E[ln p], and a penalty on the size of f that keeps it in bounds."""
        walked = walk(self.moves, energy, self.begin(energy, u), self.steps, self.tuning)
        if self.training:
            self.keep(walked.u)
            self.tuning.copy_(walked.tuning)
        samples = walked.u.detach()
        f_data, f_samples = energy.network(u), energy.network(samples)
        data, model = (f_data + self._quadratic(energy, u)).mean(), (f_samples + self._quadratic(energy, samples)).mean()
        size = f_data.square().mean() + f_samples.square().mean()
        terms = {"loss": data - model + self.penalty * size, "energy_data": data, "energy_samples": model}
        return terms | {"acceptance": walked.acceptance}

    @staticmethod
    def _quadratic(energy: Energy, u: Tensor) -> Tensor:
        return u.flatten(1).square().sum(1) / (2 * energy.width**2)


@energy_objectives.register("contrastive_divergence")
class ContrastiveDivergence(ChainObjective):
    r"""Chains begin at the data, so that they are where they ought to be from the start. What lies far from all data they never
    see: the energy may be low there, and nothing pushes it up.

    In short:
        The energy is pulled down where the data are and pushed up where short chains go that begin at the data.

    Equation:
        \nabla_θ \mathcal{L} = \mathbb{E}_{\mathrm{data}}[\nabla_θ E_θ] - \mathbb{E}_{T^k \mathrm{data}}[\nabla_θ E_θ]

    Args:
        steps: k, the transitions of each chain.
        penalty: α of α (E_data[f²] + E_chains[f²]).
        moves: how the chains move.
    """

    def __init__(
        self, *, steps: Transitions = 10, penalty: Weight = 1e-3, moves: Part[LocalKernel] = local_kernels.part("mala")
    ) -> None:
        super().__init__(steps, penalty, moves)

    def begin(self, energy: Energy, u: Tensor) -> Tensor:
        return u


@energy_objectives.register("persistent")
class Persistent(ChainObjective):
    r"""Chains go on where they were: each step takes some of a buffer, moves them and puts them back. A share of them begins anew
    from the reference each time, so that no place is forgotten.

    In short:
        The energy is pulled down where the data are and pushed up where chains are that go on from step to step.

    Equation:
        \nabla_θ \mathcal{L} = \mathbb{E}_{\mathrm{data}}[\nabla_θ E_θ] - \mathbb{E}_{\mathrm{buffer}}[\nabla_θ E_θ], \qquad
            \mathrm{buffer} \approx p_θ

    Args:
        capacity: chains in the buffer.
        fresh: the share that begins anew.
        steps: transitions of those that are taken, in each step of training.
        penalty: α of α (E_data[f²] + E_chains[f²]).
        moves: how the chains move.

    Raises:
        UserError: several processes.
    """

    chains: Tensor

    def __init__(
        self,
        *,
        capacity: Annotated[int, Field(ge=1, le=1_000_000)] = 1_024,
        fresh: Fraction = 0.05,
        steps: Transitions = 20,
        penalty: Weight = 1e-3,
        moves: Part[LocalKernel] = local_kernels.part("mala"),
    ) -> None:
        super().__init__(steps, penalty, moves)
        self.capacity, self.fresh = capacity, fresh

    def prepare(self, energy: Energy) -> None:
        self.register_buffer("chains", torch.zeros(self.capacity, *energy.shape))

    def initialise(self, energy: Energy, u: Tensor) -> None:
        self.chains.copy_(energy.reference(self.capacity))

    def begin(self, energy: Energy, u: Tensor) -> Tensor:
        if world().size > 1:
            raise UserError("model/objective=persistent: its chains are of one process", hint="run it without torchrun")
        self._taken = torch.randperm(self.capacity, device=u.device)[: len(u)]
        kept = self.chains[self._taken]
        new = torch.rand(len(kept), device=u.device) < self.fresh
        return torch.where(new.view(-1, *[1] * (u.dim() - 1)), energy.reference(len(kept)).to(kept), kept)

    def keep(self, u: Tensor) -> None:
        self.chains[self._taken] = u
