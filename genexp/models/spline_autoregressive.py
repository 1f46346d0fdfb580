"""`model=spline_autoregressive`: the neural spline flow of autoregressive maps.

Source: Durkan et al., Neural Spline Flows (2019).
"""

from functools import partial

from genexp.bijections.autoregressive import Autoregressive, Layers, Solver
from genexp.bijections.base import Base, Transformer, bases, transformers
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, repeated
from genexp.nn.mlp import Activation
from genexp.registry import Part, models
from genexp.settings import Width


@models.register("spline_autoregressive")
def spline_autoregressive(
    spec: DataSpec,
    *,
    depth: Depth = 2,
    width: Width = 64,
    hidden_layers: Layers = 2,
    activation: Activation = "silu",
    solver: Solver = "jacobi",
    transformer: Part[Transformer] = transformers.part("spline"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Neural spline flow: autoregressive splines.

    In short:
        A bijection from data to noise is learnt, each feature by a monotone spline that those before it decide: the most
        flexible map of its kind, in one pass for likelihoods.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad
            z_i = \mathrm{spline}(x_i; c_θ(x_{<i}))

    Args:
        depth: number of maps; every other one takes the features from the last to the first.
        width, hidden_layers, activation: of their masked networks' hidden layers.
        solver: of noise → data: feature after feature (`sequential`), or all at once until nothing changes (`jacobi`).
        transformer: the map of each feature.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    network = partial(Autoregressive, width=width, hidden_layers=hidden_layers, activation=activation)
    layer = partial(network, solver=solver, transformer=transformer)
    return repeated(spec, "spline_autoregressive", depth, layer, normalise, base, objective)
