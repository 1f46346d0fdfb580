"""Straight paths from noise to data, and the loss whose minimum is the mean velocity along them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PathSample:
    """Points x_t, shape (n, dim), of straight paths at times t, shape (n,), and their velocities y − x₀."""

    x_t: Tensor
    t: Tensor
    velocity: Tensor


def straight_path(x_0: Tensor, y: Tensor, t: Tensor) -> PathSample:
    """x_t = (1−t) x₀ + t y and dx_t/dt = y − x₀."""
    time = t[:, None]
    return PathSample(x_t=(1 - time) * x_0 + time * y, t=t, velocity=y - x_0)


def flow_matching_loss(velocity: Callable[[Tensor, Tensor], Tensor], y: Tensor) -> Tensor:
    """E|v(x_t, t) − (y − x₀)|² per element over t ~ U(0, 1) and x₀ ~ N(0, I), for data y (n, dim) and any field v."""
    path = straight_path(torch.randn_like(y), y, uniform_times(len(y), y.device))
    return (velocity(path.x_t, path.t) - path.velocity).square().mean()


def uniform_times(n: int, device: torch.device) -> Tensor:
    """n stratified times, uniform on (0, 1), without its ends."""
    return stratified(n, device).clamp(1e-5, 1 - 1e-5)


def stratified(n: int, device: torch.device) -> Tensor:
    """n numbers uniform on (0, 1), one in each of n equal intervals: the same mean with far less variance."""
    return (torch.arange(n, device=device) + torch.rand(n, device=device)) / max(n, 1)
