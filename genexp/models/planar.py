"""`model=planar`: planar maps in a row.

Source: Rezende & Mohamed, Variational Inference with Normalizing Flows (2015).
"""

from genexp.bijections.base import Base, bases
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.planar import Planar
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, repeated
from genexp.registry import Part, models


@models.register("planar")
def planar(
    spec: DataSpec,
    *,
    depth: Depth = 16,
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Planar maps in a row.

    In short:
        A bijection from data to noise is learnt, in layers that push the space along one direction across a plane each: the
        simplest flow, which needs many of them.

    Equation:
        z = x + u \tanh(w^T x + b), \qquad \ln \left| \det \frac{\partial z}{\partial x} \right|
            = \ln \left( 1 + w^T u \, \tanh'(w^T x + b) \right)

    Args:
        depth: number of maps.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    return repeated(spec, "planar", depth, Planar, normalise, base, objective)
