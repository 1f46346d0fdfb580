"""How close a learnt velocity field is to the optimal one."""

import torch

from genexp.data.cells import UniformCells
from genexp.models.base import HasVelocity


@torch.no_grad()
def excess_loss(model: HasVelocity, density: UniformCells, n: int, device: torch.device, seed: int = 0) -> float:
    """E|v − v*|² per element over t ~ U(0, 1) and x_t: what the flow-matching loss has above its floor, without its noise.

    E|v − (y − x₀)|² = E|v − v*|² + E|v* − (y − x₀)|², because v* is the conditional mean; the second term is the floor.
    """
    x_t, t = density.path_points(n, torch.Generator(density.device).manual_seed(seed))
    x_t, t = x_t.float(), t.float().clamp(max=1 - 1e-6)
    learnt = model.velocity(x_t.to(device), t.to(device)).to(x_t)
    return float((learnt.double() - density.optimal_velocity(x_t.double(), t)).square().mean())
