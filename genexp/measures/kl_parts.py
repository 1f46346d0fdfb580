"""What the KL term of a VAE consists of, over test examples: mutual information, total correlation, the marginals' divergence.

q(z) is here the mean of the posteriors of these examples, exactly; only z is drawn. So the mutual information is ln n at most.
"""

import math

import torch
from torch import Tensor

from genexp.latent.total_correlation import Parts, decompose
from genexp.machine.device import all_digits
from genexp.measures.likelihood import standard_error
from genexp.measures.record import Value, cannot_see, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL = {"unit_kl"}
MOST = 2_000  # test examples, each of which is compared with each
VALUES = 8_000_000  # held at a time


@once
@torch.no_grad()
def parts(subject: Subject) -> Parts:
    """Of the first test examples, (n,), in nats, on the CPU."""
    few = subject.test[:MOST]
    seed = seed_for(subject.settings.seed, "parts of the KL")
    with seeded(seed, subject.device), all_digits(subject.device):
        parameters = subject.model.infer(few.x, few.label).float()
        drawn = subject.model.importance(few.x, few.label, 1, parameters)
    z, log_posterior, log_prior = (of_all[0].float() for of_all in (drawn.z, drawn.log_posterior, drawn.log_prior))
    n = len(z)
    even = torch.full((1, 1), -math.log(n), device=z.device)
    at_once = max(1, VALUES // (n * z.shape[1]))
    rows = zip(z.split(at_once), log_posterior.split(at_once), log_prior.split(at_once), strict=True)
    found = [decompose(parameters, *row, even.expand(len(row[0]), n)) for row in rows]
    return Parts(*(torch.cat([getattr(part, name) for part in found]).double().cpu() for name in Parts.__dataclass_fields__))


def _value(nats: Tensor) -> Value:
    return Value(float(nats.mean()), error=standard_error(nats))


@measure("mutual_information", "I(x; z) of the test examples and their latents, nats; ln of their number at most", model=MODEL)
@cannot_see("what the information is about; above ln of the number of examples it is cut off")
def mutual_information(subject: Subject) -> Value:
    return _value(parts(subject).mutual_information)


@measure("total_correlation", "KL(q(z) ‖ Π q(z_d)), how far the latents are from independent, nats", better="lower", model=MODEL)
@cannot_see("which latents depend on each other")
def total_correlation(subject: Subject) -> Value:
    return _value(parts(subject).total_correlation)


@measure(
    "dimension_kl", "KL(Π q(z_d) ‖ p(z)), how far each latent by itself is from the prior, nats", better="lower", model=MODEL
)
@cannot_see("dependence between latents")
def dimension_kl(subject: Subject) -> Value:
    return _value(parts(subject).dimension_kl)
