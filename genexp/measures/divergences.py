"""How near a Gaussian comes to two peaks, by the forward and by the reverse divergence."""

import torch
from torch import Tensor

from genexp.measures.record import Value, measure
from genexp.subject import Subject, once

MODEL, DATA = {"both_divergences"}, {"distances"}


@once
@torch.no_grad()
def reached(subject: Subject) -> tuple[Tensor, Tensor]:
    """KL(p ‖ q) of the one Gaussian and KL(q ‖ p) of the other, of each coordinate, (dim,), float64."""
    density, model = subject.density, subject.model
    covering, choosing = (
        (each.mean.double().cpu(), each.log_std.exp().double().cpu()) for each in (model.forward_kl, model.reverse_kl)
    )
    return density.forward_kl(*covering), density.reverse_kl(*choosing)


@measure(
    "excess_forward_kl",
    "KL(data ‖ Gaussian) above the least possible, at the worst distance, nats",
    better="lower",
    headline=33,
    model=MODEL,
    data=DATA,
)
def excess_forward_kl(subject: Subject) -> Value:
    return Value(float((reached(subject)[0] - subject.density.best_forward).max()), floor=0.0)


@measure(
    "excess_reverse_kl",
    "KL(Gaussian ‖ data) above the nearest local minimum, at the worst distance, nats",
    better="lower",
    headline=34,
    model=MODEL,
    data=DATA,
)
def excess_reverse_kl(subject: Subject) -> Value:
    """Which of the two minima is reached, the start decides."""
    above = reached(subject)[1] - subject.density.minima_reverse
    nearest = above.abs().argmin(0, keepdim=True)
    return Value(float(above.gather(0, nearest).max()), floor=0.0)
