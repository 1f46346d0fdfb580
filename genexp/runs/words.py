"""What a run's numbers, curves and pictures are, in a line each: as its run.json has it from the records that gave them.

So a reader needs neither torch nor a plugin. Runs of earlier versions have no words of their own: the records of today are asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from genexp.folder.earlier import measure
from genexp.folder.records import Record
from genexp.measures.endings import ending_of
from genexp.measures.record import eyesight

LONGEST = 300  # characters
MOST = 1_000  # records of one run
HISTORY = {  # what the trainer itself writes into history.jsonl
    "loss": "training objective",
    "heldout/loss": "objective on held-out data",
    "lr": "learning rate",
    "samples_per_second": "examples a second",
    "cpu_seconds": "what the CPU has computed for the training, seconds",
}
SAMPLES_PICTURE = "Samples, as the run kept them"


@dataclass(frozen=True)
class Words:
    """`measures` and `pictures` by name: `meaning`, `better` and `headline` of the one, `caption` and `lead` of the other."""

    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pictures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def record(self, metric: str) -> Mapping[str, Any] | None:
        """The words of the measure that gave a metric: of `coverage/classifier` those of `coverage`; None where none did."""
        while metric not in self.measures and "/" in metric:
            metric = metric.rpartition("/")[0]
        return self.measures.get(metric)

    def of_error(self, metric: str) -> str | None:
        """Of what a metric is the standard error; None where it is none."""
        of = metric.removesuffix("_error")
        return of if of != metric and metric not in self.measures and self.record(of) is not None else None

    def meaning(self, metric: str) -> str:
        """What a metric is: `nll_error` is explained by what it is the error of, `ks/p` by its ending."""
        if of := self.of_error(metric):
            return f"the standard error of {of}"
        words = self.record(metric)
        if words is None:
            return ""
        if ending := ending_of(metric, {"meaning": _text(words.get("meaning"))}):
            return ending.meaning
        seen = eyesight({"sees": words.get("sees")})  # what it cannot see, a page says by itself
        return "; ".join(filter(None, (_text(words.get("meaning")), _text(seen))))

    def headline(self, metric: str) -> float:
        """The less, the sooner it is shown; infinite where it is none."""
        return _order(self.measures.get(metric, {}).get("headline"))

    def first(self, metrics: Iterable[str]) -> str | None:
        """Of these metrics the one that a run is judged by; None where there is none."""
        return min(metrics, key=self.headline, default=None)

    def standing(self, constraint: str, metrics: Mapping[str, Any]) -> str | None:
        """Of these metrics the one that stands for a constraint: with the least headline, and of equals the first."""
        own = [name for name, value in metrics.items() if value is not None and self.constraint(name) == constraint]
        return min(own, key=self.headline, default=None)

    def constraint(self, metric: str) -> str | None:
        """For which of the five a metric stands; None of most."""
        return _text(self.measures.get(metric, {}).get("constraint")) or None

    def curve(self, term: str) -> str:
        """The title of a term of the history."""
        own = term.removeprefix("heldout/")
        where = "" if own == term else " on held-out data"
        return HISTORY.get(term) or self.meaning(own) or own.replace("_", " ") + where

    def caption(self, picture: str) -> str:
        if picture == "samples_picture":
            return SAMPLES_PICTURE
        return _text(self.pictures.get(picture, {}).get("caption")) or picture.replace("_", " ")

    def lead(self, picture: str) -> float:
        """The less, the sooner it is shown."""
        return _order(self.pictures.get(picture, {}).get("lead"))


NO_WORDS = Words()


def words_of(records: Iterable[Record]) -> Words:
    """The words of several runs, those of the first before those of the others."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {"measures": {}, "pictures": {}}
    silent = False
    for record in records:
        own = record.run.get("words")
        silent |= bool(record.metrics) and not isinstance(own, dict)
        for kind, names in found.items():
            of_kind = own.get(kind) if isinstance(own, dict) else None
            for name, words in [*of_kind.items()][:MOST] if isinstance(of_kind, dict) else ():
                if isinstance(words, dict):
                    names.setdefault(measure(str(name), words), words)
    if silent:
        for kind, known in _of_today().items():
            found[kind] = {**known, **found[kind]}
    return Words(**found)


@cache
def _of_today() -> dict[str, dict[str, Mapping[str, Any]]]:
    from genexp.measures.record import films, measures, pictures

    drawn = [*films.all(), *pictures.all()]
    return {
        "measures": {each.name: each.words() for each in reversed(measures.all())},
        "pictures": {each.name: each.words() for each in reversed(drawn)},
    }


def _text(value: Any) -> str:
    return value[:LONGEST] if isinstance(value, str) else ""


def _order(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and value == value else float("inf")
