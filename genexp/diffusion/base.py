"""The kinds of parts of a diffusion model, and the one notation that they share.

Data u of unit variance are seen through noise: m = u + τ ε, ε ~ N(0, I), at the noise level τ. A schedule scales this,

    x_s = α(s) u + σ(s) ε = α m,   τ = σ/α,   s from 0 (data) to 1 (noise),

and the straight path of flow matching is the same again, (1−t) ε + t u = t m with τ = (1−t)/t. All that a sampler needs to know
of the data is the mean of what may lie behind a point, the *denoised* point D(m, τ) = E[u | m].
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from genexp.registry import Registry

Denoised = Callable[[Tensor, Tensor], Tensor]  # D(m, τ), (n, dim), of points (n, dim) at noise levels (n,)
Noise = Callable[[Tensor], Tensor]  # ε ~ N(0, I) of the shape of points (n, dim)


class Schedule:
    """α(s) and σ(s) of x_s = α u + σ ε, s from 0 (data) to 1 (noise), with τ = σ/α rising.

    Told when built: nothing.
    """

    def alpha(self, s: Tensor) -> Tensor:
        """α, of the shape of s, float64."""
        raise NotImplementedError

    def sigma(self, s: Tensor) -> Tensor:
        """σ, of the shape of s, float64."""
        raise NotImplementedError

    def grid(self, steps: int) -> Tensor:
        """The times of a sampler, (steps + 1,), from 1 down to 0, float64: even, unless a schedule says otherwise."""
        return torch.linspace(1, 0, steps + 1, dtype=torch.float64)

    def tau(self, s: Tensor) -> Tensor:
        """σ/α."""
        return self.sigma(s) / self.alpha(s)

    def rates(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """dα/ds and dσ/ds."""
        with torch.enable_grad():
            s = s.detach().requires_grad_(True)
            both = (self.alpha(s), self.sigma(s))
            found = [torch.autograd.grad(each.sum(), s, allow_unused=True)[0] if each.requires_grad else None for each in both]
        alpha, sigma = (torch.zeros_like(s) if each is None else each for each in found)
        return alpha, sigma

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest τ."""
        low, high = self.tau(torch.tensor([0.0, 1.0], dtype=torch.float64)).tolist()
        return low, high

    @property
    def start(self) -> float:
        """The standard deviation of m at the largest τ, for data of unit variance."""
        return (1 + self.ends[1] ** 2) ** 0.5


class Prediction:
    """What the network's output F says of the denoised point D: each follows from the other.

    Told when built: nothing. `regular`: an error of F stays small in D/τ at small τ, so that the flow has a density.
    """

    regular = True

    def denoised(self, output: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        """D, (n, dim), of F, (n, dim), for points m, (n, dim), at levels τ, (n, 1), of data with that standard deviation."""
        raise NotImplementedError

    def output(self, denoised: Tensor, m: Tensor, tau: Tensor, scale: Tensor) -> Tensor:
        """F of D. Of the clean data in place of D it is the target, whose mean is the F of E[u|m]."""
        raise NotImplementedError


@dataclass(frozen=True)
class Walk:
    """Where points were at noise levels τ, (k,), falling to 0: m, (k, n, dim); the last are the samples."""

    m: Tensor
    tau: Tensor


class DiffusionSampler:
    """From noise to data by as many evaluations of D as the user allows, or one step, at the times of a schedule's grid.

    Told when built: nothing. `ode`: it follows the probability flow, and noise comes in at the start alone.
    """

    ode: bool
    cost = 1  # evaluations of each step; the last point is denoised by one more

    def __init__(self, evaluations: int) -> None:
        self.evaluations = evaluations

    def steps(self, evaluations: int) -> int:
        """How many of them so many evaluations allow; at least one."""
        return max(1, (evaluations - 1) // self.cost)

    def walk(self, denoised: Denoised, m: Tensor, schedule: Schedule, steps: int, noise: Noise = torch.randn_like) -> Walk:
        """From points m, (n, dim), at the schedule's largest τ."""
        s = schedule.grid(steps)
        path, tau = [m], schedule.tau(s)
        for before, after in pairwise(s):
            path.append(self.step(denoised, path[-1], schedule, before, after, noise))
        last = denoised(path[-1], level(tau[-1], m))
        return Walk(torch.stack([*path, last]), torch.cat([tau, tau.new_zeros(1)]))

    def step(self, denoised: Denoised, m: Tensor, schedule: Schedule, s: Tensor, after: Tensor, noise: Noise) -> Tensor:
        """From m at time s to m at the earlier time `after`, both ()."""
        raise NotImplementedError


def level(tau: Tensor, m: Tensor) -> Tensor:
    """One τ, (), for all points: (n,)."""
    return tau.to(m).expand(len(m))


class Guidance(nn.Module):
    """What a model makes of classes, and how far its samples are pushed towards one.

    Told when built: the dimension, and how many classes there are. `condition`: of how many numbers the network is told.
    """

    weight = 1.0
    condition = 0
    guides = False

    def __init__(self) -> None:
        super().__init__()

    def told(self, label: Tensor | None) -> Tensor | None:
        """What the network is told in training, (n, condition)."""
        return None

    def loss(self, m: Tensor, tau: Tensor, label: Tensor | None) -> Tensor | None:
        """What is to be learnt beside the network, of points m at levels τ, (n,)."""
        return None

    def guided(
        self, denoised: Callable[..., Tensor], m: Tensor, tau: Tensor, label: Tensor | None, weight: float | None = None
    ) -> Tensor:
        """D(m, τ) pushed towards classes, (n,), by `weight` (None: the one that was set) from `denoised(m, τ, condition)`."""
        return denoised(m, tau, None)


schedules = Registry("schedule", "genexp.diffusion", Schedule)
predictions = Registry("prediction", "genexp.diffusion", Prediction)
samplers = Registry("sampler", "genexp.diffusion", DiffusionSampler)
guidances = Registry("guidance", "genexp.diffusion", Guidance)
