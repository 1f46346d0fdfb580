"""Samplers whose every sample is a true one: only how often each comes is wrong."""

import torch
from torch import Tensor

from genexp.failures.base import Real, failures

TEMPERATURE = 0.7


@failures.register("lost_mode")
def lost_mode(real: Real, n: int) -> Tensor:
    """one mode, or class, never comes"""
    lost = torch.randint(real.modes, ())
    return real.fresh[real.mode != lost][:n]


@failures.register("wrong_weight")
def wrong_weight(real: Real, n: int) -> Tensor:
    """one mode, or class, comes twice as often as it should"""
    often = torch.randint(real.modes, ())
    kept = (real.mode == often) | (torch.rand(len(real.mode)) < 0.5)
    return real.fresh[kept][:n]


@failures.register("sharpened")
def sharpened(real: Real, n: int) -> Tensor:
    """p^(1/T), temperature T = 0.7: the likeliest come too often"""
    log_weight = (1 / TEMPERATURE - 1) * real.log_density.double()
    chosen = (log_weight - torch.empty_like(log_weight).exponential_().log()).topk(n).indices  # Gumbel: without replacement
    return real.fresh[chosen[torch.randperm(n)]]
