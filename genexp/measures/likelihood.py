"""The likelihood of held-out points: its mean, its standard error, and what the steps of an ODE leave uncertain."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.machine.distributed import sharded
from genexp.measures.excess import surprisal
from genexp.measures.floors import floor_of_bits
from genexp.measures.gaussian import best_gaussian
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.steady import on_support, steadied
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

PART = 256  # examples whose likelihood is found at once: few enough for several processes to have some
SMALL_PART = 2_048  # and of a few numbers each, of which so many take little longer
SMALL = 4  # numbers
COMPARED = 0.25  # share of the points whose ODE is solved again in half the step
ENOUGH = 1e-3  # nats; a change of the mean below this, or below a third of its standard error, is no reason to refine
ENOUGH_POINTS = 64  # for the covariance of two numbers
MOST_REFINED = 8  # times the model's own number of steps


@dataclass(frozen=True)
class Likelihood:
    """ln p(x) of n points, in nats, (n,); `discretisation`: by how much halving the ODE's step changes their
    mean, of `refinement` times the model's own number of steps."""

    log_prob: Tensor
    discretisation: float | None = None
    refinement: float = 1


def standard_error(values: Tensor) -> float:
    """Of the mean of independent values (n,): sd / √n; NaN where n = 1."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan


@torch.no_grad()
def likelihood(subject: Subject, x: Tensor) -> Likelihood:
    """ln p(x) of the points x (n, dim).

    Where it is an ODE, the first quarter of them is found again with twice the steps, and steps are doubled as long as that
    changes the mean noticeably, and by more than the scatter of the single changes would by chance; then all points are found
    with as many steps as were enough.
    """
    if "refined" not in subject.can:
        return Likelihood(_log_prob(subject, x, 0, 1))
    few = math.ceil(COMPARED * len(x))
    refinement, here = 1, _log_prob(subject, x[:few], 0, 1)
    while True:
        finer = _log_prob(subject, x[:few], 0, 2 * refinement)
        change, chance = abs(float((finer - here).mean())), standard_error(finer - here)
        tolerance = max(ENOUGH, float(here.std()) / math.sqrt(len(x)) / 3) if few > 1 else math.inf  # one point has no mean
        if not change > tolerance + chance or 2 * refinement >= MOST_REFINED:  # or the change is no number
            break
        refinement, here = 2 * refinement, finer
    rest = [_log_prob(subject, x[few:], few, refinement)] if few < len(x) else []
    return Likelihood(torch.cat([here, *rest]), change, refinement)


def _log_prob(subject: Subject, x: Tensor, first: int, refinement: int) -> Tensor:
    """ln p of the points x (n, dim), the first of which is number `first`: random numbers depend on the numbers of the points."""
    model = subject.model

    def log_prob(part: tuple[int, Tensor]) -> Tensor:
        index, few = part[0], part[1].to(subject.device)
        with seeded(seed_for(subject.settings.seed, f"nll/{index}"), subject.device):
            found = model.refined_log_prob(few, refinement) if "refined" in subject.can else model.log_prob(few)
            return found.double().cpu()

    size = min(subject.settings.evaluation.batch_size, SMALL_PART if x[0].numel() <= SMALL else PART)
    with all_digits(subject.device):
        return torch.cat(sharded([(first + size * index, few) for index, few in enumerate(x.split(size))], log_prob))


@once
def of_test(subject: Subject) -> Likelihood:
    """That of the examples that nothing was trained on."""
    return likelihood(subject, subject.test.x)


@measure(
    "nll",
    "−E ln p(x) on held-out data, nats",
    better="lower",
    headline=40,
    model={"exact|estimate"},
    data={"drawn"},
    constraint="likelihood",
)
@cannot_see("whether samples are good: of a mixture with 99 % noise the nll is at most 4.6 nats worse")
def nll(subject: Subject) -> Value:
    """Beside its floor: what the data's own density gives the same points; and beside what the best Gaussian gives them. Of a
    uniform density it is that and the divergence from it (`steadied`), which scatters less.
    """
    likelihood = of_test(subject)
    found = of_likelihood(likelihood, _floor(subject))
    if "cells" in subject.knows and len(likelihood.log_prob) >= ENOUGH_POINTS:
        inside = on_support(subject, len(likelihood.log_prob), likelihood.refinement)
        if inside is not None:
            entropy = float(subject.density.entropy)
            divergence, error = steadied(likelihood.log_prob + entropy, inside)
            found = replace(found, value=entropy + divergence, error=error)
    return replace(found, value=found.value + subject.log_scale, baseline=best_gaussian(subject))  # type: ignore[operator]


def of_likelihood(found: Likelihood, floor: float | None = None) -> Value:
    """−mean ln p(x), and its standard error over the points; none of a single point."""
    error = standard_error(found.log_prob)
    return Value(-float(found.log_prob.mean()), floor=floor, error=None if math.isnan(error) else error)


@measure(
    "nll_discretisation", "by how much half the ODE's step changes nll, nats", better="lower", model={"refined"}, data={"drawn"}
)
@cannot_see("errors of the velocity itself, which a finer solver follows just as faithfully")
def nll_discretisation(subject: Subject) -> Value | None:
    change = of_test(subject).discretisation
    return None if change is None else Value(change)


@suggests(15)
def finer_solver(case: Case) -> Suggestion | None:
    """Steps of an ODE that leave the likelihood more uncertain than the number of points does."""
    change, error = case.number("nll_discretisation"), case.number("nll_error")
    if change is None or change <= max(ENOUGH, error or 0.0):
        return None
    said = f"Half the step of the ODE changes the nll by {change:.2g} nats, more than its standard error: a finer solver."
    return Suggestion(said, case.finer())


@suggests(14)
def worse_than_simple(case: Case) -> Suggestion | None:
    """A likelihood worse than that of the simplest model, where the held-out loss no longer falls."""
    if not case.by_gradient or case.falling:
        return None
    for name in ("nll", "neg_elbo"):
        found, simple, error = case.number(name), case.beside("baseline", name), case.number(f"{name}_error") or 0.0
        if found is not None and simple is not None and found - simple > max(ENOUGH, 4 * error):
            said = f"{name} is {found:.4g}, worse than the {simple:.4g} of the simplest model: smaller steps, and more of them."
            return Suggestion(said, (case.times("trainer.lr", 1 / 3), *case.longer(3)), more=True)
    return None


def _floor(subject: Subject) -> float | None:
    if subject.data.spec.kind == "bits" and "pictures" in subject.knows:
        return floor_of_bits(subject)
    if "density" not in subject.knows:
        return None
    return float(surprisal(subject, subject.test.x.cpu().double()))
