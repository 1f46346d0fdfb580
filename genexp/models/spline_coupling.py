"""`model=spline_coupling`: the neural spline flow of couplings.

Source: Durkan et al., Neural Spline Flows (2019).
"""

from genexp.bijections.base import Base, Bijection, Conditioner, Transformer, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating
from genexp.bijections.linear import Linear
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, features_to_couple
from genexp.registry import Part, models


@models.register("spline_coupling")
def spline_coupling(
    spec: DataSpec,
    *,
    depth: Depth = 3,
    transformer: Part[Transformer] = transformers.part("spline"),
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""Neural spline flow: spline couplings, after a linear map each.

    In short:
        A bijection from data to noise is learnt, in layers that move some of the features by monotone splines which the
        others decide: both directions are quick, and several peaks are no trouble.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad
            z_{\mathrm{moved}} = \mathrm{spline}(x_{\mathrm{moved}}; c_θ(x_{\mathrm{kept}}))

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
    dim = features_to_couple(spec, "spline_coupling")
    layers: list[Bijection] = []
    for layer in range(depth):
        layers += [Linear(dim, layer), Coupling(alternating(dim, layer), transformer, conditioner)]
    return Flow(dim, layers, base(dim), normalise, objective())
