"""`model=residual_flow`: residual bijections in a row.

Sources: Behrmann et al., Invertible Residual Networks (2019); Chen et al., Residual Flows for Invertible Generative Modeling
(2019).
"""

from functools import partial

from genexp.bijections.base import Base, bases
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.residual import Layers, Lipschitz, Residual, Roulette
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, repeated
from genexp.registry import Part, models
from genexp.settings import Width


@models.register("residual_flow")
def residual_flow(
    spec: DataSpec,
    *,
    depth: Depth = 16,
    width: Width = 64,
    hidden_layers: Layers = 2,
    lipschitz: Lipschitz = 0.97,
    roulette: Roulette = 0.5,
    normalise: bool = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    """Residual bijections in a row: the likelihood is exact in up to eight dimensions, and an unbiased estimate beyond.

    Args:
        depth: how many.
        width, hidden_layers, lipschitz, roulette: of each (`genexp.bijections.residual`).
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1).
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    layer = partial(Residual, width=width, hidden_layers=hidden_layers, lipschitz=lipschitz, roulette=roulette)
    return repeated(spec, "residual_flow", depth, layer, normalise, base, objective)
