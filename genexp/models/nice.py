"""`model=nice`: couplings that only shift, so that they keep volumes, and one stretch of each feature.

Source: Dinh et al., NICE: Non-linear Independent Components Estimation (2015).
"""

from genexp.bijections.base import Base, Bijection, Conditioner, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.linear import Linear
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.base import GenerativeModel
from genexp.models.flow import Depth, Flow, Normalise, features_to_couple
from genexp.models.picture_flow import as_vectors, of_data
from genexp.registry import Part, models


@models.register("nice")
def nice(
    spec: DataSpec,
    *,
    depth: Depth = 6,
    conditioner: Part[Conditioner] = conditioners.part("mlp", start=1.0),
    normalise: Normalise = True,
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("logit"),
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> GenerativeModel:
    r"""Couplings that shift, and one stretch of each feature at the end.

    In short:
        A bijection from data to noise is learnt, in layers that shift some of the features by what the others tell and keep
        volumes as they are; one stretch of each feature comes at the end.

    Equation:
        z_{\mathrm{moved}} = x_{\mathrm{moved}} + c_θ(x_{\mathrm{kept}}), \qquad
            \ln p(x) = \ln p_{\mathrm{base}}(s \odot z_K) + \sum_i \ln s_i

    Args:
        depth: number of couplings.
        conditioner: the network that finds the shifts from the features that stay; it must not begin at zero, a saddle.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        dequantisation, preprocessing: of pictures, the noise that makes greys continuous, and what they go through first.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are neither points nor pictures of greys, or of one dimension.
    """
    flat = as_vectors(spec, "model=nice", dequantisation, preprocessing)
    dim = features_to_couple(flat, "nice")
    shift = transformers.part("additive")
    layers: list[Bijection] = [Coupling(alternating(dim, layer), shift, conditioner) for layer in range(depth)]
    layers.append(Linear(dim, depth, factor="diagonal"))
    flow = Flow(dim, layers, base(dim), normalise, objective())
    return of_data(spec, flow, dequantisation, preprocessing)
