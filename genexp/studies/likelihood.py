"""The likelihood of held-out points: its mean, its standard error, and what the steps of an ODE leave uncertain."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.distributed import sharded
from genexp.models.base import HasRefinement, HasVelocity
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Metric, Subject

PART = 256  # points whose likelihood is found at once: few enough for several processes to have some
COMPARED = 0.25  # share of the points whose ODE is solved again in half the step
ENOUGH = 1e-3  # nats; a change of the mean below this, or below a third of its standard error, is no reason to refine
MOST_REFINED = 8  # times the model's own number of steps


@dataclass(frozen=True)
class Likelihood:
    """ln p(x) of n points, in nats, (n,); `discretisation`: by how much halving the ODE's step changes their mean."""

    log_prob: Tensor
    discretisation: float | None = None

    def metrics(self) -> dict[str, Metric]:
        """nll = −mean ln p(x), and its standard error over the points; null of a single point."""
        error = standard_error(self.log_prob)
        found: dict[str, Metric] = {
            "nll": -float(self.log_prob.mean()),
            "nll_error": None if math.isnan(error) else error,
        }
        return found if self.discretisation is None else {**found, "nll_discretisation": self.discretisation}


def standard_error(values: Tensor) -> float:
    """Of the mean of independent values (n,): sd / √n; NaN where n = 1."""
    return float(values.std()) / math.sqrt(len(values)) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class HeldOut:
    """Points of the data (n, dim) that nothing was trained on, on the CPU.

    target: as many as the run draws samples, to set beside these. scored: those whose likelihood is found, `num_points` or, where
    each is an ODE of its own, `ode_points`. The one are the first of the other.
    """

    target: Tensor
    scored: Tensor


def held_out(subject: Subject) -> HeldOut:
    settings = subject.settings.evaluation
    scored = settings.ode_points if isinstance(subject.model, HasVelocity) else settings.num_points
    x = subject.data.heldout(max(settings.num_samples, scored), seed_for(subject.settings.seed, "test")).x.cpu()
    return HeldOut(x[: settings.num_samples], x[:scored])


@torch.no_grad()
def likelihood(subject: Subject, x: Tensor) -> Likelihood:
    """ln p(x) of the points x (n, dim).

    Where it is an ODE, the first quarter of them is found again with twice the steps, and steps are doubled as long as that
    changes the mean noticeably; then all points are found with as many steps as were enough.
    """
    if not isinstance(subject.model, HasRefinement):
        return Likelihood(_log_prob(subject, x, 0, 1))
    few = math.ceil(COMPARED * len(x))
    refinement, here = 1, _log_prob(subject, x[:few], 0, 1)
    while True:
        finer = _log_prob(subject, x[:few], 0, 2 * refinement)
        change = abs(float((finer - here).mean()))
        tolerance = max(ENOUGH, float(here.std()) / math.sqrt(len(x)) / 3 if few > 1 else ENOUGH)
        if not change > tolerance or 2 * refinement >= MOST_REFINED:  # or the change is no number
            break
        refinement, here = 2 * refinement, finer
    rest = [_log_prob(subject, x[few:], few, refinement)] if few < len(x) else []
    return Likelihood(torch.cat([here, *rest]), change)


def _log_prob(subject: Subject, x: Tensor, first: int, refinement: int) -> Tensor:
    """ln p of the points x (n, dim), the first of which is number `first`: random numbers depend on the numbers of the points."""
    model = subject.model

    def log_prob(part: tuple[int, Tensor]) -> Tensor:
        index, few = part[0], part[1].to(subject.device)
        with seeded(seed_for(subject.settings.seed, f"nll/{index}"), subject.device):
            found = model.refined_log_prob(few, refinement) if isinstance(model, HasRefinement) else model.log_prob(few)
            return found.double().cpu()

    size = min(subject.settings.evaluation.batch_size, PART)
    with torch.autocast(subject.device.type, enabled=False):
        return torch.cat(sharded([(first + size * index, few) for index, few in enumerate(x.split(size))], log_prob))
