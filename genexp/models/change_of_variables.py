"""`model=change_of_variables`: noise through a function that is known. Nothing is learnt: the worked example of every lecture."""

from typing import Annotated

from pydantic import Field

from genexp.bijections.base import Function, functions
from genexp.bijections.bases import Interval
from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.models.flow import Flow
from genexp.registry import Part, models

End = Annotated[float, Field(ge=-20, le=20)]


class Fixed(Flow):
    """A flow without weights."""

    fitter = "none"


@models.register("change_of_variables")
def change_of_variables(
    spec: DataSpec, *, low: End = 0.0, high: End = 2.0, function: Part[Function] = functions.part("exp")
) -> Fixed:
    r"""x = f(z), a number, with z uniform on [low, high]:   ln p(x) = −ln(high − low) − ln |f′(f⁻¹(x))|.

    Of z on [0, 2], x = 4z has the density 1/8 on [0, 8], and x = exp z the density 1/(2x) on [1, e²].

    In short:
        Nothing is learnt: uniform noise goes through a function that is known, and where the function stretches, the density
        thins out.

    Equation:
        x = f(z), \; z \sim U[a, b]: \qquad p(x) = \frac{1}{b - a} \left| \frac{df}{dz} \right|^{-1}_{z = f^{-1}(x)}

    Args:
        low: where the noise begins.
        high: where it ends.
        function: f.

    Raises:
        UserError: data that are not of one dimension; an interval that ends before it begins.

    Source: the change of variables in an integral; Papamakarios et al., Normalizing Flows for Probabilistic Modeling and
        Inference (2021), section 2.1.
    """
    dim = spec.points("change_of_variables")
    if dim != 1:
        raise UserError(f"model=change_of_variables is of one dimension, and these data have {dim}")
    if not low < high:
        raise UserError(f"model.high={high}: it must be greater than model.low={low}")
    return Fixed(dim, [function()], Interval(dim, low, high), normalise=False)
