"""Samplers that have nothing of their own."""

import torch
from torch import Tensor

from genexp.failures.base import Real, failures, within

NOISE, DISTINCT = 0.05, 20


@failures.register("copies")
def copies(real: Real, n: int) -> Tensor:
    """training examples, each once"""
    return real.train[:n]


@failures.register("noisy_copies")
def noisy_copies(real: Real, n: int) -> Tensor:
    """training examples with noise, a twentieth of a mode's width"""
    x = real.train[:n]
    return within(real, x + NOISE * real.spread * torch.randn_like(x))


@failures.register("few_distinct")
def few_distinct(real: Real, n: int) -> Tensor:
    """the same twenty true samples again and again"""
    return real.fresh[:DISTINCT][torch.randint(min(DISTINCT, len(real.fresh)), (n,))]
