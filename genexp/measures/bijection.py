"""Whether a bijection comes back to where it was, in the numbers of a machine."""

from typing import Any

from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures.quadrature import in_float64
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject


@measure(
    "invertibility_error",
    "largest |f⁻¹(f(x)) − x| over points of the data, in float32",
    better="lower",
    unit="units of x",
    model={"layers"},
    data={"drawn"},
)
@cannot_see("points far from the data")
def invertibility_error(subject: Subject) -> Value:
    return Value(_largest(subject, subject.model, subject.test.x))


@measure(
    "invertibility_error_float64", "the same in float64", better="lower", unit="units of x", model={"layers"}, data={"drawn"}
)
def invertibility_error_float64(subject: Subject) -> Value:
    return Value(_largest(subject, in_float64(subject.model), subject.test.x.cpu().double()))


def _largest(subject: Subject, model: Any, x: Tensor) -> float:
    with all_digits(subject.device):
        return float((model.inverse(model.transform(x)[0])[0] - x).abs().max())
