"""What a measure, a picture and a watched term are; and where all of them are found. Nothing here needs torch."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, Generic, Literal, Protocol, TypeVar

from genexp.capabilities import NOTHING, Needs, Objective
from genexp.discovery import read_modules
from genexp.errors import UserError

Metric = float | int | str | None
Better = Literal["lower", "higher", "exact"]
Constraint = Literal["resemblance", "coverage", "likelihood", "novelty", "stochasticity"]
CONSTRAINTS: dict[Constraint, str] = {  # what is asked of every generative model, and what a number that stands for it says
    "resemblance": "samples look like the data",
    "coverage": "nothing of the data is left out",
    "likelihood": "new data are as probable as they should be",
    "novelty": "samples are no copies of training examples",
    "stochasticity": "each sample is another, also of one condition",
}
F = TypeVar("F", bound=Callable[..., Any])


def eyesight(words: Mapping[str, Any]) -> str:
    """Of a measure's words, which failing samplers it sees and which it cannot see, in a phrase; "" where that is not known."""
    parts = [("sees", failures_in(words, "sees")), ("cannot see", failures_in(words, "cannot_see"))]
    return "; ".join(f"{said} {', '.join(names)}" for said, names in parts if names)


def failures_in(words: Mapping[str, Any], key: str) -> list[str]:
    """The failing samplers that a measure's words list under a key, in words."""
    names = words.get(key)
    if names is None and key == "cannot_see":
        names = words.get("blind")  # as runs of earlier versions have it
    return [str(name).replace("_", " ") for name in names] if isinstance(names, list) else []


class LeftOut(Exception):  # noqa: N818 (said in a line, nobody's defect)
    """Why a number cannot be had of this model and these data, after all."""


@dataclass(frozen=True)
class Value:
    """A number, or a word; and what is known of it, on the same examples.

    Args:
        floor: what nothing falls below; ceiling: what nothing rises above, the best there is of what is better higher.
        error: its standard error.
    """

    value: Metric
    floor: float | None = None
    exact: float | None = None
    baseline: float | None = None
    real_vs_real: float | None = None
    ceiling: float | None = None
    error: float | None = None

    def metrics(self, name: str) -> dict[str, Metric]:
        """As metrics.json has them: `name`, and beside it `floor/name`, …; the error is a number of its own, `name_error`."""
        found: dict[str, Metric] = {name: self.value}
        if self.error is not None:
            found[f"{name}_error"] = self.error
        return found | {f"{kind}/{name}": known for kind in BESIDE if (known := getattr(self, kind)) is not None}


BESIDE = tuple(field.name for field in fields(Value) if field.name not in ("value", "error"))
Values = Value | Mapping[str, Value] | None


@dataclass(frozen=True)
class Film:
    """Frames (Pillow images), frames a second, and for how many seconds the last one stays before it begins again."""

    frames: Sequence[Any]
    fps: int
    hold_last: float = 1.5


class Record(Protocol):
    """What a collection holds: a function under a name, with its needs."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    @property
    def function(self) -> Callable[..., Any]: ...


@dataclass(frozen=True)
class Measure:
    """One number, or several of one meaning: `coverage`, `coverage/classifier`.

    Args:
        meaning: in one line, with its unit; what is in nats is a likelihood, and of pictures that were made into zeros and ones
            it has their draw in its name: `iwae_nll/dynamic`.
        better: whether less of it is better, or more, or a given value; None where none is.
        headline: the less, the sooner it is shown; None: among the rest. What has the least, a run is judged by.
        asked: of an expensive one, whether the settings of the evaluation ask for it; None: it is always taken.
        wall_clock: it is read off a clock, and the same run does not give the same number again.
        sees: of what samples are judged by, the failing samplers (`genexp.failures`) that it noticed on every data set of its
            trial, `experiment=metric_trial`.
        cannot_see: those that it never did; or, of what no trial can say, in a line what may be wrong though the number is good.
        unit: of its numbers, or of each ending its own, '' of the others: "" of a pure number; None: as the meaning speaks of it.
        constraint: for which of the five it stands, if for any; of several that a run has, the one with the least headline does.
        function: subject → its Value; a mapping of endings, '' among them, to Values; None where it does not apply after all.
    """

    name: str
    meaning: str
    function: Callable[[Any], Values]
    better: Better | None = None
    headline: int | None = None
    needs: Needs = NOTHING
    asked: Callable[[Any], bool] | None = None
    wall_clock: bool = False
    sees: tuple[str, ...] = ()
    cannot_see: tuple[str, ...] | str = ()
    constraint: Constraint | None = None
    unit: str | Mapping[str, str] | None = None

    def called(self, draw: str) -> str:
        """Its name in metrics.json, of data that became zeros and ones by this `draw`, if they did."""
        return f"{self.name}/{draw}" if draw and re.search(r"\bnats\b", self.meaning) else self.name

    def words(self) -> dict[str, Any]:
        """For run.json: what a reader is told of it."""
        said = {"meaning": self.meaning, "better": self.better, "headline": self.headline}
        more = {"wall_clock": self.wall_clock, "constraint": self.constraint, "sees": [*self.sees]}
        more["cannot_see"] = [*self.cannot_see] if isinstance(self.cannot_see, tuple) else None
        unit = {} if self.unit is None else {"unit": self.unit if isinstance(self.unit, str) else dict(self.unit)}
        return said | unit | {key: value for key, value in more.items() if value}


@dataclass(frozen=True)
class Picture:
    """One picture, figures/<name>.png, or film, figures/<name>.gif.

    Args:
        caption: what a reader sees in it.
        lead: the less, the sooner it is shown; None: in the order of names.
        function: subject → a matplotlib figure or a Pillow image; of a film its `Film`; None where there is nothing to see.
    """

    name: str
    caption: str
    function: Callable[[Any], Any]
    lead: int | None = None
    needs: Needs = NOTHING

    def words(self) -> dict[str, Any]:
        return {"caption": self.caption, "lead": self.lead}


@dataclass(frozen=True)
class Term:
    """A held-out term beside the model's own: function (subject, model, batch, the model's terms) → scalar tensor.

    Where there is one, its least value marks the best weights.
    """

    name: str
    function: Callable[..., Any]
    needs: Needs = NOTHING


R = TypeVar("R", bound=Record)


class Collection(Generic[R]):
    """The records of one kind: those of the modules of `package`, and what mixed rooms and plugins add.

    A name may stand for several records with different needs (`kl` by quadrature, `kl` over samples of a teacher).
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._records: list[R] = []
        self._found = False

    def add(self, record: R) -> None:
        """UserError where another module has a record of the same name and needs."""
        for index, other in enumerate(self._records):
            if (other.name, other.needs) == (record.name, record.needs):
                modules = [each.function.__module__ for each in (other, record)]
                if modules[0] != modules[1]:
                    raise UserError(f"{self.kind} '{record.name}' is registered twice: by {modules[0]} and {modules[1]}")
                self._records[index] = record  # of a module that is read again
                return
        self._records.append(record)

    def all(self) -> list[R]:
        """Every one of them, in the order of the modules' names and of their places in these; those from elsewhere last."""
        if not self._found:
            self._found = True
            read_modules(self.package)
        modules = {id(each): each.function.__module__ for each in self._records}
        return sorted(self._records, key=lambda each: (not modules[id(each)].startswith(self.package), modules[id(each)]))

    def met_by(self, subject: Any) -> list[R]:
        """Those whose needs the subject meets, one of each name."""
        met = [each for each in self.all() if each.needs.met(subject.can, subject.knows, subject.objective)]
        return list({each.name: each for each in reversed(met)}.values())[::-1]


measures: Collection[Measure] = Collection("measure", "genexp.measures")
pictures: Collection[Picture] = Collection("picture", "genexp.pictures")
films: Collection[Picture] = Collection("film", "genexp.pictures")
terms: Collection[Term] = Collection("held-out term", "genexp.measures")


def measure(
    name: str,
    meaning: str,
    *,
    better: Better | None = None,
    headline: int | None = None,
    model: Iterable[str] = (),
    data: Iterable[str] = (),
    objective: Objective | None = None,
    asked: Callable[[Any], bool] | None = None,
    wall_clock: bool = False,
    sees: Iterable[str] = (),
    cannot_see: Iterable[str] = (),
    constraint: Constraint | None = None,
    unit: str | Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Decorator: a function of the subject is this measure. The arguments are those of `Measure` and of `Needs`."""

    def add(function: F) -> F:
        needs, unseen = Needs.of(model, data, objective), tuple(cannot_see) or getattr(function, "cannot_see", ())
        measures.add(
            Measure(name, meaning, function, better, headline, needs, asked, wall_clock, tuple(sees), unseen, constraint, unit)
        )
        return function

    return add


def picture(
    name: str,
    caption: str,
    *,
    lead: int | None = None,
    model: Iterable[str] = (),
    data: Iterable[str] = (),
    into: Collection[Picture] = pictures,
) -> Callable[[F], F]:
    """Decorator: a function of the subject draws this picture. The arguments are those of `Picture` and of `Needs`."""

    def add(function: F) -> F:
        into.add(Picture(name, caption, function, lead, Needs.of(model, data)))
        return function

    return add


film = partial(picture, into=films)  # decorator: a function of the subject makes this film


def heldout_term(
    name: str, *, model: Iterable[str] = (), data: Iterable[str] = (), objective: Objective | None = None
) -> Callable[[F], F]:
    """Decorator: a function gives this held-out term, by whose least value the best weights are chosen."""

    def add(function: F) -> F:
        terms.add(Term(name, function, Needs.of(model, data, objective)))
        return function

    return add


def cannot_see(what: str) -> Callable[[F], F]:
    """Decorator below `@measure`: what may be wrong though the number is good, in a line that goes on from "it cannot see"."""

    def add(function: F) -> F:
        function.cannot_see = what  # type: ignore[attr-defined]
        return function

    return add
