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
    depth: Depth = 8,
    width: Width = 64,
    hidden_layers: Layers = 2,
    lipschitz: Lipschitz = 0.97,
    roulette: Roulette = 0.5,
    normalise: bool = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Residual bijections in a row: the likelihood is exact in up to eight dimensions, and an unbiased estimate beyond.

    In short:
        A bijection from data to noise is learnt, of layers that any network may fill as long as it changes more slowly than
        what it sees; the price is an inverse by iteration and a series for the likelihood.

    Equation:
        z = x + g_θ(x), \quad \mathrm{Lip}(g) < 1, \qquad
            \ln \left| \det \frac{\partial z}{\partial x} \right|
            = \sum_{k=1}^{\infty } \frac{(-1)^{k+1}}{k} \, \mathrm{tr}\!\left( J_g^k \right)

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
