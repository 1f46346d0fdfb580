"""How near samples are to the data, as clouds of points."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from genexp.divergences import wasserstein as transport
from genexp.measures import distances
from genexp.measures.distances import KERNEL
from genexp.measures.likelihood import standard_error
from genexp.measures.neighbours import COVERAGE, DENSITY, PRECISION, RECALL, Likeness, likeness
from genexp.measures.on_trial import Clouds, on_trial
from genexp.measures.record import Value, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

COMPARED = 1_000  # points of each cloud: pairing them takes about n³ operations
LEAST = 10  # points of each cloud: of fewer nothing is said
DATA = {"points", "drawn"}


@measure(
    "sliced_wasserstein",
    "distance between samples and data, in their units",
    better="lower",
    headline=90,
    data=DATA,
    sees=("few_distinct", "lost_mode"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers"),
)
def sliced_wasserstein(subject: Subject) -> Value:
    """Beside what as many other points of the data get; of a finite set those of the validation part, and of all alike many."""
    more = subject.data.heldout(len(subject.target), seed_for(subject.settings.seed, "floor")).x.cpu()
    count = min(len(subject.target), len(more), len(subject.samples))
    target = subject.target[:count]
    return Value(
        distances.sliced_wasserstein(subject.samples[:count], target), floor=distances.sliced_wasserstein(more[:count], target)
    )


@once
def clouds(subject: Subject) -> tuple[Tensor, Tensor, Tensor] | None:
    """Samples, and two disjoint clouds of as many points of the data, (n, dim) each; None where there are too few."""
    count = min(COMPARED, len(subject.samples))
    real = subject.data.heldout(2 * count, seed_for(subject.settings.seed, "clouds")).x.cpu()
    count = min(count, len(real) // 2)
    return None if count < LEAST else (subject.samples[:count], real[:count], real[count : 2 * count])


@measure(
    "wasserstein",
    "W₁, the mean way from samples to data where each goes to its own, in their units; over a thousand of each",
    better="lower",
    data=DATA,
    sees=("few_distinct", "lost_mode"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers"),
)
def wasserstein(subject: Subject) -> Value | None:
    """Beside what two clouds of the data get, by an optimal assignment."""
    return _between(subject, transport.wasserstein)


@measure(
    "c2st",
    "how often a classifier tells samples from data, of those that it has not seen: 0.5 is chance",
    better="lower",
    data=DATA,
    sees=("few_distinct",),
    cannot_see=("blur", "copies", "noisy_copies", "outliers"),
    constraint="resemblance",
)
def c2st(subject: Subject) -> Value | None:
    """Beside how often it tells two clouds of the data apart; the standard error is that of chance."""
    if (found := clouds(subject)) is None:
        return None
    samples, real, other = found
    error = math.sqrt(1 / (8 * len(real)))
    accuracy, chance = (distances.two_sample_accuracy(real, cloud) for cloud in (samples, other))
    return Value(accuracy, real_vs_real=chance, error=error)


@measure(
    "mmd",
    KERNEL,
    better="lower",
    data=DATA,
    sees=("few_distinct", "lost_mode"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers"),
)
def mmd(subject: Subject) -> Value | None:
    """Beside what two clouds of the data get."""
    return _between(subject, distances.mmd)


@measure(
    "frechet",
    "Fréchet distance: by mean and covariance alone, in squared units",
    better="lower",
    data=DATA,
    sees=("few_distinct",),
    cannot_see=("blur", "copies", "noisy_copies", "outliers", "shift"),
)
def frechet(subject: Subject) -> Value | None:
    """Beside what two clouds of the data get."""
    return _between(subject, distances.frechet)


def _between(subject: Subject, distance: Callable[[Tensor, Tensor], float]) -> Value | None:
    if (found := clouds(subject)) is None:
        return None
    samples, real, other = found
    return Value(distance(samples, real), real_vs_real=distance(other, real))


@once
def neighbours(subject: Subject) -> tuple[Likeness, Likeness] | None:
    """Of the samples, and of a second cloud of the data, among a cloud of the data."""
    if (found := clouds(subject)) is None:
        return None
    samples, real, other = found
    return likeness(real, samples), likeness(real, other)


def _of(subject: Subject, name: str) -> Value | None:
    if (found := neighbours(subject)) is None:
        return None
    value, best = (getattr(each, name) for each in found)
    return Value(value, real_vs_real=best)


@measure(
    "precision",
    PRECISION,
    better="higher",
    data=DATA,
    sees=("blur",),
    cannot_see=("copies", "lost_mode", "noisy_copies", "sharpened", "shift", "wrong_weight"),
)
def precision(subject: Subject) -> Value | None:
    return _of(subject, "precision")


@measure(
    "recall",
    RECALL,
    better="higher",
    data=DATA,
    sees=("few_distinct", "lost_mode", "sharpened"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers", "shift", "wrong_weight"),
)
def recall(subject: Subject) -> Value | None:
    return _of(subject, "recall")


@measure(
    "density",
    DENSITY,
    better="higher",
    data=DATA,
    sees=("blur",),
    cannot_see=("copies", "lost_mode", "noisy_copies", "outliers", "sharpened", "wrong_weight"),
)
def density(subject: Subject) -> Value | None:
    return _of(subject, "density")


@measure(
    "coverage",
    COVERAGE,
    better="higher",
    data=DATA,
    sees=("few_distinct", "lost_mode"),
    cannot_see=("copies", "noisy_copies", "outliers", "wrong_weight"),
    constraint="coverage",
)
def coverage(subject: Subject) -> Value | None:
    return _of(subject, "coverage")


@measure(
    "share_variation",
    "half the sum of what the modes' shares of the samples differ from their masses by",
    unit="0 to 1",
    better="lower",
    data={"plane", "modes", "sampler"},
    sees=("few_distinct", "lost_mode", "wrong_weight"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers", "sharpened"),
)
def share_variation(subject: Subject) -> Value:
    """Beside what as many true samples get."""
    density = subject.density
    true = density.sample(len(subject.samples), torch.Generator().manual_seed(seed_for(subject.settings.seed, "shares")))
    gaps = [float((density.mode_shares(x) - density.mode_masses).abs().sum() / 2) for x in (subject.samples, true)]
    return Value(gaps[0], real_vs_real=gaps[1])


@measure(
    "sample_nll",
    "−E ln p of the samples under the data's own density, nats; its entropy is right, less is too sharp",
    better="exact",
    data={"points", "drawn", "density", "log_density"},
    sees=("blur", "few_distinct", "outliers", "sharpened"),
    cannot_see=("copies", "lost_mode", "noisy_copies", "wrong_weight"),
)
def sample_nll(subject: Subject) -> Value:
    log_p = subject.density.log_prob(subject.samples.double())
    return Value(
        -float(log_p.mean()) + subject.log_scale, exact=subject.density.entropy + subject.log_scale, error=standard_error(log_p)
    )


# --- on trial -----------------------------------------------------------------------------------------------


@on_trial("mmd", "frechet")
def by_moments_and_kernel(clouds: Clouds) -> list[float]:
    return [distances.mmd(clouds.samples, clouds.real), distances.frechet(clouds.samples, clouds.real)]


@on_trial("sliced_wasserstein", "wasserstein", data=["points"])
def by_ways(clouds: Clouds) -> list[float]:
    return [distances.sliced_wasserstein(clouds.samples, clouds.real), transport.wasserstein(clouds.samples, clouds.real)]


@on_trial("c2st", data=["points"], every=2)
def by_classifier(clouds: Clouds) -> list[float]:
    return [distances.two_sample_accuracy(clouds.samples, clouds.real)]


@on_trial("sample_nll", space="log_density")
def by_density(clouds: Clouds) -> list[float]:
    return [-float(clouds.samples.double().mean())]
