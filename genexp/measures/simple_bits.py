"""Bits per dimension without any gradient: what a model of pictures has to be better than, on the same training part.

histograms      each pixel by itself: P_i(k) = (count + a)/(N + a K), a the best of a few on the validation part
neighbours/n    a table of counts given n neighbours (left, above, above right, above left, two to the left) in eight shades,
                with back-off to one neighbour less:  P_n = (count + types P_n−1)/(total + types)   (Witten & Bell)
ppca            probabilistic PCA of greys with uniform noise, of as many directions as the validation part likes best: a Gaussian
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.base import unit_interval
from genexp.data.images import ImageSet
from genexp.measures.probabilistic_pca import choose_ppca
from genexp.measures.record import Value, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

PSEUDO = (1e-3, 1e-2, 0.1, 1.0)  # counts of each grey that was never seen
NEIGHBOURS = ((0, 1), (1, 0), (1, -1), (1, 1), (0, 2))  # up, left
SHADES, WHITE = 8, 250 / 255  # of a neighbour: black, white, and six equal parts of the greys between
COUNTED = 2_000  # pictures at a time
FITTED, JUDGED = 16_384, 2_048  # pictures for the PCA
DATA = {"pictures", "examples"}


@measure(
    "bits_per_dim_simple",
    "what each number of a test picture costs by models without gradients: histograms of pixels, tables of counts given "
    "neighbours/4 and /5, and a Gaussian (ppca); bits",
    better="lower",
    headline=41,
    model={"discrete|dequantised"},
    data=DATA,
)
@once
def bits_of_simple_models(subject: Subject) -> dict[str, Value]:
    data = subject.data
    levels = getattr(subject.model, "head", subject.model).levels
    train, validation, test = (greys_of(part, levels) for part in (data.train, data.validation, subject.test_part))
    found = {"histograms": histograms(train, validation, test, levels)}
    for count, value in neighbours(train, test, levels).items():
        found[f"neighbours/{count}"] = value
    if levels > 2:
        with seeded(seed_for(subject.settings.seed, "ppca"), subject.device):
            found["ppca"] = by_ppca(train[:FITTED], validation[:JUDGED], test, levels)
    return {name: Value(value / math.log(2)) for name, value in found.items()}


def greys_of(part: ImageSet, levels: int) -> Tensor:
    """Whole numbers (n, channels, height, width)."""
    return torch.cat([(unit_interval(x) * (levels - 1)).round().long() for x in part.x.split(COUNTED)])


def histograms(train: Tensor, validation: Tensor, test: Tensor, levels: int) -> float:
    """−mean ln P of the numbers of the test pictures, nats."""
    dim = train[0].numel()
    place = levels * torch.arange(dim, device=train.device)
    counts = torch.zeros(dim * levels, device=train.device, dtype=torch.float64)
    for part in train.flatten(1).split(COUNTED):
        counts += torch.bincount((part + place).flatten(), minlength=dim * levels)
    counts = counts.view(dim, levels)

    def nats(x: Tensor, pseudo: float) -> float:
        log_p = ((counts + pseudo) / (len(train) + pseudo * levels)).log().flatten()
        return -float(log_p[x.flatten(1) + place].mean())

    return nats(test, min(PSEUDO, key=lambda pseudo: nats(validation, pseudo)))


def neighbours(train: Tensor, test: Tensor, levels: int) -> dict[int, float]:
    """−mean ln P of the numbers of the test pictures by tables of four and of five neighbours, nats."""
    table = table_of(train, levels)
    return {order: -float(table.log_prob(test, order).mean()) for order in (4, 5)}


@dataclass(frozen=True)
class Table:
    """How often each grey was seen after each shades of five neighbours: counts (shades, …, shades, levels)."""

    counts: Tensor

    def log_prob(self, x: Tensor, order: int = len(NEIGHBOURS)) -> Tensor:
        """ln P(k | the first `order` neighbours) of whole numbers x (n, channels, height, width), a row of all of them."""
        shades, levels = self.counts.shape[0], self.counts.shape[-1]
        context, k = _context(x, levels, shades), x.flatten()
        p = torch.full(k.shape, 1 / levels, dtype=torch.float64, device=k.device)
        for seen in range(order + 1):
            rest = [*range(seen, len(NEIGHBOURS))]
            here = (self.counts.sum(rest) if rest else self.counts).reshape(-1, levels)
            at = context // shades ** len(rest)
            total, types = here.sum(1)[at], (here > 0).sum(1)[at]
            p = torch.where(total > 0, (here[at, k] + types * p) / (total + types).clamp(min=1), p)
        return p.log()


def table_of(train: Tensor, levels: int) -> Table:
    """Of whole numbers (n, channels, height, width)."""
    shades = min(SHADES, levels)
    size = shades ** len(NEIGHBOURS) * levels
    counts = torch.zeros(size, device=train.device, dtype=torch.int32)
    for part in train.split(COUNTED):
        counts += torch.bincount(_context(part, levels, shades) * levels + part.flatten(), minlength=size).int()
    return Table(counts.view(*[shades] * len(NEIGHBOURS), levels))


def _context(x: Tensor, levels: int, shades: int) -> Tensor:
    """Of each number the shades of its neighbours, the first of which counts most, as one whole number."""
    white = round(WHITE * (levels - 1))
    between = (1 + (x - 1) * (shades - 2) // max(1, white - 1)).clamp(max=shades - 2)
    shade = torch.where(x == 0, 0, torch.where(x >= white, shades - 1, between)) if levels > shades else x
    padded = torch.nn.functional.pad(shade, (2, 2, 1, 0))
    height, width = x.shape[2:]
    beside = [padded[:, :, 1 - up : 1 - up + height, 2 - left : 2 - left + width].flatten() for up, left in NEIGHBOURS]
    return sum(each * shades ** (len(NEIGHBOURS) - 1 - index) for index, each in enumerate(beside))  # type: ignore[return-value]


def by_ppca(train: Tensor, validation: Tensor, test: Tensor, levels: int) -> float:
    """−mean ln p of numbers y = (k + u)/K, and ln K: nats that a number costs."""
    fit, judge, y = (
        ((k.flatten(1) + torch.rand(k.flatten(1).shape, device=k.device)) / levels) for k in (train, validation, test)
    )
    found = choose_ppca(fit, judge, min(256, len(fit) // 2, fit.shape[1] - 1))
    return -float(found.log_prob(y).mean()) / fit.shape[1] + math.log(levels)
