"""The numbers that samples are judged by, on trial: which failing sampler each of them notices, and with how many samples.

In each repetition examples are dealt out anew: some are trained on, some held out, and of the others the samples are made. What
the truth itself gets in some repetitions says where a number becomes suspicious, with 5 % false alarms; other repetitions of the
truth say whether that is so. A failure is noticed where the number is suspicious in most of its repetitions.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.failures.base import TRUTH, failures
from genexp.machine.device import all_digits
from genexp.measures.classifier import in_parts, train_classifier
from genexp.measures.likeness import principal
from genexp.measures.on_trial import Clouds, tried
from genexp.measures.record import Better, Value, measure, measures
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

ALARMS = 0.05  # of the true repetitions that are called suspicious
HARDLY = 0.25  # of a failure's repetitions: what is noticed in fewer, with the most samples, is missed
MODEL = {"trial"}

Seen = Callable[[Tensor], Tensor]  # (n, *shape) → (n, d)


@dataclass(frozen=True)
class Trial:
    """What came out. S numbers, F failing samplers, N numbers of samples, the least first.

    Args:
        names: of the numbers, (S,). failures: of the samplers. ladder: numbers of samples.
        noticed: share of the repetitions in which each number is suspicious, (S, F, N); praised: in which it is better than it
            is of 95 % of the true ones.
        alarms: of how many other repetitions of the truth, `truths`, each is suspicious, (S,) both.
    """

    names: tuple[str, ...]
    failures: tuple[str, ...]
    ladder: tuple[int, ...]
    noticed: np.ndarray
    praised: np.ndarray
    alarms: np.ndarray
    truths: np.ndarray

    def fewest(self, shares: np.ndarray) -> np.ndarray:
        """The least number of samples from which on the shares (…, N) are above a half; 0 where there is none."""
        most = np.flip(np.logical_and.accumulate(np.flip(shares > 0.5, -1), -1), -1)
        return np.where(most.any(-1), np.array(self.ladder)[most.argmax(-1)], 0)


@once
def trial(subject: Subject) -> Trial:
    """All of it: minutes. Random numbers depend on the run's seed alone."""
    model, device = subject.model, torch.device("cpu")
    measures.all()  # whose modules say what is on trial
    with seeded(seed_for(subject.settings.seed, "trial"), device), all_digits(device):
        spaces = spaces_of(subject)
        known = {key: seen(model.x) for key, seen in spaces.items()}
        failing = failures.names()
        names: list[str] = []
        noticed: list[np.ndarray] = []
        praised: list[np.ndarray] = []
        alarms: list[np.ndarray] = []
        every = {name: each.every for each in tried for name in each.names}

        def judged(name: str, n: int, number: int) -> list[float]:
            train, held, fresh = model.deal(n)
            if name == TRUTH:
                seen = {key: x[fresh[:n]] for key, x in known.items()}
            else:
                samples = model.made_by(failures[name], fresh, n, train)
                seen = {key: see(samples) for key, see in spaces.items()}
            clouds = {key: Clouds(seen[key], x[held], x[train]) for key, x in known.items()}
            numbers = judge(subject, clouds, number)
            names[:] = numbers
            return [*numbers.values()]

        def repeated(name: str, n: int, times: int) -> np.ndarray:
            return np.array([judged(name, n, number) for number in range(times)])

        for n in model.ladder:
            truth, others = (
                repeated(TRUTH, n, 2 * model.repetitions),
                np.stack([repeated(name, n, model.failing) for name in failing]),
            )
            steps = [every[name.partition("/")[0]] for name in names]
            found = [
                verdict(better_of(name), truth[::step, s], others[:, ::step, s])
                for s, (name, step) in enumerate(zip(names, steps, strict=True))
            ]
            for all_of, one in zip((noticed, praised, alarms), zip(*found, strict=True), strict=True):
                all_of.append(np.array(one))
        return Trial(
            tuple(names),
            tuple(failing),
            tuple(model.ladder),
            np.stack(noticed, -1),
            np.stack(praised, -1),
            np.sum(alarms, 0),
            np.array([(math.ceil(2 * model.repetitions / step) + 1) // 2 for step in steps]) * len(model.ladder),
        )


def spaces_of(subject: Subject) -> dict[tuple[str, str], Seen]:
    """Each space, as (its kind, the ending of the numbers in it), and how examples are seen in it."""
    model, x = subject.model, subject.model.x
    found: dict[tuple[str, str], Seen] = {("raw", ""): lambda x: x.flatten(1)}
    found["features", ""] = principal(x) if model.pictures else lambda x: x
    if model.pictures and model.classes:
        classifier = train_classifier(subject.data.train, model.classes, subject.settings.evaluation.classifier_steps).cpu()
        found["features", "classifier"] = lambda x: in_parts(classifier.features, x)  # type: ignore[arg-type]
        found["classes", ""] = lambda x: F.one_hot(in_parts(classifier, x).argmax(1), model.classes).float()
    else:
        found["classes", ""] = lambda x: F.one_hot(model.cluster(x), model.clusters).float()
    if {"density", "log_density"} <= subject.knows:
        found["log_density", ""] = lambda x: subject.density.log_prob(x.double())[:, None]
    return found


def judge(subject: Subject, clouds: Mapping[tuple[str, str], Clouds], number: int = 0) -> dict[str, float]:
    """Every number on trial that can be had, by name and the ending of its space; NaN where repetition `number` leaves it out."""
    found: dict[str, float] = {}
    for each in tried:
        if each.data <= subject.knows:
            for (kind, ending), cloud in clouds.items():
                if kind == each.space:
                    names = [f"{name}/{ending}" if ending else name for name in each.names]
                    wanted = number % each.every == 0
                    found |= zip(names, each.function(cloud) if wanted else [math.nan] * len(names), strict=True)
    return found


def better_of(name: str) -> Better:
    """Which values are better, as the measure of that name says; of one that does not say, those of the truth."""
    own = name.partition("/")[0]
    return next((each.better for each in measures.all() if each.name == own and each.better), "exact")


def verdict(better: Better, truth: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Of a number in 2R repetitions of the truth, and in those of others (F, repetitions): in which share it is suspicious, and
    praised, (F,); and of how many of the other true ones it is suspicious.

    The first R set the threshold. Equal values are told apart by chance, as in a randomised test, so that a number that takes few
    values has its 5 % too. Where any value is a mistake, 2.5 % are on either side, and nothing is praised.
    """
    scale = 1e-9 * max(1.0, float(np.abs(truth[np.isfinite(truth)]).max(initial=0.0)))
    draw = torch.rand(truth.size + others.size, dtype=torch.float64).numpy() * scale
    truth = np.nan_to_num(truth, nan=np.inf, posinf=np.inf, neginf=-np.inf) + draw[: truth.size]
    others = np.nan_to_num(others, nan=np.inf, posinf=np.inf, neginf=-np.inf) + draw[truth.size :].reshape(others.shape)
    if better == "higher":
        truth, others = -truth, -others
    threshold, rest = np.sort(truth[: len(truth) // 2]), truth[len(truth) // 2 :]
    count = len(threshold)

    def above(share: float) -> float:
        """What a true one is above with this probability: one of the order statistics, +∞ where there are too few."""
        place = math.ceil((1 - share) * (count + 1)) - 1
        return float(threshold[place]) if place < count else math.inf

    def below(share: float) -> float:
        place = math.floor(share * (count + 1)) - 1
        return float(threshold[place]) if place >= 0 else -math.inf

    if better == "exact":
        high, low = above(ALARMS / 2), below(ALARMS / 2)
        return ((others > high) | (others < low)).mean(1), np.zeros(len(others)), int(((rest > high) | (rest < low)).sum())
    high, low = above(ALARMS), below(ALARMS)
    return (others > high).mean(1), (others < low).mean(1), int((rest > high).sum())


# --- the numbers of the trial -------------------------------------------------------------------------------


def told(found: Trial, shares: np.ndarray) -> dict[str, Value]:
    """Of each number those failures of which a share is above a half, with the fewest samples."""
    fewest = found.fewest(shares)
    return {
        name: Value(", ".join(f"{failure} {n}" for failure, n in zip(found.failures, row, strict=True) if n) or "none")
        for name, row in zip(found.names, fewest, strict=True)
    }


@measure("noticed_by", "how many of the numbers on trial notice this failing sampler", headline=0, model=MODEL)
def noticed_by(subject: Subject) -> dict[str, Value]:
    found = trial(subject)
    counts = (found.fewest(found.noticed) > 0).sum(0)
    return {name: Value(int(count), exact=len(found.names)) for name, count in zip(found.failures, counts, strict=True)}


@measure(
    "noticed",
    "failing samplers that a number notices in most repetitions at 5 % false alarms, each with the fewest samples that it takes",
    headline=1,
    model=MODEL,
)
def noticed(subject: Subject) -> dict[str, Value]:
    found = trial(subject)
    return told(found, found.noticed)


@measure(
    "praised",
    "failing samplers that a number finds better than 95 % of the true ones, in most repetitions, each with the fewest samples",
    headline=3,
    model=MODEL,
)
def praised(subject: Subject) -> dict[str, Value]:
    found = trial(subject)
    return {name: value for name, value in told(found, found.praised).items() if value.value != "none"}


@measure(
    "missed",
    "failing samplers that a number notices in a quarter of the repetitions at most, with the most samples",
    headline=2,
    model=MODEL,
)
def missed(subject: Subject) -> dict[str, Value]:
    found = trial(subject)
    rows = zip(found.names, found.noticed[..., -1] <= HARDLY, strict=True)
    return {name: Value(", ".join(np.array(found.failures)[row]) or "none") for name, row in rows}


@measure("false_alarms", "share of true repetitions that are called suspicious", better="exact", headline=4, model=MODEL)
def false_alarms(subject: Subject) -> dict[str, Value]:
    """Not those that the threshold was set by. The standard error has that of the threshold in it."""
    found = trial(subject)
    return {
        name: Value(float(count / most), exact=ALARMS, error=math.sqrt(2 * ALARMS * (1 - ALARMS) / most))
        for name, count, most in zip(found.names, found.alarms, found.truths, strict=True)
    }
