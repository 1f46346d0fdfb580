"""`model=radial`: radial maps in a row.

Source: Rezende & Mohamed, Variational Inference with Normalizing Flows (2015).
"""

from genexp.bijections.base import Base, bases
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.radial import Radial
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, repeated
from genexp.registry import Part, models


@models.register("radial")
def radial(
    spec: DataSpec,
    *,
    depth: Depth = 32,
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Radial maps in a row.

    In short:
        A bijection from data to noise is learnt, in layers that draw the space towards a point or away from it.

    Equation:
        z = c + \left( 1 + \frac{β}{α + r} \right) (x - c), \qquad r = \|x - c\|, \quad α > 0, \; β > -α
        \ln \left| \det J \right| = (D - 1) \ln(1 + β h) + \ln \left( 1 + β h + β h' r \right), \qquad h = \frac{1}{α + r}

    Args:
        depth: number of maps.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    return repeated(spec, "radial", depth, Radial, normalise, base, objective)
