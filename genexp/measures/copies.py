"""Whether samples are only remembered: how near they lie to training examples."""

import math

import torch
from torch import Tensor

from genexp.data.base import unit_interval
from genexp.machine.device import all_digits
from genexp.measures.on_trial import Clouds, on_trial
from genexp.measures.record import Value, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

MOST = 2_000  # pictures of each kind
MOST_POINTS = 20_000  # training points that are searched
LEAST = 8  # of fewer nothing is said
_VALUES = 12_000_000  # compared at a time: 50 MB
_PRODUCTS = 500_000_000_000  # multiplications that a search may cost: about twenty seconds on two cores
_CANDIDATES = 4  # of each part, whose distance is found again without rounding


@once
def distances(subject: Subject) -> tuple[Tensor, Tensor] | None:
    """How far samples, and test examples, lie from their nearest training example, (n,), (m,); None where too few are compared.

    Of pictures as many samples as `genexp.measures.likeness` compares.
    """
    data = subject.data
    if "pictures" in subject.knows:
        count = compared(len(data.train), len(subject.samples))
        test, train = data.test.few(MOST).batch().x, data.train.x
    else:
        count = min(MOST, len(subject.samples), len(subject.target))
        test, train = subject.target[:MOST], data.examples(MOST_POINTS, seed_for(subject.settings.seed, "nearest")).x.cpu()
    if count < LEAST:
        return None
    samples = subject.samples[:count].to(train.device)
    near, usual = (nearest_distance(x[: searched(len(x), train)], train).sqrt() for x in (samples, test))
    return near, usual


@on_trial("nearest_train_ratio", "memorisation", space="raw")
def both(clouds: Clouds) -> tuple[float, float]:
    """Of clouds on trial: what is held out stands for the test examples."""
    near, usual = (nearest_distance(x, clouds.train).sqrt() for x in (clouds.samples, clouds.real))
    ratio = ratio_of(near, usual)
    return math.nan if ratio is None else ratio, memorised(near, usual)


@measure(
    "nearest_train_ratio",
    "distance to the nearest training example, relative to that of test examples; far below 1: copies",
    data={"examples", "pictures|points"},
    sees=("copies", "noisy_copies"),
    cannot_see=("outliers", "wrong_weight"),
    constraint="novelty",
)
def nearest_train_ratio(subject: Subject) -> Value | None:
    """Medians. None where too few are compared."""
    if (found := distances(subject)) is None:
        return None
    return Value(ratio_of(*found))


@measure(
    "memorisation",
    "chance that a sample lies nearer to a training example than a test example does: 0.5 is right, 1 are copies",
    better="exact",
    unit="0 to 1",
    data={"examples", "pictures|points"},
    sees=("copies", "noisy_copies", "sharpened"),
    cannot_see=("outliers",),
)
def memorisation(subject: Subject) -> Value | None:
    """The standard error is that of chance."""
    if (found := distances(subject)) is None:
        return None
    n, m = map(len, found)
    return Value(memorised(*found), exact=0.5, error=math.sqrt((n + m + 1) / (12 * n * m)))


def memorised(near: Tensor, usual: Tensor) -> float:
    """P(a < b) + ½ P(a = b), a of `near` (n,), b of `usual` (m,): Mann and Whitney's U / nm.

    Source: Meehan et al., A Non-Parametric Test to Detect Data-Copying in Generative Models (2020).
    """
    below = torch.searchsorted(usual.sort().values, near.contiguous(), right=True).double()
    below_or_equal = torch.searchsorted(usual.sort().values, near.contiguous()).double()
    return 1 - float((below + below_or_equal).mean()) / (2 * len(usual))


def compared(examples: int, samples: int) -> int:
    """How many pictures of each kind are compared: half of the training examples, MOST at most; 0 where that is too few."""
    count = min(examples // 2, MOST, samples)
    return count if count >= LEAST else 0


def ratio_of_distances(samples: Tensor, test: Tensor, train: Tensor) -> float | None:
    """How near samples lie to training examples, against how near test examples do (medians of the distances).

    Far below 1 the model repeats what it was shown. Where half the test examples are themselves training examples, nothing can
    be nearer: 1 if samples are as near, None if not.
    """
    return ratio_of(*(nearest_distance(x[: searched(len(x), train)], train).sqrt() for x in (samples, test)))


def ratio_of(near: Tensor, usual: Tensor) -> float | None:
    """The same of the distances."""
    a, b = float(near.median()), float(usual.median())
    if b > 0:
        return a / b
    return 1.0 if a == 0 else None


def nearest_distance(x: Tensor, others: Tensor) -> Tensor:
    """The squared distance of each example x (n, …) to the nearest of the others (m, …), (n,); bytes count as k/255.

    The others are taken a part at a time. In each part one product finds the nearest few, and their own differences the
    distance: of a copy it is 0.
    """
    x = x.flatten(1)
    centre = unit_interval(others[:1].flatten(1))
    best = torch.full((len(x),), torch.inf, device=x.device)
    with all_digits(x.device):
        for few in others.flatten(1).split(max(1, _VALUES // max(x.shape[1], len(x)))):
            part = unit_interval(few)
            shifted = part - centre
            squares = torch.addmm(shifted.square().sum(1), x - centre, shifted.T, alpha=-2)  # but for |x|²
            for nearest in squares.topk(min(_CANDIDATES, len(part)), dim=1, largest=False).indices.T:
                best = torch.minimum(best, (x - part[nearest]).square().sum(1))
    return best


def searched(count: int, others: Tensor) -> int:
    """How many of `count` examples are compared with all the others: as many as take no more than about twenty seconds."""
    return max(1, min(count, _PRODUCTS // others.numel()))
