"""Likelihoods of latent-variable models, p(x) = ∫ p(x|z) p(z) dz: their bounds, and the integral itself where it can be had.

What bounds ln p(x) has a higher floor than `reconstruction`: no model knows beforehand which picture will come.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.data.images import ImageSet
from genexp.machine.distributed import sharded
from genexp.measures.record import Value, measure
from genexp.metrics.floors import picture_information
from genexp.metrics.latent import active_units as count_active
from genexp.metrics.latent import bounds, fitted_posteriors
from genexp.metrics.latent import quadrature_nll as integrated
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

Scores = dict[str, np.ndarray]


def score(subject: Subject, batch: Batch) -> Scores:
    """What the model says of each example, in nats, (n,) each: all the bounds that it can give."""
    model, settings = subject.model, subject.settings.evaluation
    found: dict[str, Tensor] = {}
    with seeded(seed_for(subject.settings.seed, "test"), subject.device):
        if "posterior" in subject.can:
            bound = bounds(model, batch, settings.importance_samples)
            found |= {"neg_elbo": bound.neg_elbo, "reconstruction": bound.reconstruction, "kl": bound.kl}
            found |= {"iwae_nll": bound.iwae_nll, "effective_samples": bound.effective_samples}
        if "pairs" in subject.can:
            with torch.autocast(subject.device.type, enabled=False):
                found["quadrature_nll"] = integrated(model, batch.x, settings.quadrature_side)
    return {name: values.double().cpu().numpy() for name, values in found.items()}


@once
def scores(subject: Subject) -> Scores:
    """Of the test examples."""
    return score(subject, subject.test)


@dataclass(frozen=True)
class Known:
    """What −ln p(x|z) and −ln p(x) of the test examples cannot fall below, and what the mean of all training examples gets."""

    pixels: float | None = None
    examples: float | None = None
    blind: float | None = None


@once
def known(subject: Subject) -> Known:
    """Nothing, where p(x|z) has no such bound."""
    likelihood, batch = subject.model.likelihood, subject.test
    pixels = likelihood.floor(batch.x)
    if pixels is None:
        return Known()
    with seeded(seed_for(subject.settings.seed, "floor"), subject.device):
        information = picture_information(batch.x, batch.label if "classes" in subject.can else None)
    if not {"examples", "pictures"} <= subject.knows:
        return Known(pixels, pixels + information)
    train = subject.data.train
    mean = sum(part.float().sum(0) for part in train.x.split(4096)) / len(train) / 255
    raw = likelihood.from_mean(mean).expand_as(batch.x)
    return Known(pixels, pixels + information, -float(likelihood.log_prob(batch.x, raw).mean()))


def mean_score(subject: Subject, name: str) -> float:
    return float(scores(subject)[name].mean())


@measure("neg_elbo", "−ELBO, a bound of −ln p(x), nats an example", better="lower", headline=20, model={"posterior", "latents"})
def neg_elbo(subject: Subject) -> Value:
    about = known(subject)
    return Value(mean_score(subject, "neg_elbo"), floor=about.examples, baseline=about.blind)


@measure("reconstruction", "−E ln p(x|z), nats an example", better="lower", model={"posterior", "latents"})
def reconstruction(subject: Subject) -> Value:
    return Value(mean_score(subject, "reconstruction"), floor=known(subject).pixels)


@measure("kl", "KL(q(z|x) ‖ p(z)), nats an example", model={"posterior", "latents"})
def kl(subject: Subject) -> Value:
    return Value(mean_score(subject, "kl"))


@measure(
    "iwae_nll",
    "−ln p(x) bounded by importance-weighted samples, nats an example",
    better="lower",
    headline=65,
    model={"posterior", "latents"},
)
def iwae_nll(subject: Subject) -> Value:
    return Value(mean_score(subject, "iwae_nll"), floor=known(subject).examples)


@measure("effective_samples", "how many of the weighted samples count", better="higher", model={"posterior", "latents"})
def effective_samples(subject: Subject) -> Value:
    return Value(mean_score(subject, "effective_samples"))


@measure("importance_samples", "posterior samples of each example for iwae_nll", model={"posterior", "latents"})
def importance_samples(subject: Subject) -> Value:
    return Value(subject.settings.evaluation.importance_samples)


@measure(
    "quadrature_nll",
    "−ln p(x) itself, by quadrature over the latent plane, nats an example",
    better="lower",
    headline=60,
    model={"pairs", "latents"},
)
def quadrature_nll(subject: Subject) -> Value:
    about = known(subject)
    return Value(mean_score(subject, "quadrature_nll"), floor=about.examples, baseline=about.blind)


@measure(
    "quadrature_error", "quadrature_nll against half as many points a side, nats", better="lower", model={"pairs", "latents"}
)
def quadrature_error(subject: Subject) -> Value:
    with torch.autocast(subject.device.type, enabled=False):
        coarse = integrated(subject.model, subject.test.x, subject.settings.evaluation.quadrature_side // 2)
    return Value(abs(float(coarse.double().mean()) - mean_score(subject, "quadrature_nll")))


@measure(
    "amortization_gap",
    "what the ELBO gains when each posterior is optimised for its own example, nats",
    better="lower",
    model={"posterior", "latents"},
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
def amortization_gap(subject: Subject) -> Value:
    """Over the first few test examples."""
    settings = subject.settings.evaluation
    few, k = subject.test[: settings.amortization_images], settings.importance_samples
    with (
        torch.enable_grad(),
        seeded(seed_for(subject.settings.seed, "amortization"), subject.device),
        torch.autocast(subject.device.type, enabled=False),
    ):
        fitted = fitted_posteriors(subject.model, few)
        gain = bounds(subject.model, few, k).neg_elbo.mean() - bounds(subject.model, few, k, fitted).neg_elbo.mean()
    return Value(float(gain))


@measure(
    "amortization_images",
    "test examples that amortization_gap is over",
    model={"posterior", "latents"},
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
def amortization_images(subject: Subject) -> Value:
    return Value(len(subject.test[: subject.settings.evaluation.amortization_images].x))


# --- where examples lie --------------------------------------------------------------------------------------


def latent_points(subject: Subject, pictures: ImageSet) -> Tensor:
    """Where the model puts pictures, (n, latent), on the CPU; bytes become floats a part at a time."""

    def encode(start: int) -> Tensor:
        part = pictures[start : start + 512].batch()
        return subject.model.encode(part.x, part.label).float().cpu()

    return torch.cat(sharded(range(0, len(pictures), 512), encode))


@once
def test_latents(subject: Subject) -> Tensor:
    """Of the test pictures."""
    return latent_points(subject, subject.test_part)


@measure("active_units", "latent dimensions that the encoder uses", model={"latents"}, data={"examples", "pictures"})
def active_units(subject: Subject) -> Value:
    return Value(count_active(test_latents(subject)))
