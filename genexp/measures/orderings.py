"""One set of weights in many orders: a joint distribution has one p(x); how far apart are those of the model?

    p(x) = Π_i p(x_σ(i) | x_σ(1), …, x_σ(i−1)) in each order σ;   of K of them the mixture (1/K) Σ_σ p_σ(x) is a model, too.

Source: Uria, Murray & Larochelle, A Deep and Tractable Density Estimator (2014); Germain et al., MADE (2015).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures.likelihood import PART, standard_error
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject, once

SCORED, TRAINED, UNSEEN = 4_096, 8, 4  # examples; orders of each kind


@dataclass(frozen=True)
class InOrders:
    """ln p of the same test examples in several orders, (orders, examples), in nats, on the CPU."""

    trained: Tensor
    unseen: Tensor


@torch.no_grad()
def log_prob_in(subject: Subject, order: Tensor) -> Tensor:
    """ln p of test examples in that order (dim,), (examples,)."""
    model = subject.model.in_ordering(order)
    with all_digits(subject.device):
        return torch.cat([model.log_prob(part).double().cpu() for part in subject.test.x[:SCORED].split(PART)])


@once
def in_orders(subject: Subject) -> InOrders:
    model = subject.model
    trained, unseen = range(min(TRAINED, model.orderings)), range(model.orderings, model.orderings + UNSEEN)
    found = [torch.stack([log_prob_in(subject, model.ordering(k)) for k in kind]) for kind in (trained, unseen)]
    return InOrders(*found)


def mixture(log_p: Tensor) -> Tensor:
    """ln (1/K) Σ_σ p_σ(x) of ln p_σ(x), (K, n) → (n,)."""
    return log_p.logsumexp(0) - math.log(len(log_p))


@measure(
    "nll_orderings",
    "−E ln p(x), mean over orders that the model was trained in, nats; /unseen: over orders that are new to it; /mixture: of the "
    "mixture of the trained ones; /spread: standard deviation between them of ln p(x) of one example, 0 of one joint p(x)",
    better="lower",
    headline=41,
    model={"orderings"},
    data={"drawn"},
)
@cannot_see("whether one order is better than another for a single example")
def nll_orderings(subject: Subject) -> dict[str, Value]:
    found = in_orders(subject)
    mean, unseen, mixed = found.trained.mean(0), found.unseen.mean(0), mixture(found.trained)
    spread = found.trained.std(0)
    return {
        "": Value(-float(mean.mean()), error=standard_error(mean)),
        "unseen": Value(-float(unseen.mean()), error=standard_error(unseen)),
        "mixture": Value(-float(mixed.mean()), error=standard_error(mixed)),
        "spread": Value(float(spread.mean()), floor=0.0, error=standard_error(spread)),
    }
