"""`model=iaf`: the inverse autoregressive flow, trained by maximum likelihood.

Source: Kingma et al., Improving Variational Inference with Inverse Autoregressive Flow (2016).
"""

from functools import partial

from genexp.bijections.autoregressive import Layers, Solver
from genexp.bijections.base import Base, Transformer, bases, transformers
from genexp.bijections.inverse_autoregressive import InverseAutoregressive
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, repeated
from genexp.nn.mlp import Activation
from genexp.registry import Part, models
from genexp.settings import Width


@models.register("iaf")
def iaf(
    spec: DataSpec,
    *,
    depth: Depth = 6,
    width: Width = 64,
    hidden_layers: Layers = 2,
    activation: Activation = "silu",
    solver: Solver = "jacobi",
    transformer: Part[Transformer] = transformers.part("affine"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Autoregressive maps from the noise: fast samples, slower likelihoods.

    In short:
        A bijection between data and noise is learnt, each feature moved by a map that the noise before it decides: samples
        come at one pass, likelihoods of given points feature after feature.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad
            z_i = T(x_i; c_θ(z_{<i}))

    Args:
        depth: number of maps; every other one takes the features from the last to the first.
        width, hidden_layers, activation: of their masked networks' hidden layers.
        solver: of data → noise: feature after feature (`sequential`), or all at once until nothing changes (`jacobi`).
        transformer: the map of each feature.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    network = partial(InverseAutoregressive, width=width, hidden_layers=hidden_layers, activation=activation)
    layer = partial(network, solver=solver, transformer=transformer)
    return repeated(spec, "iaf", depth, layer, normalise, base, objective)
