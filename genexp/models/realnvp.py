"""`model=realnvp`: couplings that stretch and shift.

Source: Dinh et al., Density Estimation Using Real NVP (2017); Kingma & Dhariwal, Glow (2018), for the normalisation.
"""

from typing import Annotated

from pydantic import Field

from genexp.bijections.actnorm import ActNorm
from genexp.bijections.base import Base, Bijection, Conditioner, Transformer, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Flow, Normalise, features_to_couple
from genexp.registry import Part, models


@models.register("realnvp")
def realnvp(
    spec: DataSpec,
    *,
    depth: Annotated[int, Field(ge=1, le=64)] = 6,  # many more affine couplings overflow within a step or two
    transformer: Part[Transformer] = transformers.part("affine"),
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    """Couplings that stretch and shift, after an activation normalisation each.

    Args:
        depth: number of couplings.
        transformer: the map of each feature that moves.
        conditioner: the network that finds its parameters from the features that stay.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points, or of one dimension.
    """
    dim = features_to_couple(spec, "realnvp")
    layers: list[Bijection] = []
    for layer in range(depth):
        layers += [ActNorm(dim, layer), Coupling(alternating(dim, layer), transformer, conditioner)]
    return Flow(dim, layers, base(dim), normalise, objective())
