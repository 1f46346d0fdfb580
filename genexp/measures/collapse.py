"""Which latent dimensions say something of an example, and which have collapsed: their posterior is the prior, whatever x is."""

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures.linear import trained
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject, once

COLLAPSED = 0.01  # nats of KL that a collapsed dimension carries at most
PART = 2_048  # examples at a time


@once
@torch.no_grad()
def unit_kl(subject: Subject) -> Tensor:
    """KL(q ‖ p) of each latent dimension in nats, a mean over the test examples, of a linear model over training examples;
    (latent,), on the CPU.
    """
    if "linear" in subject.can:
        return trained(subject).kl  # of those whose optimum is known
    with all_digits(subject.device):
        parts = [subject.model.unit_kl(few.x, few.label) for few in subject.test.split(PART)]
    return torch.cat(parts).double().mean(0).cpu()


@measure(
    "collapsed_units",
    f"latent dimensions whose posterior is the prior, a KL below {COLLAPSED}; exact, of a linear model: so many as theory says",
    better="lower",
    model={"unit_kl"},
)
@cannot_see("dimensions that say a little and nothing of use")
def collapsed_units(subject: Subject) -> Value:
    exact = int((trained(subject).kl_in_theory < COLLAPSED).sum()) if "linear" in subject.can else None
    return Value(int((unit_kl(subject) < COLLAPSED).sum()), exact=exact)
