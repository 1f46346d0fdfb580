"""Samples of an energy by long chains, and ln Z with them: annealed importance sampling from the reference.

    E_β(u) = β f(u) + |u|²/2τ²,   β from 0 (the reference, which is sampled exactly) to 1 (the energy itself):

chains of Hamiltonian Monte Carlo follow β slowly, so that each finds its valley while the hills between are low. The weights that
this gives them estimate Z without bias; drawn again by their weights, they are in every valley as often as they should be, and
more transitions at β = 1 part those that were drawn twice.

Source: Neal, Annealed Importance Sampling (2001); Del Moral et al., Sequential Monte Carlo Samplers (2006).
"""

import torch
from torch import Tensor, nn

from genexp.energy.base import Energy
from genexp.samplers.annealing import Annealed, anneal
from genexp.samplers.hmc import hmc
from genexp.samplers.kernels import State, with_gradient

PILOTS, ROUNDS = 128, 12  # chains by which the step sizes are found, and how often at most
WANTED, NEAR = 0.65, 0.15  # acceptance; and how near to it is good enough
GAIN = 1.5  # by how much the logarithm of a step size is changed where it is another


class AnnealedSampler(nn.Module):
    """Chains from the reference to the energy.

    Args:
        temperatures: J, with a transition at each; steps: so many more at β = 1.
        leaps: leapfrog steps of a transition.
    """

    betas: Tensor
    step_sizes: Tensor

    def __init__(self, temperatures: int, steps: int, leaps: int) -> None:
        super().__init__()
        self.steps, self.leaps = steps, leaps
        betas = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64) ** 2
        self.register_buffer("betas", betas, persistent=False)
        self.register_buffer("step_sizes", torch.ones(temperatures))  # of the chain at each β > 0

    @torch.no_grad()
    def tune(self, energy: Energy) -> None:
        """Find step sizes with which WANTED of the proposals are accepted, on pilots that are thrown away; the same whenever a
        model that has been tuned already, as in a run that goes on, is tuned again.
        """
        self.step_sizes.fill_(1.0)
        for _ in range(ROUNDS):
            found = self._annealed(energy, energy.reference(PILOTS))
            last = self._moved(energy, found.x, 1)[1]
            missed = torch.cat([found.acceptance, last[None]]) - WANTED
            if float(missed.abs().max()) <= NEAR:
                return
            self.step_sizes *= torch.exp(GAIN * missed)

    def _annealed(self, energy: Energy, u: Tensor) -> Annealed:
        return anneal(u, energy.log_reference, energy.log_density, self.betas, self.step_sizes[:-1], self.leaps)

    def _moved(self, energy: Energy, u: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """After so many transitions at β = 1; and their mean acceptance."""
        state: State = with_gradient(energy.log_density, u)
        accepted = []
        for _ in range(steps):
            moved = hmc(u, energy.log_density, self.step_sizes[-1], self.leaps, state)
            u, state = moved.x, moved.state
            accepted.append(moved.diagnostics.acceptance.mean())
        return u, torch.stack(accepted).mean() if accepted else u.new_zeros(())

    @torch.no_grad()
    def forward(self, energy: Energy, n: int) -> Tensor:
        """n samples, (n, *shape)."""
        found = self._annealed(energy, energy.reference(n))
        weights = found.log_weight.double().softmax(0)
        return self._moved(energy, found.x[drawn_again(weights)], self.steps)[0]

    @torch.no_grad()
    def log_weights(self, energy: Energy, n: int) -> Tensor:
        """ln of n weights (n,) whose mean estimates Z without bias: ln of their mean is on average too low."""
        return self._annealed(energy, energy.reference(n)).log_weight

    @torch.no_grad()
    def log_weights_back(self, energy: Energy, u: Tensor) -> Tensor:
        """ln of weights (n,) whose mean is 1/Z, where u (n, *shape) are samples of the energy: the way back to the reference.
        −ln of their mean is on average too high.
        """
        betas, sizes = 1 - self.betas.flip(0), self.step_sizes[:-1].flip(0)
        return anneal(u, energy.log_density, energy.log_reference, betas, sizes, self.leaps).log_weight


def drawn_again(weights: Tensor) -> Tensor:
    """Indices (n,), in random order, of which each comes up n w_i times, up to one: systematic resampling."""
    n = len(weights)
    places = (torch.arange(n, device=weights.device) + torch.rand(1, dtype=weights.dtype, device=weights.device)) / n
    found = torch.searchsorted(weights.cumsum(0), places).clamp(max=n - 1)
    return found[torch.randperm(n, device=found.device)]
