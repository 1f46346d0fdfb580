"""What a mixture of Gaussians gets for the examples it was fitted to, and what its size costs."""

import math

import torch

from genexp.fit.whole import whole
from genexp.machine.device import all_digits
from genexp.measures.likelihood import Likelihood, of_likelihood
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.subject import Subject, once

NOTICEABLE = 0.02  # nats between test and training examples

PART = 8_192  # examples


@once
@torch.no_grad()
def of_training(subject: Subject) -> Likelihood | None:
    """The likelihood of the examples that it was fitted to; None where every batch was drawn anew."""
    if subject.model.fitter == "gradient" and "examples" not in subject.knows:
        return None
    x = whole(subject.data, subject.model.examples, subject.settings.seed).batch.x
    with all_digits(subject.device):
        return Likelihood(torch.cat([subject.model.log_prob(part).double().cpu() for part in x.split(PART)]))


@measure(
    "train_nll",
    "−E ln p(x) of the training examples, nats",
    better="lower",
    model={"gaussians", "exact"},
    data={"points", "drawn"},
)
@cannot_see("new examples: what is learnt by heart makes it lower")
def train_nll(subject: Subject) -> Value | None:
    found = of_training(subject)
    return None if found is None else Value(of_likelihood(found).value + subject.log_scale)  # type: ignore[operator]


@suggests(30)
def fewer_components(case: Case) -> Suggestion | None:
    """A mixture that knows its examples better than the data."""
    train, test, error = case.number("train_nll"), case.number("nll"), case.number("nll_error") or 0.0
    components = case.setting("model.components")
    if (
        train is None
        or test is None
        or test - train < max(NOTICEABLE, 4 * error)
        or not isinstance(components, int)
        or components < 2
    ):
        return None
    fewer = ",".join(dict.fromkeys(str(max(1, components // 2**halvings)) for halvings in range(1, 6)))
    said = (
        f"It gives its own examples {test - train:.2g} nats more than others: of fewer components, the least bic says how many."
    )
    return Suggestion(said, (f"model.components={fewer}",), more=False)


@measure(
    "bic",
    "Bayesian information criterion over 2N: train_nll + p ln N / 2N of p free numbers and N examples, nats",
    better="lower",
    model={"gaussians", "exact"},
    data={"points", "drawn"},
)
@cannot_see("whether the family is right: it compares sizes within one")
def bic(subject: Subject) -> Value | None:
    """Source: Schwarz, Estimating the Dimension of a Model (1978). Its 2N makes it comparable to nll."""
    found = of_training(subject)
    if found is None:
        return None
    count = len(found.log_prob)
    price = subject.model.gaussians().free * math.log(count) / (2 * count)
    return Value(of_likelihood(found).value + subject.log_scale + price)  # type: ignore[operator]
