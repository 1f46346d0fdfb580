"""`model=linear_flow`: one linear map of the data, which makes them one Gaussian.

Source: Kingma & Dhariwal, Glow (2018), for W = LU.
"""

from genexp.bijections.base import Base, bases
from genexp.bijections.linear import FactorName, Linear
from genexp.bijections.objectives import FlowObjective, objectives
from genexp.data.base import DataSpec
from genexp.models.flow import Flow, Normalise
from genexp.registry import Part, models


@models.register("linear_flow")
def linear_flow(
    spec: DataSpec,
    *,
    factor: FactorName = "lu",
    normalise: Normalise = True,
    base: Part[Base] = bases.part("normal"),
    objective: Part[FlowObjective] = objectives.part("likelihood"),
) -> Flow:
    r"""The best Gaussian, by one linear map.

    In short:
        One linear map from data to noise is learnt: the best single Gaussian there is, found by gradients.

    Equation:
        z = W x + b, \qquad \ln p(x) = \ln \mathcal{N}(z; 0, I) + \ln \left| \det W \right|, \qquad W = L U

    Args:
        factor: of the matrix: `lu` or `triangular` for any covariance, `diagonal` for one without correlations, or `orthogonal`.
        normalise: whether the data are first brought to mean 0 and the range of N(0, 1), or (`whiten`) to covariance I.
        base: the noise that samples begin from.
        objective: what it is trained by.

    Raises:
        UserError: data that are no points.
    """
    dim = spec.points("linear_flow")
    layers = [Linear(dim, 0, factor=factor)]
    return Flow(dim, layers, base(dim), normalise, objective())
