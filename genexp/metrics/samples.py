"""How like the data samples are, how much of it they cover, and whether they are only remembered."""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.base import unit_interval

_VALUES = 12_000_000  # compared at a time: 50 MB
_PRODUCTS = 500_000_000_000  # multiplications that a search may cost: about twenty seconds on two cores
_CANDIDATES = 4  # of each part, whose distance is found again without rounding


@dataclass(frozen=True)
class Likeness:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020)."""

    precision: float
    recall: float
    density: float
    coverage: float


def likeness(real: Tensor, fake: Tensor, k: int = 5) -> Likeness:
    """Compare features real (n, d) and fake (m, d), by closed balls about each point that reach its k-th nearest neighbour.

    precision: share of fakes inside some real ball. recall: share of reals inside some fake ball. density: each fake's sum,
    over the real balls about it, of 1 / other reals in that ball. coverage: share of real balls that hold a fake.

    Without ties a ball holds k others, which is the usual density. Where points repeat, a ball may have the radius 0 and more
    than k others; distances are those of the differences, so that equal points are at 0, and copies of the data score 1.
    """
    real, fake = real.double(), fake.double()
    k = min(k, len(real) - 1, len(fake) - 1)
    among_reals, among_fakes, between = _distances(real, real), _distances(fake, fake), _distances(real, fake)
    real_radius, fake_radius = (among.kthvalue(k + 1, dim=1).values for among in (among_reals, among_fakes))
    inside_real, inside_fake = between <= real_radius[:, None], between <= fake_radius
    others = (among_reals <= real_radius[:, None]).sum(1) - 1
    return Likeness(
        precision=float(inside_real.any(0).double().mean()),
        recall=float(inside_fake.any(1).double().mean()),
        density=float((inside_real.double() / others[:, None]).sum(0).mean()),
        coverage=float(inside_real.any(1).double().mean()),
    )


def first_of_equals(*sets: Tensor) -> Tensor:
    """Of all rows of the sets, one after another, the place of the first that is equal to each: int64, (n₁ + n₂ + …,).

    What a network or a product makes of equal rows may differ in the last digits, by where they stand.
    """
    places: dict[bytes, int] = {}
    rows = (row.tobytes() for some in sets for row in some.flatten(1).cpu().numpy())
    return torch.tensor([places.setdefault(row, place) for place, row in enumerate(rows)])


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


def nearest_train_ratio(samples: Tensor, test: Tensor, train: Tensor) -> float | None:
    """How near samples lie to training examples, against how near test examples do (medians of the distances).

    Far below 1 the model repeats what it was shown. Where half the test examples are themselves training examples, nothing can
    be nearer: 1 if samples are as near, None if not.
    """
    near, usual = (float(nearest_distance(x[: searched(len(x), train)], train).sqrt().median()) for x in (samples, test))
    if usual > 0:
        return near / usual
    return 1.0 if near == 0 else None


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i − y_j| of all pairs, (n, d), (m, d) → (n, m), each from its own difference."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
