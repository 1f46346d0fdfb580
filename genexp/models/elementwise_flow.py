"""`model=elementwise_flow`: each feature by itself, so that the density is the product of its marginals.

Source: Durkan et al., Neural Spline Flows (2019), for the spline.
"""

from genexp.bijections.base import Base, Bijection, Transformer, bases, transformers
from genexp.bijections.elementwise import Elementwise
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.bijections.transformers import Affine
from genexp.data.base import DataSpec
from genexp.models.flow import Depth, Flow, Normalise
from genexp.registry import Part, models


@models.register("elementwise_flow")
def elementwise_flow(
    spec: DataSpec,
    *,
    depth: Depth = 1,
    transformer: Part[Transformer] = transformers.part("spline"),
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""A density of features that are independent of each other: the product of its marginals.

    In short:
        A monotone map of each feature to noise is learnt, each by itself: the density of features that have nothing to do
        with each other, beside which one sees what dependence is worth.

    Equation:
        \ln p(x) = \sum_{i} \left[ \ln p_{\mathrm{base}}(z_i) + \ln \frac{\partial z_i}{\partial x_i} \right], \qquad
            z_i = T_i(x_i)

    Args:
        depth: number of maps of each feature, each of them affine and then the transformer.
        transformer: the map of each feature.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    dim = spec.points("elementwise_flow")
    layers: list[Bijection] = []
    for _ in range(depth):
        layers += [Elementwise(dim, Affine()), Elementwise(dim, transformer())]
    return Flow(dim, layers, base(dim), normalise, objective())
