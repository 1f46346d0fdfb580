"""Energy-based models: ln Z and the likelihood by annealed importance sampling, and how far chains are from their own density."""

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from genexp.data.base import DataSpec
from genexp.divergences.wasserstein import wasserstein
from genexp.measures.likelihood import standard_error
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.models.normal import Normal
from genexp.seeds import seed_for
from genexp.subject import Subject, once

PARTICLES = 1_024  # chains by which Z is estimated
SHORT = 20  # transitions of a short run
CHAINS, COMPARED = 4_096, 1_000  # chains that are counted in cells, and points whose distances are paired
SPLITS = 7  # of the plane in two halves of the model's mass: 128 cells
FOUND_BY = 65_536  # exact samples
EXAMPLES = 65_536  # that the best Gaussian is fitted to
PLANE = {"plane", "drawn"}


@dataclass(frozen=True)
class Estimated:
    """ln Z from below and from above, with standard errors; `effective`: sample size of the weights, as a share."""

    low: float
    low_error: float
    high: float
    high_error: float
    effective: float


def log_mean(log_weight: Tensor) -> tuple[float, float]:
    """ln of the mean of weights (n,), and its standard error."""
    log_weight = log_weight.double()
    found = float(log_weight.logsumexp(0)) - math.log(len(log_weight))
    return found, standard_error((log_weight - found).exp())


@once
def estimated(subject: Subject) -> Estimated:
    """By `PARTICLES` chains from the noise to the energy, and by as many of the run's samples on their way back."""
    model, device = subject.model, subject.device
    there = model.partition(PARTICLES).double()
    back = model.partition_back(subject.samples[:PARTICLES].to(device))
    (low, low_error), (high, high_error) = log_mean(there), log_mean(back)
    share = 2 * there.logsumexp(0) - (2 * there).logsumexp(0)
    return Estimated(low, low_error, -high, high_error, float(share.exp()) / len(there))


@measure(
    "log_partition",
    "ln Z of the energy, an estimate by annealed importance sampling, on average too low; /back: on the way back, too high",
    better="exact",
    unit="nats",
    model={"energy"},
    data={"drawn"},
)
@cannot_see("modes that annealing never finds: it is then too low")
def log_partition(subject: Subject) -> Values:
    """Beside what quadrature gives."""
    found = estimated(subject)
    exact = float(subject.model.log_z) if "exact" in subject.can else None
    return {
        "": Value(found.low, exact=exact, error=found.low_error),
        "back": Value(found.high, exact=exact, error=found.high_error),
        "effective": Value(found.effective),
    }


@measure(
    "ais_nll",
    "an estimate of −E ln p(x), nats, by annealed importance sampling: on average too low; /back too high",
    better="lower",
    headline=40,
    model={"energy"},
    data={"drawn"},
    constraint="likelihood",
)
@cannot_see("modes that annealing never finds: it is then too low")
def ais_nll(subject: Subject) -> Values:
    """None where the likelihood is exact. Of pictures: under the noise that the model was trained with, so that it can be set
    beside nothing but another model of the same noise; the best Gaussian is one. The floor is the entropy of that noise.
    """
    if "exact" in subject.can:
        return None
    model, found, x = subject.model, estimated(subject), subject.model.with_noise(subject.test.x)
    energy = torch.cat([model.energy(part) for part in x.split(subject.settings.evaluation.batch_size)]).double()
    mean, error = float(energy.mean()), standard_error(energy)
    dim, noise = x[0].numel(), model.noise
    floor = 0.5 * dim * math.log(2 * math.pi * math.e * noise**2) + subject.log_scale if noise else None
    baseline = gaussian_baseline(subject, x)
    value = partial(Value, floor=floor, baseline=baseline)
    return {
        "": value(mean + found.low + subject.log_scale, error=math.hypot(error, found.low_error)),
        "back": value(mean + found.high + subject.log_scale, error=math.hypot(error, found.high_error)),
    }


def gaussian_baseline(subject: Subject, x: Tensor) -> float:
    """−mean ln N(x; μ, Σ) of the same noisy test examples, μ and Σ those of noisy training examples."""
    batch = subject.data.examples(EXAMPLES, seed_for(subject.settings.seed, "best Gaussian"))
    normal = Normal(DataSpec(tuple(x.shape[1:]), kind="real")).double().to(subject.device)
    normal.initialise(type(batch)(subject.model.with_noise(batch.x)))
    return -float(normal.log_prob(x.double()).mean()) + subject.log_scale


@measure(
    "energy_gap",
    "mean energy of the samples less that of the test examples, in units of kT; far from 0 the two are not alike",
    better="exact",
    headline=44,
    model={"energy"},
    data={"drawn"},
)
@cannot_see("differences that leave the mean energy as it is")
def energy_gap(subject: Subject) -> Value:
    model, size = subject.model, subject.settings.evaluation.batch_size
    samples, test = subject.samples.to(subject.device), model.with_noise(subject.test.x)
    of_samples, of_test = (torch.cat([model.energy(part) for part in x.split(size)]).double() for x in (samples, test))
    error = math.hypot(standard_error(of_samples), standard_error(of_test))
    return Value(float(of_samples.mean() - of_test.mean()), exact=0.0, error=error)


@dataclass(frozen=True)
class Runs:
    """Points of chains, (n, 2) each by what they did; two clouds of exact samples; cells of equal mass under the model."""

    chains: dict[str, Tensor]
    exact: Tensor
    other: Tensor
    cells: "EqualCells"


@once
def runs(subject: Subject) -> Runs:
    """What the run's own samples, and short chains from the noise and from the data, are beside exact samples of the model."""
    model, device = subject.model, subject.device
    count = min(CHAINS, len(subject.samples))
    begun = {"short": model.noise_samples(count), "from_data": subject.target[:count].to(device)}
    chains = {"": subject.samples[:count]} | {name: model.short_run(x, SHORT).cpu() for name, x in begun.items()}
    drawn = model.exact_samples(FOUND_BY + 2 * count).cpu().double()
    return Runs(
        {name: x.double() for name, x in chains.items()},
        drawn[FOUND_BY : FOUND_BY + count],
        drawn[FOUND_BY + count :],
        EqualCells(drawn[:FOUND_BY]),
    )


class EqualCells:
    """The plane in 2^SPLITS rectangles, each of which has as many of the given points: halved again and again, along x and y in
    turn.
    """

    def __init__(self, points: Tensor) -> None:
        self.cuts: list[Tensor] = []
        number = torch.zeros(len(points), dtype=torch.long)
        for depth in range(SPLITS):
            values = points[:, depth % 2]
            cut = torch.stack([values[number == each].median() for each in range(2**depth)])
            number = 2 * number + (values > cut[number])
            self.cuts.append(cut)
        self.shares = torch.bincount(number, minlength=2**SPLITS).double() / len(points)

    def number(self, x: Tensor) -> Tensor:
        """In which cell points (n, 2) are, (n,)."""
        number = torch.zeros(len(x), dtype=torch.long)
        for depth, cut in enumerate(self.cuts):
            number = 2 * number + (x[:, depth % 2] > cut[number])
        return number

    def kl(self, x: Tensor) -> float:
        """KL of how points (n, 2) are shared out among the cells from how they should be, in nats."""
        found = torch.bincount(self.number(x), minlength=2**SPLITS).double() / len(x)
        return float(torch.xlogy(found, found / self.shares).sum())


@suggests(20)
def longer_annealing(case: Case) -> Suggestion | None:
    """Samples whose energy is not that of the data: chains that have not arrived, or an energy that is wrong where they go."""
    gap, error = case.number("energy_gap"), case.number("energy_gap_error") or 0.0
    if gap is None or abs(gap) < max(1.0, 5 * error) or not case.setting("model.annealing"):
        return None
    said = f"The energy of the samples is {gap:+.2g} kT from that of the data: chains that are led more slowly may arrive."
    return Suggestion(said, (case.times("model.annealing", 4), case.times("model.settling", 2)))


@measure(
    "chain_kl",
    "KL(chains ‖ the model's own density) over 128 cells of equal mass, nats; /short: 20 steps from noise; /from_data: from data",
    better="lower",
    headline=46,
    model={"energy", "exact"},
    data=PLANE,
)
@cannot_see("detail finer than its 128 cells, and modes that the energy itself lacks")
def chain_kl(subject: Subject) -> Values:
    """A lower bound of the KL between densities; beside what as many exact samples of the model get."""
    found = runs(subject)
    chance = found.cells.kl(found.exact)
    return {name: Value(found.cells.kl(x), real_vs_real=chance) for name, x in found.chains.items()}


@measure(
    "chain_wasserstein",
    "W₁ from chains to the model's own density, in units of the data; /short: 20 steps from noise; /from_data: from data",
    better="lower",
    model={"energy", "exact"},
    data=PLANE,
)
@cannot_see("modes that the energy itself lacks")
def chain_wasserstein(subject: Subject) -> Values:
    found = runs(subject)
    exact, other = found.exact[:COMPARED], found.other[:COMPARED]
    chance = wasserstein(other, exact)
    return {name: Value(wasserstein(x[:COMPARED], exact), real_vs_real=chance) for name, x in found.chains.items()}
