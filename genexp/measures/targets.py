"""How well samples with known weights stand for a density, and a density for its true samples.

Weights w = p̃(x)/q(x) over the model's own samples x ~ q see only what the model has found. Over true samples they see what it has
lost: `ess_forward`, where there are any.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.machine.distributed import sharded
from genexp.measures.likelihood import likelihood, of_test, standard_error
from genexp.measures.record import LeftOut, Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for
from genexp.subject import Subject, once

MODEL, DATA = {"sample", "exact|weighted"}, {"log_density"}
FOUND = 0.1  # a mode is found by samples of which it has at least so much of its share
POOR = 0.1  # share of the samples that count, below which few stand for all


@dataclass(frozen=True)
class Weighted:
    """ln w = ln p̃(x) − ln q(x) of n samples x ~ q of the model, in nats, (n,), float64."""

    log_weight: Tensor

    @property
    def log_z(self) -> float:
        """ln 1/n Σ w: an estimate of ln ∫ p̃, on average too low."""
        return float(self.log_weight.logsumexp(0)) - math.log(len(self.log_weight))

    @property
    def log_z_error(self) -> float:
        """Standard error of `log_z`: that of the mean weight, in units of it."""
        return standard_error((self.log_weight - self.log_z).exp())

    @property
    def ess(self) -> float:
        """Kish's effective sample size as a share of n: (Σ w)² / (n Σ w²)."""
        log_share = 2 * self.log_weight.logsumexp(0) - (2 * self.log_weight).logsumexp(0)
        return float(log_share.exp()) / len(self.log_weight)


@once
def weighted(subject: Subject) -> Weighted:
    """The model's own points with their weights: what it has kept, or the run's samples; of a model that was trained by
    likelihood as many of these as have their likelihood found. LeftOut where the density is no number, or all weights are zero.
    """
    if "weighted" in subject.can:
        return Weighted(subject.model.log_weight.double().cpu())
    log_density, settings = subject.data.heldout(1, 0).log_density, subject.settings.evaluation
    most = settings.ode_points if "refined" in subject.can else settings.num_points
    samples = subject.samples[:most] if subject.objective == "nll" or "refined" in subject.can else subject.samples
    parts = [(index, part) for index, part in enumerate(samples.split(settings.batch_size))]

    def weigh(numbered: tuple[int, Tensor]) -> Tensor:
        x = numbered[1].to(subject.device)
        return (log_density(x).double() - subject.model.log_prob(x).double()).cpu()

    with all_digits(subject.device):
        found = Weighted(torch.cat(sharded(parts, weigh)))
    bad = int((found.log_weight.isnan() | found.log_weight.isposinf()).sum())
    if bad:
        raise LeftOut(f"the log density less that of the model is NaN or +inf at {bad} of {len(samples)} samples")
    if bool(found.log_weight.isneginf().all()):
        raise LeftOut("the density is zero at every sample")
    return found


@measure(
    "reverse_kl",
    "KL(model ‖ data) over samples, nats",
    better="lower",
    headline=31,
    model={"sample", "exact"},
    data=DATA | {"log_z"},
    objective="reverse_kl",
    constraint="resemblance",
)
@cannot_see("modes that the model has not: it is a mean over what the model draws")
def reverse_kl(subject: Subject) -> Value:
    log_weight = weighted(subject).log_weight
    return Value(subject.log_z - float(log_weight.mean()), floor=0.0, error=standard_error(log_weight))


@measure(
    "log_z",
    "ln of the density's integral by importance sampling, nats",
    better="exact",
    headline=42,
    model=MODEL,
    data=DATA,
)
@cannot_see("modes that the samples never visited: it is then too low, with a small error")
def log_z(subject: Subject) -> Value:
    found = weighted(subject)
    return Value(found.log_z, exact=subject.log_z if "log_z" in subject.knows else None, error=found.log_z_error)


@measure(
    "log_z_bias",
    "log_z less the exact one, beside the standard error that log_z has by its own weights, nats",
    better="exact",
    model=MODEL,
    data=DATA | {"log_z"},
)
def log_z_bias(subject: Subject) -> Value:
    """Many times its standard error where the samples have lost a part of the density."""
    found = weighted(subject)
    return Value(found.log_z - subject.log_z, exact=0.0, error=found.log_z_error)


@measure(
    "ess",
    "effective sample size, a share of the samples",
    better="higher",
    headline=43,
    model=MODEL,
    data=DATA,
)
@cannot_see("modes that the samples never visited: it may be near 1 and most of the density be missed")
def ess(subject: Subject) -> Value:
    return Value(weighted(subject).ess, exact=1.0)


@measure(
    "ess_forward",
    "effective sample size by true samples, which sees lost modes",
    better="higher",
    unit="0 to 1",
    headline=44,
    model={"exact"},
    data={"log_density", "log_z", "sampler"},
)
@cannot_see("mass that the model puts where the density has none")
def ess_forward(subject: Subject) -> Value:
    """(E_q w)² / E_q w² = 1 / E_p[p/q], over x ~ p; 0 where the model has no density at one of them."""
    if "drawn" in subject.knows:
        x, log_q = subject.test.x, of_test(subject).log_prob
    else:
        x = true_samples(subject)
        log_q = likelihood(subject, x).log_prob
    log_p = subject.density.log_prob(x.cpu().double())
    log_ratio = log_p - log_q
    mean = float(log_ratio.logsumexp(0)) - math.log(len(x))
    relative = standard_error((log_ratio - mean).exp()) if math.isfinite(mean) else 0.0
    return Value(math.exp(-mean), exact=1.0, error=math.exp(-mean) * relative)


@once
def true_samples(subject: Subject) -> Tensor:
    """Of a target: as many as have their likelihood found of other data."""
    settings = subject.settings.evaluation
    count = settings.ode_points if "refined" in subject.can else settings.num_points
    generator = torch.Generator().manual_seed(seed_for(subject.settings.seed, "true samples"))
    return subject.density.sample(count, generator)  # type: ignore[no-any-return]


@suggests(8)
def find_the_modes(case: Case) -> Suggestion | None:
    """Samples that stand for little of the density: modes are missed, or their masses are wrong."""
    ess, found, there = case.number("ess"), case.number("modes_found"), case.beside("exact", "modes_found")
    missed = found is not None and there is not None and found < there
    if not missed and (ess is None or ess > POOR):
        return None
    what = f"{found:.0f} of {there:.0f} modes are found" if missed else f"{100 * (ess or 0):.2g} % of the samples count"
    if case.setting("model.objective.name") in ("reverse_kl", "alpha"):
        return Suggestion(
            f"{what}: annealed chains find what the flow's own samples never visit.", ("model/objective=fab",), more=False
        )
    if case.setting("model.temperatures"):
        return Suggestion(f"{what}: more temperatures lose fewer on the way.", (case.times("model.temperatures", 2),))
    return Suggestion(f"{what}: a larger model follows the density more closely.", case.larger(), more=True)


@measure(
    "modes_found",
    "modes with a tenth of their share of the samples at least",
    better="exact",
    unit="",
    headline=45,
    data={"modes"},
    constraint="coverage",
)
@cannot_see("whether their masses and shapes are right")
def modes_found(subject: Subject) -> Value:
    """Of a many-well: wells of each pair of coordinates. Which of their combinations have samples, `ess_forward` sees."""
    masses, shares = subject.density.mode_masses, subject.density.mode_shares(subject.samples)
    return Value(int((shares >= FOUND * masses).sum()), exact=len(masses))
