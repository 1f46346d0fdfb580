"""Random bits and what is made of them, on trial: every statistic beside what it should be, and its p-value.

The tests are of one sequence of `model.tested` numbers that should be uniform and independent.
"""

import math
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch

from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.samplers import lattice, trials
from genexp.samplers.base import Drawn, State, Stream
from genexp.seeds import seed_for
from genexp.subject import Subject, once

DIMENSIONS = (2, 3, 4, 5, 6)
TIMED, TIMES = 2**20, 5  # numbers whose making is timed, and how often: the fastest time counts
MODEL, STAGES = {"bits"}, {"stages"}


def sequence(subject: Subject) -> Stream:
    """The sequence that is tested, from its beginning."""
    stream: Stream = subject.model.stream(seed_for(subject.settings.seed, "trial"))
    return stream


@once
def tested(subject: Subject) -> np.ndarray:
    """Its numbers, (tested,), in [0, 1)."""
    return sequence(subject).uniform(subject.model.tested).numpy()


def judged(trial: trials.Trial | None) -> Values:
    """A statistic beside what is expected, and its p-value; nothing of too few numbers."""
    return None if trial is None else {"": Value(trial.value, exact=trial.expected), "p": Value(trial.p)}


def by_ending(found: Mapping[str, trials.Trial | None]) -> Values:
    """The same of several: `1d`, `1d/p`."""
    values = {name: judged(trial) for name, trial in found.items()}
    return {
        f"{name}/{end}".rstrip("/"): each for name, two in values.items() if isinstance(two, dict) for end, each in two.items()
    }


@measure("ks", "largest gap between the numbers' distribution and the uniform one", better="exact", headline=10, model=MODEL)
@cannot_see("the order of the numbers")
def ks(subject: Subject) -> Values:
    return judged(trials.kolmogorov_smirnov(tested(subject)))


@measure(
    "chi2",
    "χ² of equal cells in 1, 2, 3 dimensions over its degrees of freedom",
    better="exact",
    headline=11,
    unit="",
    model=MODEL,
)
@cannot_see("dependence beyond three successive numbers")
def chi2(subject: Subject) -> Values:
    return by_ending({f"{dims}d": trials.chi_square(tested(subject), dims) for dims in (1, 2, 3)})


@measure("serial_correlation", "correlation of each number with the next", better="exact", headline=12, model=MODEL)
@cannot_see("dependence that is not linear, or farther apart")
def serial_correlation(subject: Subject) -> Values:
    return judged(trials.serial_correlation(tested(subject)))


@measure("runs_test", "how often the numbers rise or fall without a turn", better="exact", headline=13, unit="", model=MODEL)
@cannot_see("everything but the order of neighbours")
def runs(subject: Subject) -> Values:
    return judged(trials.runs(tested(subject)))


@measure("birthday_spacings", "equal spacings between birthdays in a long year", better="exact", headline=14, model=MODEL)
@cannot_see("dependence that leaves spacings as they are")
def birthday_spacings(subject: Subject) -> Values:
    return judged(trials.birthday_spacings(tested(subject)))


@measure(
    "lowest_bits", "χ² of the words' lowest bits over its degrees of freedom", better="exact", headline=15, unit="", model=MODEL
)
@cannot_see("the other bits")
def lowest_bits(subject: Subject) -> Values:
    return judged(trials.lowest_bits(sequence(subject).words(subject.model.tested)))


@measure("planes", "planes on which all points lie, by the spectral test", better="higher", headline=16, model=MODEL)
@cannot_see("structure other than planes")
def planes(subject: Subject) -> Values:
    """Of a linear congruential generator, beside the most that there can be."""
    source = subject.model.source
    found = {
        f"{dims}d": Value(lattice.planes(each), ceiling=source.most_planes(dims)) for dims, each in dual_vectors(subject).items()
    }
    return found or None


@measure("spectral", "the spectral test: nearness of the planes, as a share of the best possible", better="higher", model=MODEL)
@cannot_see("structure other than planes")
def spectral(subject: Subject) -> Values:
    return {
        f"{dims}d": Value(lattice.merit(each, subject.model.source.modulus)) for dims, each in dual_vectors(subject).items()
    } or None


@once
def dual_vectors(subject: Subject) -> dict[int, lattice.Vector]:
    """For each dimension the shortest vector of the source's dual lattice; none where it has no lattice."""
    source = subject.model.source
    return {dims: source.dual_vector(dims) for dims in DIMENSIONS} if source.modulus else {}


@measure("log2_period", "log₂ of the numbers that come before they begin again", better="higher", model=MODEL)
@cannot_see("how good the numbers are within the period")
def log2_period(subject: Subject) -> Value | None:
    stream = sequence(subject)
    found = stream.source.period(stream.state)
    return None if found is None else Value(found)


@measure("bits_per_second", "random bits a second; and NumPy's PCG64", better="higher", model=MODEL, wall_clock=True)
def bits_per_second(subject: Subject) -> Values:
    source, state = subject.model.source, sequence(subject).state
    count = min(TIMED, subject.model.tested)
    ours = seconds(partial(draw, source.words, state, count))
    theirs = seconds(partial(np.random.PCG64(0).random_raw, count))
    return Value(source.width * count / ours, baseline=64 * count / theirs)


# --- what is made of them ----------------------------------------------------------------------------------------------


@once
def transformed(subject: Subject) -> Drawn:
    """As many numbers as are tested, made into points (n, dim) of their distribution."""
    transform = subject.model.transform
    drawn: Drawn = transform.draw(sequence(subject), max(1, subject.model.tested // transform.dim))
    return drawn


@measure("transformed", "the same tests of F(x₁), F(x₂|x₁), … of the samples x", better="exact", headline=5, model=STAGES)
def transformed_tests(subject: Subject) -> Values:
    u = subject.model.transform.uniformised(transformed(subject).x).flatten().numpy()
    cells = {f"chi2_{dims}d": trials.chi_square(u, dims) for dims in (1, 2, 3)}
    return by_ending({"ks": trials.kolmogorov_smirnov(u), **cells, "serial": trials.serial_correlation(u)})


@measure(
    "stage",
    "largest gap to the right distribution after each step",
    better="exact",
    headline=6,
    model=STAGES,
)
def stage(subject: Subject) -> Values:
    transform = subject.model.transform
    found = transform.stages(sequence(subject), max(1, subject.model.tested // 2))
    return by_ending({each.name: trials.kolmogorov_smirnov(each.uniformised.flatten().numpy()) for each in found})


@measure("acceptance", "share of what is proposed that is kept", better="exact", headline=7, model=STAGES)
def acceptance(subject: Subject) -> Value | None:
    exact, found = subject.model.transform.acceptance, transformed(subject)
    if exact is None:
        return None
    return Value(found.kept / found.proposed, exact=exact, error=math.sqrt(exact * (1 - exact) / found.proposed))


@measure(
    "largest",
    "the largest |x| of the samples; and what uniform numbers of so many bits can give at most",
    unit="units of x",
    model=STAGES,
)
def largest(subject: Subject) -> Values:
    possible = subject.model.transform.largest(subject.model.bits)
    found = Value(float(transformed(subject).x.abs().max()))
    return found if possible is None else {"": found, "possible": Value(possible)}


@measure("covariance_error", "|S − Σ|², S of the samples; on average (tr²Σ + tr Σ²)/n", better="exact", headline=8, model=STAGES)
@cannot_see("everything beyond second moments")
def covariance_error(subject: Subject) -> Value | None:
    covariance, x = subject.model.transform.covariance, transformed(subject).x.double()
    if covariance is None or len(x) < 2:
        return None
    n = len(x) - 1
    exact = float(covariance.trace() ** 2 + (covariance @ covariance).trace()) / n
    return Value(float((x.mT.cov().reshape(covariance.shape) - covariance).square().sum()), exact=exact)


@measure("table_error", "by how much F(x) is wrong at most where x is read off a table", better="lower", headline=9, model=STAGES)
@cannot_see("errors of anything but the table")
def table_error(subject: Subject) -> Value | None:
    found = subject.model.transform.table_error
    return None if found is None else Value(found)


@measure(
    "nanoseconds",
    "to make one number of a sample; a Gaussian one of NumPy's and of torch's",
    better="lower",
    unit="ns",
    model=STAGES,
    wall_clock=True,
)
def nanoseconds(subject: Subject) -> Values:
    transform, stream, count = subject.model.transform, sequence(subject), min(TIMED, subject.model.tested)
    n = max(1, count // transform.dim)
    calls: dict[str, Callable[[], object]] = {
        "": lambda: transform.draw(stream, n),
        "numpy": partial(np.random.default_rng(0).standard_normal, n * transform.dim),
        "torch": partial(torch.randn, n * transform.dim),
    }
    return {name: Value(1e9 * seconds(call) / (n * transform.dim)) for name, call in calls.items()}


def draw(words: Callable[..., object], state: State, count: int) -> None:
    words(state, count)


def seconds(call: Callable[[], object]) -> float:
    """The fastest of a few calls."""
    found = []
    for _ in range(TIMES):
        began = time.process_time()
        call()
        found.append(time.process_time() - began)
    return min(found)
