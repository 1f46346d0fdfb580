"""Exact comparisons of a model's density with a known one, by quadrature."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.distributed import sharded
from genexp.quadrature import Rule

LogProb = Callable[[Tensor], Tensor]


@torch.no_grad()
def in_parts(log_prob: LogProb, points: Tensor, batch_size: int) -> Tensor:
    """ln p at points (n, 2), found `batch_size` at a time: (n,), in float64 on the CPU."""
    return torch.cat(sharded(points.split(batch_size), lambda part: log_prob(part).double().cpu()))


@dataclass(frozen=True)
class Comparison:
    """kl: KL(truth ‖ model) in nats. mass: the model's integral over the rule's rectangle, 1 when nothing lies outside."""

    kl: float
    mass: float


def compare(log_truth: Tensor, log_model: Tensor, rule: Rule) -> Comparison:
    """Integrals of ln p and ln q given at the points of one rule.

    KL(p‖q) = ∫ p (ln p − ln q). Where p underflows to 0 the integrand is 0, whatever q is.
    """
    p = log_truth.exp()
    integrand = torch.where(p > 0, p * (log_truth - log_model), 0.0)
    return Comparison(kl=rule.integral(integrand), mass=rule.integral(log_model.exp()))
