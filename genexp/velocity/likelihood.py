"""The likelihood of a continuous flow: the velocity is followed from the data back to the noise."""

import math

import torch
from torch import Tensor

from genexp.nn.divergence import divergence
from genexp.samplers.ode import Solver, Velocity

EXACT_DIVERGENCE = 4  # dimensions up to which the divergence costs one backward pass each
EVEN_SHARE = 0.125  # of the steps, even in t; the others are even in ln τ, where a field of fine detail changes


def log_prob(velocity: Velocity, x: Tensor, times: Tensor, solver: Solver, refinement: float = 1) -> Tensor:
    """ln p(x), (n,), in nats, of points x, (n, dim), that dx/dt = v(x, t) has brought from N(0, I) at t = 0:

        ln p(x) = ln N(x₀; 0, I) − ∫₀¹ div v(x_t, t) dt

    with the exact divergence in up to four dimensions and Hutchinson's estimate εᵀ(∂v/∂x)ε beyond (one Rademacher ε per
    point for the whole path), at `times`, (k,), from 1 down to 0. Source: Grathwohl et al., FFJORD (2019).
    """
    dim = x.shape[1]
    probe = None if dim <= EXACT_DIVERGENCE else torch.randint_like(x, 2) * 2 - 1

    def motion(state: Tensor, t: Tensor) -> Tensor:
        with torch.enable_grad():
            position = state[:, :dim].detach().contiguous().requires_grad_(True)
            moved = velocity(position, t)
            return torch.cat([moved.detach(), divergence(moved, position, probe)[:, None]], dim=1)

    with torch.no_grad():
        start = torch.cat([x, torch.zeros_like(x[:, :1])], dim=1)
        end = solver.solve_closely(motion, start, times.to(x.dtype).unique().flip(0), refinement)[-1]
    x_0, gained = end[:, :dim], end[:, dim]
    log_base = -0.5 * x_0.square().sum(1) - 0.5 * dim * math.log(2 * math.pi)
    return log_base + gained


def likelihood_times(finest: float, steps: int, device: torch.device) -> Tensor:
    """About `steps` times from 1 back to 0, even in t or in ln τ, down to half the `finest` τ that the field was trained at."""
    even = torch.linspace(0, 1, round(EVEN_SHARE * steps), device=device, dtype=torch.float64)
    low, high = math.log10(finest / 2), 1.0
    tau = torch.logspace(low, high, steps - len(even), device=device, dtype=torch.float64)
    return torch.cat([even, 1 / (1 + tau)]).unique().flip(0)
