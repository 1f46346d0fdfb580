"""How near samples are to the data, as clouds of points."""

import math

from torch import Tensor

from genexp.measures import distances
from genexp.measures.record import Value, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

COMPARED = 1_000  # points of each cloud: pairing them takes about n³ operations
LEAST = 10  # points of each cloud: of fewer nothing is said
DATA = {"points", "drawn"}


@measure("sliced_wasserstein", "distance between samples and data, in their units", better="lower", headline=90, data=DATA)
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
)
def wasserstein(subject: Subject) -> Value | None:
    """Beside what two clouds of the data get, by an optimal assignment."""
    if (found := clouds(subject)) is None:
        return None
    samples, real, other = found
    return Value(distances.wasserstein(samples, real), real_vs_real=distances.wasserstein(other, real))


@measure(
    "c2st",
    "how often a classifier tells samples from data, of those that it has not seen: 0.5 is chance",
    better="lower",
    data=DATA,
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
