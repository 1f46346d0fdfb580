"""Whether one sample is another than the next, also where both are of one condition."""

import torch
from torch import Tensor

from genexp.data.base import unit_interval
from genexp.measures.record import Value, Values, measure
from genexp.seeds import seed_for
from genexp.subject import Subject

MOST, LEAST = 1_000, 10  # samples whose pairs are compared; of fewer nothing is said


@measure(
    "diversity",
    "mean distance between two samples over that between two examples, of one class where these are asked for: 0, all are the "
    "same; /distinct: share of samples that are equal to no other",
    better="exact",
    data={"drawn"},
    constraint="stochasticity",
)
def diversity(subject: Subject) -> Values:
    """Beside what other examples of the data get. None where there are too few."""
    count = min(MOST, subject.settings.evaluation.batch_size, len(subject.samples))
    data = subject.data.heldout(2 * count, seed_for(subject.settings.seed, "diversity"))
    count = min(count, len(data.x) // 2)
    if count < LEAST:
        return None
    labelled = "classes" in subject.can and data.label is not None
    of_samples = subject.sampler.labels(count) if labelled else None
    parts = slice(0, count), slice(count, 2 * count)
    real, other = (spread(data.x[part].cpu(), data.label[part] if labelled else None) for part in parts)  # type: ignore[index]
    found = spread(subject.samples[:count], of_samples)
    if real is None or other is None or found is None or real == 0:
        return None
    samples, examples = (distinct(x[:count].cpu()) for x in (subject.samples, data.x))
    return {"": Value(found / real, exact=1.0, real_vs_real=other / real), "distinct": Value(samples, real_vs_real=examples)}


def spread(x: Tensor, label: Tensor | None = None) -> float | None:
    """The mean distance of two of n examples x (n, …), of one class where they have some (n,); None where there are no two.

    Of numbers, and of bytes as k/255, the Euclidean one; of symbols the number of places where they differ.
    """
    flat = x.flatten(1)
    if flat.is_floating_point() or flat.dtype == torch.uint8:
        distances = torch.cdist(unit_interval(flat).double(), unit_interval(flat).double())
    else:
        distances = torch.stack([(row != flat).sum(1) for row in flat]).double()
    pairs = ~torch.eye(len(flat), dtype=torch.bool)
    if label is not None:
        pairs &= (label[:, None] == label).cpu()
    return float(distances[pairs].mean()) if bool(pairs.any()) else None


def distinct(x: Tensor) -> float:
    """The share of n examples x (n, …) that are equal to no other."""
    _, counts = torch.unique(x.flatten(1), dim=0, return_counts=True)
    return float((counts == 1).sum()) / len(x)
