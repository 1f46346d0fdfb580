"""The probability flow as one motion of points of unit variance, whatever the schedule: for exact likelihoods, and for films."""

import math

import torch
from torch import Tensor

from genexp.diffusion.base import Denoised
from genexp.samplers.ode import Velocity
from genexp.samplers.solvers import RK4, fixed_steps, rk4_solver
from genexp.velocity import likelihood


def flow_of(denoised: Denoised) -> Velocity:
    """dz/dλ, with z = m/√(1+τ²) and λ = −ln τ:

        dz/dλ = (D − m/(1+τ²)) / √(1+τ²),

    which is smooth, and of one size, at both ends: dm/dτ = ε̂ for every schedule.
    """

    def velocity(z: Tensor, clock: Tensor) -> Tensor:
        tau = torch.exp(-clock)
        spread = (1 + tau**2)[:, None]
        m = z * spread.sqrt()
        return (denoised(m, tau) - m / spread) / spread.sqrt()

    return velocity


def log_prob(denoised: Denoised, u: Tensor, ends: tuple[float, float], steps: int, refinement: float = 1) -> Tensor:
    """ln p(u), (n,), in nats, of points u, (n, dim), as those of the flow at the least noise level, which began as
    N(0, (1+τ²)I) at the largest.
    """
    low, high = ends
    clock = torch.linspace(-math.log(low), -math.log(high), round(refinement * steps) + 1, dtype=torch.float64)
    spread = math.sqrt(1 + low**2)
    found = likelihood.log_prob(flow_of(denoised), u / spread, clock.to(u.device), rk4_solver(), refinement)
    return found - u.shape[1] * math.log(spread)


@torch.no_grad()
def flow_samples(denoised: Denoised, noise: Tensor, ends: tuple[float, float], steps: int) -> Tensor:
    """Points u, (n, dim), of the same flow, from noise, (n, dim) ~ N(0, I), by so many steps of RK4."""
    low, high = ends
    clock = torch.linspace(-math.log(high), -math.log(low), steps + 1, dtype=torch.float64)
    return fixed_steps(flow_of(denoised), noise, clock.to(noise), RK4)[-1] * math.sqrt(1 + low**2)
