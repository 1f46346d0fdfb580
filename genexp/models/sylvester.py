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
    """Sylvester's maps in a row.

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
