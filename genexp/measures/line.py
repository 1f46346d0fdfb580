"""Of densities on a line, where every integral is exact for the eye: the model's own entropy, and its density where one asks."""

import torch

from genexp.data.known import PART
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.measures.quadrature import check_within, densities, in_float64, in_parts
from genexp.measures.record import Value, measure
from genexp.subject import Subject


@measure("entropy", "the model's own entropy by quadrature, nats", better="exact", model={"exact"}, data={"line", "box"})
def entropy(subject: Subject) -> Value:
    """−∫ q ln q, which need not be that of the data. LeftOut where much of the model lies beyond the points of the quadrature."""
    found = densities(subject)
    check_within(found)
    q = found.log_q.exp()
    return Value(-found.rule.integral(torch.xlogy(q, q)), exact=subject.density.entropy)


@measure(
    "density_at",
    "the model's density at a number that was asked for",
    better="exact",
    model={"exact"},
    data={"line"},
    asked=lambda evaluation: bool(evaluation.density_at),
)
def density_at(subject: Subject) -> dict[str, Value]:
    """One for each of `evaluation.density_at`: p(x), not ln p(x)."""
    x = torch.tensor(subject.settings.evaluation.density_at, dtype=torch.float64)[:, None]
    with all_digits(subject.device):
        learnt = in_parts(in_float64(subject.model).log_prob, x, PART).exp()
    known = "density" in subject.knows
    true = in_parts(subject.density.log_prob, x, PART).exp().tolist() if known else [None] * len(x)
    names = [f"{number:g}" for number in subject.settings.evaluation.density_at]
    return {name: Value(float(q), exact=p) for name, q, p in zip(names, learnt, true, strict=True)}


def check(subject: Subject) -> None:
    """UserError where a density at numbers is asked for that cannot be had."""
    asked = subject.settings.evaluation.density_at
    if asked and not ("line" in subject.knows and "exact" in subject.can):
        what = "these data are not of one dimension" if "line" not in subject.knows else "this model has no exact density"
        raise UserError(f"evaluation.density_at={list(asked)}: {what}")
