"""How like clouds of points are, and how much of one another they cover, by who are neighbours."""

from dataclasses import dataclass

import torch
from torch import Tensor

PRECISION = "share of samples that lie among the data (k = 5)"  # what they mean, of points and of pictures
RECALL = "share of the data that lies among samples (k = 5)"
DENSITY = "how densely samples lie among the data (k = 5)"
COVERAGE = "share of the data with a sample nearby (k = 5)"


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
    than k others; that of a single point counts as holding one other. Distances are those of the differences, so that equal
    points are at 0, and copies of the data score 1.
    """
    real, fake = real.double(), fake.double()
    k = min(k, len(real) - 1, len(fake) - 1)
    among_reals, among_fakes, between = _distances(real, real), _distances(fake, fake), _distances(real, fake)
    real_radius, fake_radius = (among.kthvalue(k + 1, dim=1).values for among in (among_reals, among_fakes))
    inside_real, inside_fake = between <= real_radius[:, None], between <= fake_radius
    others = ((among_reals <= real_radius[:, None]).sum(1) - 1).clamp_min(1)
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


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i − y_j| of all pairs, (n, d), (m, d) → (n, m), each from its own difference."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
