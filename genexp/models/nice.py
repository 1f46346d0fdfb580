"""`model=nice`: couplings that only shift, so that they keep volumes, and one stretch of each feature.

Source: Dinh et al., NICE: Non-linear Independent Components Estimation (2015).
"""

from genexp.bijections.base import Base, Bijection, Conditioner, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating
from genexp.bijections.linear import Linear
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, features_to_couple
from genexp.registry import Part, models


@models.register("nice")
def nice(
    spec: DataSpec,
    *,
    depth: Depth = 6,
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    """Couplings that shift, and one stretch of each feature at the end.

    Args:
        depth: number of couplings.
        conditioner: the network that finds the shifts from the features that stay.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points, or of one dimension.
    """
    dim = features_to_couple(spec, "nice")
    shift = transformers.part("additive")
    layers: list[Bijection] = [Coupling(alternating(dim, layer), shift, conditioner) for layer in range(depth)]
    layers.append(Linear(dim, depth, factor="diagonal"))
    return Flow(dim, layers, base(dim), normalise, objective())
