"""Ways through a latent space."""

import math

import torch
from torch import Tensor


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(1−s) z₁ + s z₂ for s from 0 to 1: (latent,), (latent,) → (steps, latent)."""
    s = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (1 - s) * start + s * end


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """(sin (1−s)Ω z₁ + sin sΩ z₂) / sin Ω, Ω the angle between them: the arc that keeps a distance from the origin.

    Where they are (nearly) parallel or opposite there is no one arc, and the way is straight.
    Source: Shoemake, Animating rotation with quaternion curves (1985); White, Sampling Generative Networks (2016).
    """
    cosine = torch.dot(start, end) / (start.norm() * end.norm()).clamp(min=1e-12)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if torch.sin(angle) < 1e-3:
        return linear(start, end, steps)
    s = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (torch.sin((1 - s) * angle) * start + torch.sin(s * angle) * end) / torch.sin(angle)


def four_corners(corners: Tensor, side: int) -> Tensor:
    """cos φ (z₁ cos φ′ + z₂ sin φ′) + sin φ (z₃ cos φ′ + z₄ sin φ′), φ and φ′ from 0 to π/2.

    corners (4, latent) → (side, side, latent): z₁ is at [0, 0], z₂ at [0, −1], z₃ at [−1, 0], z₄ at [−1, −1].
    """
    phi = torch.linspace(0, math.pi / 2, side, device=corners.device)
    weights = torch.stack([phi.cos(), phi.sin()])
    rows = (weights[:, :, None, None] * corners.view(2, 1, 2, -1)).sum(0)  # (side, 2, latent)
    return (weights[None, :, :, None] * rows[:, :, None, :]).sum(1)
