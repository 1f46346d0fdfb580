"""What samples of two Gaussians tell of the divergences between them, which are known: bias and error, by size and dimension."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from genexp.divergences.base import ALONE, KNOWN, Clouds, Divergence, Gaussian, Line, divergences, units
from genexp.measures.record import Value, Values, measure
from genexp.seeds import seed_for
from genexp.subject import Subject, once

MODEL = {"altered"}
SHOWN = 3  # dimensions whose estimates are numbers of their own, and are looked at for every size
WORTH = 0.5  # of the exact value: an estimate that errs by more is none
ROOM, NODES = 10.0, 8_192
ENDINGS = {ALONE: "", KNOWN: "known/"}


@dataclass(frozen=True)
class Estimates:
    """Those of one divergence by one estimator, for `sizes` (k,) in `dimensions` (d,).

    `values`: between the two Gaussians, and `equal`, between two clouds of the same one, both (d, k, repeats), NaN where they
    were not asked for; and the `exact` values, (d,).
    """

    divergence: Divergence
    given: str
    dimensions: list[int]
    sizes: list[int]
    values: np.ndarray
    equal: np.ndarray
    exact: np.ndarray

    @property
    def bias(self) -> np.ndarray:
        """Mean estimate less the exact value, (d, k)."""
        return self.values.mean(2) - self.exact[:, None]  # type: ignore[no-any-return]

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of one estimate, (d, k)."""
        return self.values.std(2, ddof=1)  # type: ignore[no-any-return]

    @property
    def worth(self) -> np.ndarray:
        """In which dimensions an estimate from the most samples is one, (d,): its root mean square error is at most half of the
        exact value, and so is what it makes of clouds that are alike, where 0 is right.
        """
        errors = self.values[:, -1] - self.exact[:, None], self.equal[:, -1]
        worst = np.max([np.sqrt((error**2).mean(1)) for error in errors], axis=0)
        return worst <= WORTH * self.exact  # type: ignore[no-any-return]

    @property
    def reach(self) -> int:
        """The largest dimension up to which all are; 0: none is."""
        good = 0
        for dimension, worth in sorted(zip(self.dimensions, self.worth, strict=True)):
            if not worth:
                break
            good = dimension
        return good


def pair(dim: int, apart: float) -> tuple[Gaussian, Gaussian]:
    """N(0, I) and N(m, I), m = apart·(1, …, 1)/√dim."""
    one = torch.ones(dim, dtype=torch.float64)
    return Gaussian(0 * one, one), Gaussian(apart * one / math.sqrt(dim), one)


def exactly(divergence: Divergence, dim: int, apart: float) -> float:
    """Between the `pair`: in closed form; else on the line through both means, as what is equal across it does not count."""
    value = divergence.gaussians(*pair(dim, apart))
    if value is not None:
        return value
    x = torch.linspace(-ROOM, ROOM + apart, NODES, dtype=torch.float64)
    log_p, log_q = (-0.5 * (x - mean).square() - 0.5 * math.log(2 * math.pi) for mean in (0.0, apart))
    return divergence.on_line(Line(x, float(x[1] - x[0]), log_p, log_q))


def clouds(n: int, dim: int, apart: float, generator: torch.Generator) -> Clouds:
    """n samples of each of the two: ln p − ln q = ½ |m|² − m·x, and its gradient −m."""
    m = pair(dim, apart)[1].mean
    x, y = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
    y = y + m
    ratio_x, ratio_y = (0.5 * apart**2 - each @ m for each in (x, y))
    return Clouds(x, y, ratio_x, ratio_y, (-m).expand(n, dim))


def shown(dimensions: list[int]) -> list[int]:
    """Places of the first, the middle and the last."""
    return sorted({round(each) for each in np.linspace(0, len(dimensions) - 1, SHOWN)})


@once
def estimates(subject: Subject) -> list[Estimates]:
    """Of every divergence by every estimator: for every size in the `shown` dimensions, for the largest in all."""
    model, apart = subject.model, subject.model.apart
    dimensions, sizes = sorted({*model.dimensions}), sorted({*model.sizes})
    generator = torch.Generator().manual_seed(seed_for(subject.settings.seed, "estimates"))
    empty = np.full((len(dimensions), len(sizes), model.repeats), np.nan)
    keys = [(each, given) for each in divergences() for given in each.estimators]
    values, equal = ({(each.name, given): empty.copy() for each, given in keys} for _ in range(2))
    for d, dim in enumerate(dimensions):
        for s, size in enumerate(sizes):
            if d not in shown(dimensions) and s != len(sizes) - 1:
                continue
            for repeat in range(model.repeats):
                for into, far in ((values, apart), (equal, 0.0)):
                    drawn = clouds(size, dim, far, generator)
                    for each, given in keys:
                        into[each.name, given][d, s, repeat] = each.estimators[given](drawn)
    exact = {each.name: np.array([exactly(each, dim, apart) for dim in dimensions]) for each in divergences()}
    return [
        Estimates(each, given, dimensions, sizes, values[each.name, given], equal[each.name, given], exact[each.name])
        for each, given in keys
    ]


def numbers(subject: Subject) -> list[tuple[str, Estimates, int]]:
    """What they are called, with the place of the dimension: `w1/64d`, and with the densities known `forward_kl/known/64d`."""
    return [
        (f"{each.divergence.name}/{ENDINGS[each.given]}{each.dimensions[d]}d", each, d)
        for each in estimates(subject)
        for d in shown(each.dimensions)
    ]


def _error(each: Estimates, d: int) -> float:
    return float(each.spread[d, -1]) / math.sqrt(each.values.shape[2])


@measure(
    "divergence_estimate",
    "a divergence between two Gaussians from samples of each, a mean over repeats; real_vs_real: of two clouds of one Gaussian; "
    "/known: with their densities known",
    unit=units(),
    model=MODEL,
)
def divergence_estimate(subject: Subject) -> Values:
    return {
        name: Value(
            float(each.values[d, -1].mean()),
            exact=float(each.exact[d]),
            real_vs_real=float(each.equal[d, -1].mean()),
            error=_error(each, d),
        )
        for name, each, d in numbers(subject)
    }


@measure("divergence_bias", "mean estimate of a divergence less the exact one", better="exact", unit=units(), model=MODEL)
def divergence_bias(subject: Subject) -> Values:
    """Of samples alone; its standard error is that of the estimate."""
    return {name: Value(float(each.bias[d, -1]), exact=0.0) for name, each, d in numbers(subject) if each.given == ALONE}


@measure("divergence_spread", "standard deviation of one estimate of a divergence", better="lower", unit=units(), model=MODEL)
def divergence_spread(subject: Subject) -> Values:
    """Of samples alone."""
    return {name: Value(float(each.spread[d, -1])) for name, each, d in numbers(subject) if each.given == ALONE}


@measure(
    "divergence_reach",
    "dimensions up to which an estimate of a divergence errs by half of it at most, of equal clouds too; 0: in none",
    better="higher",
    headline=36,
    model=MODEL,
)
def divergence_reach(subject: Subject) -> Values:
    return {f"{each.divergence.name}{'/known' if each.given == KNOWN else ''}": Value(each.reach) for each in estimates(subject)}
