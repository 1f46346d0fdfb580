"""`model=coupling_flow`: a flow whose layers are couplings.

Sources: Dinh et al., Density Estimation Using Real NVP (2017); Durkan et al., Neural Spline Flows (2019).
"""

from typing import Literal

from genexp.bijections.base import Base, Conditioner, Transformer, bases, conditioners, transformers
from genexp.bijections.coupling import Coupling, alternating, random_halves
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise, features_to_couple
from genexp.registry import Part, models


@models.register("coupling_flow")
def coupling_flow(
    spec: DataSpec,
    *,
    depth: Depth = 3,
    mask: Literal["alternating", "random"] = "alternating",
    normalise: Normalise = True,
    transformer: Part[Transformer] = transformers.part("spline"),
    conditioner: Part[Conditioner] = conditioners.part("mlp"),
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""A coupling flow for points of two dimensions or more.

    In short:
        A bijection from data to noise is learnt, in layers that move some of the features by what the others tell: so both
        directions are quick, and the likelihood is exact.

    Equation:
        \ln p(x) = \ln p_{\mathrm{base}}(z) + \ln \left| \det \frac{\partial z}{\partial x} \right|, \qquad z = f_K(… f_1(x))
        z_{\mathrm{moved}} = T(x_{\mathrm{moved}}; c_θ(x_{\mathrm{kept}})), \quad z_{\mathrm{kept}} = x_{\mathrm{kept}}, \qquad
            \ln \left| \det J \right| = \sum_{i \in \mathrm{moved}} \ln T'_i

    Args:
        depth: number of couplings.
        mask: which features move: `alternating` even and odd ones, or a `random` half and then the other.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        transformer: the map of each feature that moves.
        conditioner: the network that finds its parameters from the features that stay.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points, or of one dimension.
    """
    dim = features_to_couple(spec, "coupling_flow")
    masks = random_halves(dim, depth) if mask == "random" else [alternating(dim, layer) for layer in range(depth)]
    return Flow(dim, [Coupling(moves, transformer, conditioner) for moves in masks], base(dim), normalise, objective())
