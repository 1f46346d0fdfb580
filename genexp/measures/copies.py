"""Whether samples are only remembered: how near they lie to training examples."""

import torch
from torch import Tensor

from genexp.data.base import unit_interval
from genexp.measures.record import Value, measure
from genexp.subject import Subject

MOST = 2_000  # pictures of each kind
LEAST = 8  # of fewer nothing is said
_VALUES = 12_000_000  # compared at a time: 50 MB
_PRODUCTS = 500_000_000_000  # multiplications that a search may cost: about twenty seconds on two cores
_CANDIDATES = 4  # of each part, whose distance is found again without rounding


@measure(
    "nearest_train_ratio",
    "distance to the nearest training picture, relative; far below 1: copies",
    data={"examples", "pictures"},
    constraint="novelty",
)
def nearest_train_ratio(subject: Subject) -> Value | None:
    """Of as many samples as `genexp.measures.likeness` compares; None where it compares none."""
    data, count = subject.data, compared(len(subject.data.train), len(subject.samples))
    if not count:
        return None
    samples = subject.samples.to(subject.device)[:count]
    with torch.autocast(subject.device.type, enabled=False):
        return Value(ratio_of_distances(samples, data.test.few(MOST).batch().x, data.train.x))


def compared(examples: int, samples: int) -> int:
    """How many pictures of each kind are compared: half of the training examples, MOST at most; 0 where that is too few."""
    count = min(examples // 2, MOST, samples)
    return count if count >= LEAST else 0


def ratio_of_distances(samples: Tensor, test: Tensor, train: Tensor) -> float | None:
    """How near samples lie to training examples, against how near test examples do (medians of the distances).

    Far below 1 the model repeats what it was shown. Where half the test examples are themselves training examples, nothing can
    be nearer: 1 if samples are as near, None if not.
    """
    near, usual = (float(nearest_distance(x[: searched(len(x), train)], train).sqrt().median()) for x in (samples, test))
    if usual > 0:
        return near / usual
    return 1.0 if near == 0 else None


def nearest_distance(x: Tensor, others: Tensor) -> Tensor:
    """The squared distance of each example x (n, …) to the nearest of the others (m, …), (n,); bytes count as k/255.

    The others are taken a part at a time. In each part one product finds the nearest few, and their own differences the
    distance: of a copy it is 0.
    """
    x = x.flatten(1)
    centre = unit_interval(others[:1].flatten(1))
    best = torch.full((len(x),), torch.inf, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
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
