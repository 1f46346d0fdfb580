"""Tests of numbers that should be uniform on [0, 1) and independent: a statistic, what it should be, and how likely it is.

A p-value is itself uniform on [0, 1] where nothing is wrong: one below 10⁻⁶ happens once in a million honest tests.
"""

import math
from dataclasses import dataclass

import numpy as np

MOST_CELLS = (1000, 200, 40)  # along each axis, in one, two and three dimensions
FULL = 10  # points expected in a cell, at least
BIRTHDAYS = 2_048  # at once; the year has a day for each eighth of their number's cube, so that two spacings are equal


@dataclass(frozen=True)
class Trial:
    """`value`, what it is expected to be, and the probability of one as far off or further; None: too few numbers."""

    value: float
    expected: float
    p: float


def kolmogorov_smirnov(u: np.ndarray) -> Trial | None:
    """The largest gap between the distribution of n numbers and the uniform one: √(π/2) ln 2 / √n = 0.869/√n on average."""
    from scipy.stats import kstwo

    n = len(u)
    if n < 2:
        return None
    steps = np.arange(n + 1) / n
    ordered = np.sort(u)
    gap = float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
    return Trial(gap, math.sqrt(math.pi / 2) * math.log(2) / math.sqrt(n), float(kstwo.sf(gap, n)))


def chi_square(u: np.ndarray, dims: int) -> Trial | None:
    """χ² of successive d-tuples in equal cells, over its degrees of freedom, which should be 1."""
    points = u[: len(u) // dims * dims].reshape(-1, dims)
    side = min(MOST_CELLS[dims - 1], int((len(points) / FULL) ** (1 / dims)))
    if side < 2:
        return None
    cells = np.minimum((points * side).astype(np.int64), side - 1) @ side ** np.arange(dims)
    return counts_as_expected(np.bincount(cells, minlength=side**dims))


def counts_as_expected(counts: np.ndarray, weights: np.ndarray | None = None) -> Trial:
    """χ² of counts over its degrees of freedom, where the cells should have these weights; without, equal ones."""
    from scipy.stats import chi2

    expected = counts.sum() * (np.full(len(counts), 1 / len(counts)) if weights is None else weights)
    value, degrees = float(((counts - expected) ** 2 / expected).sum()), len(counts) - 1
    return Trial(value / degrees, 1.0, float(chi2.sf(value, degrees)))


def serial_correlation(u: np.ndarray) -> Trial | None:
    """The correlation of each number with the next, round the circle: −1/(n−1), give or take 1/√n."""
    n = len(u)
    deviation = u - u.mean() if n else u
    square = float(deviation @ deviation)
    if n < 4 or square == 0:
        return None
    value, expected = float(deviation @ np.roll(deviation, -1)) / square, -1 / (n - 1)
    error = math.sqrt(n * (n - 3) / (n + 1)) / (n - 1)
    return Trial(value, expected, two_sided((value - expected) / error))


def runs(u: np.ndarray) -> Trial | None:
    """How often the numbers turn from rising to falling or back, plus one: (2n − 1)/3 (Levene & Wolfowitz)."""
    n = len(u)
    if n < 20:
        return None
    rises = u[1:] > u[:-1]
    value, expected = 1 + int((rises[1:] != rises[:-1]).sum()), (2 * n - 1) / 3
    return Trial(value, expected, two_sided((value - expected) / math.sqrt((16 * n - 29) / 90)))


def birthday_spacings(u: np.ndarray) -> Trial | None:
    """How many of the spacings between m birthdays equal another one: m(m−1)(m−2)/4 over the days of the year, by Poisson's law.

    Source: Marsaglia & Tsang, Some difficult-to-pass tests of randomness (2002).
    """
    from scipy.stats import poisson

    m = min(BIRTHDAYS, len(u))
    if m < 64:
        return None
    year = m**3 // 8
    days = np.sort((u[: len(u) // m * m].reshape(-1, m) * year).astype(np.int64), axis=1)
    spacings = np.sort(np.diff(days, axis=1), axis=1)
    value = int((spacings[:, 1:] == spacings[:, :-1]).sum())
    expected = len(days) * m * (m - 1) * (m - 2) / (4 * year)
    tails = poisson.cdf(value, expected), poisson.sf(value - 1, expected)
    return Trial(value, expected, min(1.0, 2 * float(min(tails))))


def lowest_bits(words: np.ndarray, together: int = 8) -> Trial | None:
    """χ² of the lowest bits of eight words at a time, as a number from 0 to 255, over its degrees of freedom."""
    bits = (words & np.uint64(1)).astype(np.int64)
    tuples = bits[: len(bits) // together * together].reshape(-1, together)
    if len(tuples) < FULL * 2**together:
        return None
    return counts_as_expected(np.bincount(tuples @ 2 ** np.arange(together), minlength=2**together))


def two_sided(sigmas: float) -> float:
    """The probability that a Gaussian is further off than so many standard deviations."""
    return math.erfc(abs(sigmas) / math.sqrt(2))
