"""How like the data samples are, how much of it they cover, and whether they are only remembered."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Likeness:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020)."""

    precision: float
    recall: float
    density: float
    coverage: float


def likeness(real: Tensor, fake: Tensor, k: int = 5) -> Likeness:
    """Compare features real (n, d) and fake (m, d), by balls about each point that reach its k-th nearest neighbour.

    precision: share of fakes inside some real ball. recall: share of reals inside some fake ball. density: real balls about
    a fake, over k. coverage: share of real balls that hold a fake.
    """
    real, fake = real.double(), fake.double()
    k = min(k, len(real) - 1, len(fake) - 1)
    real_radius, fake_radius = (torch.cdist(points, points).kthvalue(k + 1, dim=1).values for points in (real, fake))
    between = torch.cdist(real, fake)
    inside_real, inside_fake = between < real_radius[:, None], between < fake_radius
    return Likeness(
        precision=float(inside_real.any(0).double().mean()),
        recall=float(inside_fake.any(1).double().mean()),
        density=float(inside_real.double().sum(0).mean() / k),
        coverage=float(inside_real.any(1).double().mean()),
    )


def nearest_distance(x: Tensor, others: Tensor) -> Tensor:
    """The squared distance of each example x (n, …) to the nearest of the others (m, …), (n,)."""
    return torch.cdist(x.flatten(1), others.flatten(1)).amin(1).square()


def nearest_train_ratio(samples: Tensor, test: Tensor, train: Tensor) -> float:
    """How near samples lie to training examples, against how near test examples do (medians of the distances).

    Far below 1 the model repeats what it was shown.
    """
    near, usual = (nearest_distance(x, train).sqrt().median() for x in (samples, test))
    return float(near / usual.clamp(min=1e-12))
