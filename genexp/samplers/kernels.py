"""What a transition kernel of Markov chains is: many chains move at once, and each of them leaves the target as it is.

    x′ ~ K(x′|x)   with   ∫ p(x) K(x′|x) dx = p(x′).

A kernel is told ln p̃, the target's logarithm up to a constant. What it has found where the chains are (ln p̃, its gradient) and
its step size are its *state*, tensors by name, so that nothing is evaluated twice and a checkpoint holds all of it.

Source: Metropolis et al., Equation of State Calculations by Fast Computing Machines (1953); Hastings (1970).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from genexp.registry import Registry

LogDensity = Callable[[Tensor], Tensor]  # (n, *shape) → (n,), in nats, up to a constant
State = dict[str, Tensor]
TUNING = "tuning"  # how the name ends of what is of all chains together; all else of a state has a row for each


@dataclass(frozen=True)
class Diagnostics:
    """Of one transition of n chains.

    Args:
        acceptance: min(1, the Metropolis ratio), (n,); accepted: whether the proposal was taken, (n,).
        bad: whether the proposal was refused because ln p̃ or its gradient is not finite there, (n,).
        energy_error: by how much an integrator missed the energy, in nats, (n,).
        gradients, densities: how often each chain has evaluated ∇ ln p̃ (with ln p̃), and ln p̃ alone.
        move: the index of what was tried, of a kernel with several `moves`.
    """

    acceptance: Tensor
    accepted: Tensor
    bad: Tensor
    energy_error: Tensor | None = None
    gradients: int = 0
    densities: int = 0
    move: int = 0


@dataclass(frozen=True)
class Transition:
    """Where the chains are afterwards, x (n, *shape), the kernel's state there, and what happened."""

    x: Tensor
    state: State
    diagnostics: Diagnostics


class Kernel(nn.Module):
    """How chains move.

    Told when built: the spec of the data, and the context of the run. `moves` are the kinds of proposals it makes.
    """

    moves: tuple[str, ...] = ("all",)

    @property
    def alone(self) -> "Kernel | None":
        """Of one that mixes moves: the local ones by themselves, with the same state."""
        return None

    def at(self, x: Tensor, log_density: LogDensity) -> State:
        """What is kept of the places x (n, *shape), "log_p" (n,) among it."""
        return {"log_p": log_density(x)}

    def begin(self, x: Tensor, log_density: LogDensity) -> State:
        """The state of chains that begin at x."""
        return self.at(x, log_density)

    def step(self, x: Tensor, state: State, log_density: LogDensity) -> Transition:
        """One transition of each chain."""
        raise NotImplementedError

    def tune(self, state: State, diagnostics: Diagnostics) -> State:
        """Learn from a transition of the burn-in. Afterwards nothing is: what adapts for ever has another target."""
        return state

    def settle(self, state: State) -> State:
        """The burn-in is over."""
        return state

    def step_size(self, state: State) -> Tensor | None:
        """The one that `step` takes, where there is one."""
        return None

    def covariance(self, state: State, covariance: Tensor) -> Tensor | None:
        """What chains have in the end whose target is a Gaussian of that covariance, (dim, dim); None where nobody knows."""
        return covariance


class LocalKernel(Kernel):
    """A kernel that proposes places nearby. Told when built: nothing, so that it moves in any space.

    `exact`: whether it leaves the target as it is.
    """

    exact: ClassVar[bool] = True


def with_gradient(log_density: LogDensity, x: Tensor) -> State:
    """ln p̃ at x, "log_p" (n,), and "gradient", ∇ ln p̃ (n, *shape)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        log_p = log_density(x)
        (gradient,) = torch.autograd.grad(log_p.sum(), x)
    return {"log_p": log_p.detach(), "gradient": gradient}


def usable(found: State) -> Tensor:
    """Where ln p̃ and its gradient are finite, (n,)."""
    finite = torch.isfinite(found["log_p"])
    return finite & torch.isfinite(found["gradient"]).flatten(1).all(1) if "gradient" in found else finite


def per_chain(values: Tensor, x: Tensor) -> Tensor:
    """Values (n,) in a shape that is broadcast over x (n, *shape)."""
    return values.view(-1, *[1] * (x.dim() - 1))


def total(values: Tensor) -> Tensor:
    """The sum over everything but the chains: (n, *shape) → (n,)."""
    return values.flatten(1).sum(1)


def of_chains(state: State, index: Tensor) -> State:
    """The state of chains that go on from where those of the `index` are, (n,)."""
    return {name: values if name.endswith(TUNING) else values[index] for name, values in state.items()}


@dataclass(frozen=True)
class Decision:
    """Which proposals are taken."""

    acceptance: Tensor
    accepted: Tensor
    bad: Tensor

    def choose(self, new: Tensor, old: Tensor) -> Tensor:
        """(n, *shape): `new` where it is taken."""
        return torch.where(per_chain(self.accepted, new), new, old)

    def choose_state(self, new: State, old: State) -> State:
        """The old state, with what was found at the new places where these are taken."""
        return old | {name: self.choose(values, old[name]) for name, values in new.items()}


def metropolis(log_ratio: Tensor, good: Tensor) -> Decision:
    """Accept with probability min(1, r), ln r = ln p̃(x′) q(x|x′) − ln p̃(x) q(x′|x), (n,); never what is not `good`."""
    acceptance = torch.where(good & ~log_ratio.isnan(), log_ratio.clamp(max=0).exp(), 0.0)
    return Decision(acceptance, torch.rand_like(acceptance) < acceptance, ~good)


kernels: Registry[Kernel] = Registry("kernel", "genexp.samplers", Kernel)
local_kernels: Registry[LocalKernel] = Registry("local_kernel", "genexp.samplers", LocalKernel)
