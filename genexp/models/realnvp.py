"""`model=realnvp`: couplings that stretch and shift.

Source: Dinh et al., Density Estimation Using Real NVP (2017); Kingma & Dhariwal, Glow (2018), for the normalisation.
"""

from typing import Annotated

from pydantic import Field

from genexp.bijections.actnorm import ActNorm
from genexp.bijections.base import Base, Bijection, Conditioner, Transformer, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating
from genexp.bijections.dequantisation import Dequantisation, dequantisations
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.preprocessing import Preprocessing, preprocessings
from genexp.data.base import DataSpec
from genexp.models.base import GenerativeModel
from genexp.models.flow import Flow, Normalise, features_to_couple
from genexp.models.picture_flow import as_vectors, of_data
from genexp.registry import Part, models


@models.register("realnvp")
def realnvp(
    spec: DataSpec,
    *,
    depth: Annotated[int, Field(ge=1, le=64)] = 6,  # many more affine couplings overflow within a step or two
    transformer: Part[Transformer] = transformers.part("affine"),
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
    normalise: Normalise = True,
    dequantisation: Part[Dequantisation] = dequantisations.part("uniform"),
    preprocessing: Part[Preprocessing] = preprocessings.part("logit"),
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> GenerativeModel:
    r"""Couplings that stretch and shift, after an activation normalisation each.

    In short:
        A bijection from data to noise is learnt, in layers that stretch and shift some of the features by what the others
        tell: both directions are quick, and the likelihood is exact.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad
            z_{\mathrm{moved}} = x_{\mathrm{moved}} \, e^{s_θ(x_{\mathrm{kept}})} + t_θ(x_{\mathrm{kept}})

    Args:
        depth: number of couplings.
        transformer: the map of each feature that moves.
        conditioner: the network that finds its parameters from the features that stay.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        dequantisation, preprocessing: of pictures, the noise that makes greys continuous, and what they go through first.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are neither points nor pictures of greys, or of one dimension.
    """
    flat = as_vectors(spec, "model=realnvp", dequantisation, preprocessing)
    dim = features_to_couple(flat, "realnvp")
    layers: list[Bijection] = []
    for layer in range(depth):
        layers += [ActNorm(dim, layer), Coupling(alternating(dim, layer), transformer, conditioner)]
    flow = Flow(dim, layers, base(dim), normalise, objective())
    return of_data(spec, flow, dequantisation, preprocessing)
