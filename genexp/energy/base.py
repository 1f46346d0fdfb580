"""An energy, and the kinds of parts that it is put together from and learnt by.

    p(u) = exp(−E(u)) / Z,   E(u) = f(u) + |u|² / 2τ²,   Z = ∫ exp(−E(u)) du,

with u = (x − m)/s the example in units of the data. f is a network without any constraint; the second term is the energy of a
Gaussian, the *reference* N(0, τ² I), that is far wider than the data: with smooth activations f grows no faster than |u|, so that
Z is finite whatever the weights are, and exp(−f) is the ratio of p to the reference, up to a constant.

Source: LeCun et al., A Tutorial on Energy-Based Learning (2006); Song & Kingma, How to Train Your Energy-Based Models (2021).
"""

import math

import torch
from torch import Tensor, nn

from genexp.capabilities import Objective
from genexp.data.base import Terms
from genexp.machine.device import all_digits
from genexp.registry import Registry


class EnergyNetwork(nn.Module):
    """f(u): (n, *shape) → (n,), in nats. Told when built: the shape of an example."""

    def forward(self, u: Tensor) -> Tensor:
        raise NotImplementedError


class Energy(nn.Module):
    """E(u), and its reference.

    Args:
        network: f.
        shape: of an example.
        width: τ, in standard deviations of the data.
    """

    def __init__(self, network: EnergyNetwork, shape: tuple[int, ...], width: float) -> None:
        super().__init__()
        self.network, self.shape, self.width = network, shape, width
        self.dim = math.prod(shape)

    def forward(self, u: Tensor) -> Tensor:
        """E(u) of examples (n, *shape): (n,), in nats."""
        with all_digits(u.device):
            return self.network(u) + u.flatten(1).square().sum(1) / (2 * self.width**2)

    def log_density(self, u: Tensor) -> Tensor:
        """−E(u) = ln p(u) + ln Z."""
        return -self(u)

    def log_reference(self, u: Tensor) -> Tensor:
        """ln N(u; 0, τ² I), (n,)."""
        return -u.flatten(1).square().sum(1) / (2 * self.width**2) - self.dim * math.log(self.width * math.sqrt(2 * math.pi))

    def reference(self, n: int) -> Tensor:
        """n samples of N(0, τ² I), (n, *shape)."""
        first = next(self.network.parameters())
        return self.width * torch.randn(n, *self.shape, device=first.device, dtype=first.dtype)


class EnergyObjective(nn.Module):
    """What an energy is learnt by. All examples u (n, *shape) are in units of the data.

    Told when built: nothing. `kind`: "nll" where the gradient of its loss is, or estimates, that of −E[ln p];
    `is_likelihood`: the loss itself is that, of u.
    What it remembers from step to step (chains, step sizes) are buffers, so that a checkpoint has them.
    """

    kind: Objective = "other"
    is_likelihood = False

    def prepare(self, energy: Energy) -> None:
        """Make its buffers. UserError where it cannot be of examples of that shape."""

    def initialise(self, energy: Energy, u: Tensor) -> None:
        """Look at training examples once, before the first step."""

    def loss(self, energy: Energy, u: Tensor) -> Terms:
        """To be minimised over the weights of the energy."""
        raise NotImplementedError

    def validate(self, energy: Energy, u: Tensor) -> Terms:
        """The same of held-out examples, with nothing remembered."""
        return self.loss(energy, u)


energy_networks = Registry("energy_network", "genexp.energy", EnergyNetwork)
energy_objectives = Registry("energy_objective", "genexp.energy", EnergyObjective)


def score(energy: Energy, u: Tensor) -> Tensor:
    """s(u) = ∇ ln p(u) = −∇E(u), (n, *shape); differentiable in the weights of the energy, without a normalising constant."""
    with torch.enable_grad():
        u = u if u.requires_grad else u.detach().requires_grad_()
        (slope,) = torch.autograd.grad(energy(u).sum(), u, create_graph=True)
    return -slope
