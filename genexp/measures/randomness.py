"""Random bits and what is made of them, on trial: every statistic beside what it should be, and its p-value.

The tests are of one sequence of `model.tested` numbers that should be uniform and independent.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from genexp.measures.record import Value, Values, measure
from genexp.samplers import lattice, trials
from genexp.samplers.base import State, Stream
from genexp.seeds import seed_for
from genexp.subject import Subject, once

DIMENSIONS = (2, 3, 4, 5, 6)
TIMED, TIMES = 2**20, 5  # numbers whose making is timed, and how often: the fastest time counts
MODEL = {"bits"}


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
def ks(subject: Subject) -> Values:
    return judged(trials.kolmogorov_smirnov(tested(subject)))


@measure("chi2", "χ² of equal cells in 1, 2, 3 dimensions over its degrees of freedom", better="exact", headline=11, model=MODEL)
def chi2(subject: Subject) -> Values:
    return by_ending({f"{dims}d": trials.chi_square(tested(subject), dims) for dims in (1, 2, 3)})


@measure("serial_correlation", "correlation of each number with the next", better="exact", headline=12, model=MODEL)
def serial_correlation(subject: Subject) -> Values:
    return judged(trials.serial_correlation(tested(subject)))


@measure("runs", "how often the numbers rise or fall without a turn", better="exact", headline=13, model=MODEL)
def runs(subject: Subject) -> Values:
    return judged(trials.runs(tested(subject)))


@measure("birthday_spacings", "equal spacings between birthdays in a long year", better="exact", headline=14, model=MODEL)
def birthday_spacings(subject: Subject) -> Values:
    return judged(trials.birthday_spacings(tested(subject)))


@measure("lowest_bits", "χ² of the words' lowest bits over its degrees of freedom", better="exact", headline=15, model=MODEL)
def lowest_bits(subject: Subject) -> Values:
    return judged(trials.lowest_bits(sequence(subject).words(subject.model.tested)))


@measure("planes", "planes on which all points lie, by the spectral test", better="higher", headline=16, model=MODEL)
def planes(subject: Subject) -> Values:
    """Of a linear congruential generator, beside the most that there can be."""
    source = subject.model.source
    found = {f"{dims}d": Value(lattice.planes(each), floor=source.most_planes(dims)) for dims, each in waves(subject).items()}
    return found or None


@measure("spectral", "the spectral test: nearness of the planes, as a share of the best possible", better="higher", model=MODEL)
def spectral(subject: Subject) -> Values:
    return {f"{dims}d": Value(lattice.merit(each, subject.model.source.modulus)) for dims, each in waves(subject).items()} or None


@once
def waves(subject: Subject) -> dict[int, lattice.Vector]:
    """For each dimension the shortest vector of the source's dual lattice; none where it has no lattice."""
    source = subject.model.source
    return {dims: source.wave(dims) for dims in DIMENSIONS} if source.modulus else {}


@measure("log2_period", "log₂ of the numbers that come before they begin again", better="higher", model=MODEL)
def log2_period(subject: Subject) -> Value | None:
    stream = sequence(subject)
    found = stream.source.period(stream.state)
    return None if found is None else Value(found)


@measure("bits_per_second", "random bits a second; and NumPy's PCG64", better="higher", model=MODEL)
def bits_per_second(subject: Subject) -> Values:
    source, state = subject.model.source, sequence(subject).state
    count = min(TIMED, subject.model.tested)
    ours = seconds(partial(draw, source.words, state, count))
    theirs = seconds(partial(np.random.PCG64(0).random_raw, count))
    return Value(source.width * count / ours, baseline=64 * count / theirs)


def draw(words: Callable[..., object], state: State, count: int) -> None:
    words(state, count)


def seconds(call: Callable[[], object]) -> float:
    """The fastest of a few calls."""
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)
