"""How close a learnt velocity field is to the optimal one."""

import torch

from genexp.data.cells import UniformCells
from genexp.models.base import HasVelocity


@torch.no_grad()
def excess_loss(model: HasVelocity, density: UniformCells, n: int, seed: int = 0) -> float:
    """E|v − v*|² per element over t ~ U(0, 1) and x_t: what the flow-matching loss has above its floor, without its noise.

    E|v − (y − x₀)|² = E|v − v*|² + E|v* − (y − x₀)|², because v* is the conditional mean; the second term is the floor.
    """
    generator = torch.Generator(density.device).manual_seed(seed)
    x_t, t = density.path_points(n, generator)
    x_t, t = x_t.float(), t.float().clamp(max=1 - 1e-6)
    difference = model.velocity(x_t, t).double() - density.optimal_velocity(x_t.double(), t.double())
    return float(difference.square().mean())
