"""What to try in place of a family that no size lets follow the data."""

from genexp.measures.quadrature import left_over
from genexp.measures.suggestion import Case, Suggestion, suggests

OF_ONE_SHAPE = {"elementwise_flow": "product of marginals", "linear_flow": "single Gaussian"}


@suggests(29)
def another_family(case: Case) -> Suggestion | None:
    """A divergence that is left of a model that can have one shape alone. (Of one number, marginals are all there is.)"""
    kl, shape = left_over(case), OF_ONE_SHAPE.get(str(case.setting("model.name")))
    if kl is None or shape is None or case.dim == 1 or case.setting("model.objective.name") != "likelihood":
        return None
    said = f"KL(data ‖ model) is {kl:.3g} nats above zero, and a {shape} comes no nearer, whatever its size: a spline flow does."
    return Suggestion(said, ("model=spline_coupling",), more=False)
