"""What no latent-variable model can be below, whatever it has learnt.

What bounds ln p(x) has a higher floor than `reconstruction`: no model knows beforehand which picture will come.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.data.base import unit_interval
from genexp.data.images import ImageSet
from genexp.machine.device import all_digits
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

_PRODUCTS = 8_000_000_000  # multiplications that a floor may cost: under a second on two cores
_VALUES = 12_000_000  # held at a time: 50 MB
_IMPOSSIBLE = -1e4  # for ln 0, which no product takes


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
    floor = floor_of_bits(subject) if subject.data.spec.kind == "bits" else pixels + _information(subject, batch.x)
    if not likelihood.independent or not {"examples", "pictures"} <= subject.knows:
        return Known(pixels, floor)
    train = subject.data.train
    mean = sum(part.float().sum(0) for part in train.x.split(4096)) / len(train) / 255
    raw = likelihood.from_mean(mean).expand_as(batch.x)
    return Known(pixels, floor, -float(likelihood.log_prob(batch.x, raw).mean()))


@once
def floor_of_bits(subject: Subject) -> float:
    """What −mean ln p of test examples that are zeros and ones, b_i, cannot be expected to fall below; nats an example.

    Where they were drawn by greys x_i, the best that can be known beforehand is that one of these pictures will come:
    p(b) = 1/n Σ_j p(b|j), and −mean ln p(b_i) = −mean ln p(b_i|i) + I, the first of which is found on the very same bits.
    Where greys are not known, the first is 0, and ln n the second: Σ_b p(b) ≤ 1.
    """
    greys = subject.test_part.greys if {"examples", "pictures"} <= subject.knows else None
    return _information(subject, subject.test.x) if greys is None else floor_of_pictures(subject.test_part, subject)


def floor_of_pictures(test: ImageSet, subject: Subject) -> float:
    """The same of zeros and ones whose greys are known."""
    assert test.greys is not None
    x, bits = unit_interval(test.greys), unit_interval(test.x)
    surprise = F.binary_cross_entropy(x, bits, reduction="none").flatten(1).sum(1)
    return float(surprise.double().mean()) + _information(subject, x)


def _information(subject: Subject, x: Tensor) -> float:
    with seeded(seed_for(subject.settings.seed, "floor"), subject.device):
        return picture_information(x, subject.test.label if "classes" in subject.can else None)


@torch.no_grad()
def picture_information(x: Tensor, label: Tensor | None = None, draws: int = 512) -> float:
    """I(i; b) in nats: how much the bits b tell of which picture i they were drawn from; with a `label`, I(i; b | class of i).

        i uniform over the n pictures x (n, *shape) in [0, 1],   b ~ p(b|i) = Bernoulli(x_i), each pixel by itself,
        I = E_i E_b [ln p(b|i) − ln 1/n Σ_j p(b|j)]   between 0 and ln n.

    By Monte Carlo in i and b, exact in the sum over j. Random numbers are those of the moment: seed them outside. The standard
    error is 0.006 on the test part of MNIST (I = 9.20), and less where hardly any picture could be taken for another.

    It makes a floor of −ln p(x) for grey pictures under a Bernoulli decoder, averaged over these pictures:

        −ln ∫ p(x|z) p(z) dz ≥ E_b[−ln p(b)], because ln p(x|z) = E_b[ln p(b|z)] and a log-sum-exp is convex,
        mean_i E_b[−ln p(b)] ≥ H(b) = H(b|i) + I(i; b),   H(b|i) the pixels' own entropy.

    A conditional model has one distribution in each class, and the same holds within each.
    """
    x = x.flatten(1)
    count, size = x.shape
    draws = max(32, min(draws, _PRODUCTS // (2 * count * size)))
    chosen = ((torch.arange(draws, device=x.device) + torch.rand(draws, device=x.device)) * (count / draws)).long()
    chosen = chosen.clamp(max=count - 1)
    bits = torch.bernoulli(x[chosen])
    bits = torch.cat([bits, 1 - bits], dim=1)
    same = torch.ones(draws, count, dtype=torch.bool, device=x.device) if label is None else label[chosen][:, None] == label
    own = (bits * _log_probs(x[chosen])).sum(1)
    total = own.new_full((draws,), -math.inf)
    step = max(1, _VALUES // size)
    for start in range(0, count, step):
        some = slice(start, start + step)
        with all_digits(x.device):
            log_p = bits @ _log_probs(x[some]).T
        total = torch.logaddexp(total, log_p.masked_fill(~same[:, some], -math.inf).logsumexp(1))
    return float((own - torch.maximum(total, own) + same.sum(1).log()).double().mean())


def _log_probs(x: Tensor) -> Tensor:
    """ln p of a one and, beside it, of a zero in each pixel: (n, d) → (n, 2d)."""
    return torch.cat([x.log(), torch.log1p(-x)], dim=1).clamp(min=_IMPOSSIBLE)
