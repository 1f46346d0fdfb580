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
    nll, bits = of_likelihood(of_test(subject)), subject.data.spec.shape[0] * math.log(2)
    levels = math.log2(subject.data.levels)
    error = None if nll.error is None else nll.error / bits
    return Value(float(nll.value) / bits + levels, floor=0.0, baseline=levels, error=error)  # type: ignore[arg-type]
