"""What an example with levels costs in bits."""

import math

from genexp.measures.likelihood import of_likelihood, of_test
from genexp.measures.record import Value, measure
from genexp.subject import Subject


@measure(
    "bits_per_dim",
    "bits that each number of a held-out example costs, at most: nll of numbers with uniform noise, log₂ of their levels added",
    better="lower",
    headline=39,
    model={"exact|estimate"},
    data={"levels", "points", "drawn"},
)
def bits_per_dim(subject: Subject) -> Value:
    """Beside 0, as whole numbers have no probability above 1, and what equal probabilities would cost."""
    return of_levels(subject, subject.data.levels)


@measure(
    "bits_per_dim",
    "bits that each byte of a held-out picture costs, at most: nll of greys with uniform noise, and 8",
    better="lower",
    headline=39,
    model={"dequantised"},
    data={"pictures", "drawn"},
)
def bits_of_pictures(subject: Subject) -> Value:
    """The same of a model that adds the noise itself."""
    return of_levels(subject, subject.model.levels)


def of_levels(subject: Subject, count: int) -> Value:
    """Of numbers in [0, 1] that have so many levels."""
    nll, bits = of_likelihood(of_test(subject)), math.prod(subject.data.spec.shape) * math.log(2)
    levels = math.log2(count)
    error = None if nll.error is None else nll.error / bits
    return Value(float(nll.value) / bits + levels, floor=0.0, baseline=levels, error=error)  # type: ignore[arg-type]
