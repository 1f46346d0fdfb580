"""`model=maf`: the masked autoregressive flow.

Source: Papamakarios et al., Masked Autoregressive Flow (2017).
"""

from functools import partial

from genexp.bijections.autoregressive import Autoregressive, Layers, Solver
from genexp.bijections.base import Base, Transformer, bases, transformers
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.base import GenerativeModel
from genexp.models.flow import Depth, Normalise, repeated
from genexp.models.picture_flow import as_vectors, of_data
from genexp.nn.mlp import Activation
from genexp.registry import Part, models
from genexp.settings import Width


@models.register("maf")
def maf(
    spec: DataSpec,
    *,
    depth: Depth = 6,
    width: Width = 64,
    hidden_layers: Layers = 2,
    activation: Activation = "silu",
    solver: Solver = "jacobi",
    transformer: Part[Transformer] = transformers.part("affine"),
    normalise: Normalise = True,
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("logit"),
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> GenerativeModel:
    r"""Autoregressive maps of each feature by those before it: fast likelihoods, slower samples.

    In short:
        A bijection from data to noise is learnt, each feature by a map that those before it decide: likelihoods come at one
        pass, samples feature after feature.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad
            z_i = T(x_i; c_θ(x_{<i}))

    Args:
        depth: number of maps; every other one takes the features from the last to the first.
        width, hidden_layers, activation: of their masked networks' hidden layers.
        solver: of noise → data: feature after feature (`sequential`), or all at once until nothing changes (`jacobi`).
        transformer: the map of each feature.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        dequantisation, preprocessing: of pictures, the noise that makes greys continuous, and what they go through first.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are neither points nor pictures of greys.
    """
    network = partial(Autoregressive, width=width, hidden_layers=hidden_layers, activation=activation)
    layer = partial(network, solver=solver, transformer=transformer)
    flat = as_vectors(spec, "model=maf", dequantisation, preprocessing)
    flow = repeated(flat, "maf", depth, layer, normalise, base, objective)
    return of_data(spec, flow, dequantisation, preprocessing)
