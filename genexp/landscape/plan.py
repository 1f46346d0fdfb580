"""Which runs the landscape should have: every model on the same data, by the recipe that is known for it, else by one for all."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from genexp.bench.toys import known_planes
from genexp.config.catalogue import entries, find
from genexp.config.composition import Composed, compose
from genexp.config.typed import key_of
from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.errors import UserError, unknown
from genexp.folder.standing import State, state_of
from genexp.landscape.entries import RECIPE, content
from genexp.models.base import GenerativeModel, check_learns
from genexp.registry import models
from genexp.suitability import spec_of

DATA = ("two_moons", "digits")  # nothing to download
TOYS = "toys"  # every known density in the plane
OTHERWISE = "model/likelihood=gaussian"  # takes any numbers
FEW, QUICK = 1000, "trainer.lr=2e-2"  # weights, and the rate of fewer
MEASURING = 12, 60  # seconds that a run takes besides its training, about; of pictures like MNIST's
LARGE = 500  # numbers of an example, as of such pictures
LOOKS = ("trainer.eval_every=25", "trainer.eval_size=1000")  # of large ones, whose steps are few: each is a point of the curve
BY_OPTION = {  # settings that the plan makes itself, and which option is for them
    "seed": "--seeds",
    "trainer.max_seconds": "--seconds",
    "run_dir": "--into",
    "dataset": "--data",
    "model": "--only",
    "experiment": "--only",
}
COMPARABLE = {"discrete", "dequantised"}  # what a picture costs in bits is then one and the same thing


@dataclass(frozen=True)
class Wanted:
    """A run that there should be: in which folder, and what makes it."""

    path: Path
    overrides: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        return "/".join(self.path.parts[-2:])

    @property
    def state(self) -> State:
        return state_of(self.path)

    def composed(self) -> Composed:
        return compose(self.overrides)


def plan(
    folder: Path,
    data: Sequence[str],
    seconds: Sequence[float],
    seeds: Sequence[int],
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> list[Wanted]:
    """The first seed of all before the second, the shortest training before the longer ones.

    Args:
        data: names of data sets; `toys` means every one in the plane whose density is known.
        seconds: of training; each is a run of its own, as schedules end with the training.
        only: of these models or experiments.
        overrides: further settings of all of them.

    Raises:
        UserError: a data set or a model that there is not; a name in `only` that fits none of the data; an override that none
            of the runs can have, or that the plan makes itself.
    """
    for text in overrides:
        if (option := BY_OPTION.get(key_of(text))) is not None:
            raise UserError(f"{text}: the runs are planned by {option}", hint=f"{option} …")
    names = list(dict.fromkeys(each for name in data for each in (known_planes() if name == TOYS else [name])))
    for name in names:
        if name not in entries("datasets"):
            raise unknown("dataset", name, [*entries("datasets"), TOYS])
    for name in only:
        if name not in entries("models") and name not in entries("experiments"):
            raise unknown("model", name, [*entries("models"), *entries("experiments")])
    found = [(name, label, words) for name in names for label, words in recipes(name, only)]
    for name in only:
        if all(label != name for _, label, _ in found):
            raise UserError(f"{name} does not learn {', '.join(names)}", hint=f"genexp list models --data {names[0]}")
    large = {name: math.prod(ways(name)[0][1].shape) >= LARGE for name in names}
    wanted = [
        Wanted(
            folder / name / f"{label}_{budget:g}s_seed{seed}",
            (
                *words,
                *("trainer.max_steps=null", "trainer.max_epochs=null", "trainer.clock=cpu"),
                *(f"trainer.max_seconds={budget:g}", f"seed={seed}"),
                *("figures.enabled=false", "evaluation.anomalies=[]"),
                *(LOOKS if large[name] else ()),
                *overrides,
            ),
            budget + MEASURING[large[name]],
        )
        for seed in seeds
        for budget in sorted(seconds)
        for name, label, words in found
    ]
    if overrides:
        check(wanted)
    return wanted


def check(wanted: Sequence[Wanted]) -> None:
    """Whether any of them can be composed. UserError of the first where none can."""
    refused = []
    for one in wanted:
        try:
            one.composed()
        except UserError as mistake:
            refused.append(mistake)
        else:
            return
    raise refused[0]


def recipes(dataset: str, only: Sequence[str] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Name and overrides: the experiments with these data; then each model that none of them serves and that can learn them.

    An experiment with another density of the same name, as a funnel of ten dimensions, is there only if `only` names it.
    """
    usual = compose([f"dataset={dataset}"]).settings
    served, plain, drawn = set(), usual.dataset, "density" in spec_of(usual)[1]
    for name in entries("experiments"):
        composed = experiment_on(name, dataset)
        if composed is None or (drawn and name not in only and content(composed.settings.dataset) != content(plain)):
            continue
        model = composed.settings.model
        if not only and composed.settings.dataset == plain:
            spec, knows = spec_of(composed.settings)
            built = learner(model, spec, knows)
            served |= {model["name"]} if built is not None and (is_comparable(built, spec) or not is_likelihood(built)) else set()
        if not only or name in only or model["name"] in only:
            yield name, (f"experiment={name}",)
    for name in entries("models"):
        if (not only and name not in served) or name in only:
            words = by_the_recipe(name, dataset)
            if words is not None:
                yield name, (f"experiment={RECIPE}", f"dataset={dataset}", f"model={name}", *words)


def experiment_on(name: str, dataset: str) -> Composed | None:
    """The experiment, where it is on this data set and not the recipe itself."""
    path = find("experiment", name)
    named = re.compile(rf"^\s*- override /dataset: {re.escape(dataset)}\s*$", re.MULTILINE)
    if name == RECIPE or path is None or not named.search(path.read_text(encoding="utf-8")):
        return None
    return compose([f"experiment={name}"])


def by_the_recipe(model: str, dataset: str) -> tuple[str, ...] | None:
    """The words with which the model learns the data from examples; None where it cannot.

    Of several ways the one whose likelihood can be held against others: of pictures one of whole numbers, or of numbers with
    noise as wide as their steps; of bits and of points (which `dataset.flat` makes of pictures, with that noise) any. A model
    of few weights learns at a larger rate: each of them has far to go.
    """
    found = []
    for words, spec, knows in ways(dataset):
        for more in ((), (OTHERWISE,)):
            try:
                built = learner(compose([f"model={model}", *words, *more]).settings.model, spec, knows)
            except UserError:  # it has no such part
                break
            if built is not None:
                few = built.fitter == "gradient" and sum(weights.numel() for weights in built.parameters()) < FEW
                found.append((not is_comparable(built, spec), (*words[1:], *more, *[QUICK] * few)))
    return min(found, key=lambda each: each[0])[1] if found else None


@lru_cache(maxsize=1)
def ways(dataset: str) -> list[tuple[tuple[str, ...], DataSpec, frozenset[str]]]:
    """The data as they are, and as points: the words that make them so, their spec and what is known of them."""
    plain = (f"dataset={dataset}",)
    words = [plain, (*plain, "dataset.flat=true")] if "flat" in compose(plain).settings.dataset else [plain]
    return [(each, *spec_of(compose(each).settings)) for each in words]


def is_likelihood(model: GenerativeModel) -> bool:
    """Whether it says anything of p(x)."""
    return bool({"exact", "estimate", "bound"} & model.can)


def is_comparable(model: GenerativeModel, spec: DataSpec) -> bool:
    """Whether what it says of p(x) is a density of real numbers, or a probability of whole ones and of bits; of pictures of greys
    a density only with the noise that makes it one of greys.
    """
    if len(spec.shape) == 3 and spec.kind != "bits":
        return bool(COMPARABLE & model.can)
    likelihood = getattr(model, "likelihood", None)
    return is_likelihood(model) and (likelihood is None or spec.kind == "bits" or "real" in likelihood.kinds)


def learner(settings: dict[str, Any], spec: DataSpec, knows: frozenset[str]) -> GenerativeModel | None:
    """The model; None where it cannot learn these data by examples, or learns nothing."""
    try:
        with torch.random.fork_rng(devices=[]):
            built: GenerativeModel = models.build(settings, spec, Context())
            check_learns(built, knows)
    except UserError:
        return None
    nothing = built.fitter == "none" and not is_likelihood(built)  # as samplers on trial
    return None if nothing or built.learns == "density" or "bits" in built.can else built


def in_words(wanted: Sequence[Wanted], at_once: int = 1) -> str:
    """What will be done, a line each, and how long so many `at_once` take."""
    width = max(len(one.name) for one in wanted)
    lines = [f"  {one.name:<{width}}  {one.state if one.state != 'to do' else f'about {one.seconds:.0f} s'}" for one in wanted]
    left = sum(one.seconds for one in wanted if one.state != "finished")
    cores = f"{at_once} free cores" if at_once > 1 else "a free core"
    total = f"  in all about {left / at_once / 60:.0f} minutes on {cores}" if left else "  nothing is left to do"
    return "\n".join([*lines, total])
