"""`model=sylvester`: Sylvester's maps in a row.

Source: van den Berg et al., Sylvester Normalizing Flows for Variational Inference (2018).
"""

from functools import partial

from genexp.bijections.base import Base, bases
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.sylvester import Rank, Sylvester
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, repeated
from genexp.registry import Part, models


@models.register("sylvester")
def sylvester(
    spec: DataSpec,
    *,
    depth: Depth = 16,
    rank: Rank = 8,
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Sylvester's maps in a row.

    In short:
        A bijection from data to noise is learnt, in layers that push the space along several directions at once: planar maps
        with a wider bottleneck.

    Equation:
        z = x + Q R \tanh(S Q^T x + b), \qquad \ln \left| \det \frac{\partial z}{\partial x} \right|
            = \sum_i \ln \left( 1 + R_{ii} S_{ii} \tanh'(…)_i \right)

    Args:
        depth: number of maps.
        rank: directions of each; of data of fewer dimensions, as many as those have.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    return repeated(spec, "sylvester", depth, partial(Sylvester, rank=rank), normalise, base, objective)
