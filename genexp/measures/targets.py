"""How well samples with known weights stand for a density that is known up to its integral."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.distributed import sharded
from genexp.measures.likelihood import standard_error
from genexp.measures.record import Value, measure
from genexp.subject import Subject, once

MODEL, DATA = {"sample", "exact"}, {"log_density"}


@dataclass(frozen=True)
class Weighted:
    """ln w = ln p̃(x) − ln q(x) of n samples x ~ q of the model, in nats, (n,), float64."""

    log_weight: Tensor

    @property
    def log_z(self) -> float:
        """ln 1/n Σ w: an estimate of ln ∫ p̃, on average too low."""
        return float(self.log_weight.logsumexp(0)) - math.log(len(self.log_weight))

    @property
    def log_z_error(self) -> float:
        """Standard error of `log_z`: that of the mean weight, in units of it."""
        return standard_error((self.log_weight - self.log_z).exp())

    @property
    def ess(self) -> float:
        """Kish's effective sample size as a share of n: (Σ w)² / (n Σ w²)."""
        log_share = 2 * self.log_weight.logsumexp(0) - (2 * self.log_weight).logsumexp(0)
        return float(log_share.exp()) / len(self.log_weight)


@once
def weighted(subject: Subject) -> Weighted:
    """The run's own samples with their weights."""
    log_density = subject.data.heldout(1, 0).log_density
    parts = [(index, part) for index, part in enumerate(subject.samples.split(subject.settings.evaluation.batch_size))]

    def weigh(numbered: tuple[int, Tensor]) -> Tensor:
        x = numbered[1].to(subject.device)
        return (log_density(x).double() - subject.model.log_prob(x).double()).cpu()

    with torch.autocast(subject.device.type, enabled=False):
        return Weighted(torch.cat(sharded(parts, weigh)))


@measure(
    "reverse_kl",
    "KL(model ‖ data) over samples, nats",
    better="lower",
    headline=31,
    model=MODEL,
    data=DATA | {"log_z"},
    objective="reverse_kl",
)
def reverse_kl(subject: Subject) -> Value:
    log_weight = weighted(subject).log_weight
    return Value(subject.log_z - float(log_weight.mean()), floor=0.0, error=standard_error(log_weight))


@measure(
    "log_z",
    "ln of the density's integral by importance sampling, nats",
    better="exact",
    headline=32,
    model=MODEL,
    data=DATA,
    objective="reverse_kl",
)
def log_z(subject: Subject) -> Value:
    found = weighted(subject)
    return Value(found.log_z, exact=subject.log_z if "log_z" in subject.knows else None, error=found.log_z_error)


@measure(
    "ess",
    "effective sample size, a share of the samples",
    better="higher",
    headline=33,
    model=MODEL,
    data=DATA,
    objective="reverse_kl",
)
def ess(subject: Subject) -> Value:
    return Value(weighted(subject).ess, exact=1.0)
