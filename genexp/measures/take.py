"""Every number that can be had of a subject."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import torch

from genexp.errors import UserError
from genexp.machine.device import autocast, choose_precision
from genexp.measures.record import LeftOut, Measure, Metric, Value, measures
from genexp.measures.underway import Underway
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

T = TypeVar("T")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Taken:
    """Metrics by name, what is known of each beside it; and the words of the measures that gave them."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    words: dict[str, dict[str, Any]] = field(default_factory=dict)

    def timeless(self) -> dict[str, Metric]:
        """Those that the same weights give again: all but what was read off a clock."""
        timed = tuple(f"{name}/" for name, words in self.words.items() if words.get("wall_clock"))
        return {name: value for name, value in self.metrics.items() if not f"{name}/".startswith(timed)}


@torch.no_grad()
def take(subject: Subject, say: Say, progress: Say | None = None, shown: bool = True) -> Taken:
    """Every measure whose needs are met, headlines first. One that fails is null, and `say` is told why; `progress` is told what
    takes long, and a terminal sees it where it is to be `shown`.
    """
    taken, all_wanted = Taken(), list(wanted(subject))
    with Underway("measuring", len(all_wanted), progress, shown) as underway:
        for each in all_wanted:
            underway.now(each.name)
            if (found := _taken(each, subject, say)) is None:  # it does not apply
                continue
            name = each.called(subject.draw)
            taken.words[name] = each.words()
            for ending, value in {"": found}.items() if isinstance(found, Value) else found.items():
                taken.metrics.update(value.metrics(f"{name}/{ending}" if ending else name))
    return taken


def _taken(each: Measure, subject: Subject, say: Say) -> Any:
    precision = choose_precision(subject.settings.trainer.precision, subject.device)
    with seeded(seed_for(subject.settings.seed, f"measure/{each.name}"), subject.device), autocast(subject.device, precision):
        return attempt(each.name, partial(each.function, subject), say, Value(None))


def wanted(subject: Subject) -> Iterator[Measure]:
    """Those whose needs are met and that are asked for, the headlines first."""
    met = [each for each in measures.met_by(subject) if each.asked is None or each.asked(subject.settings.evaluation)]
    return iter(sorted(met, key=lambda each: float("inf") if each.headline is None else each.headline))


def attempt(name: str, make: Callable[[], T], say: Say, otherwise: Any = None) -> T | Any:
    """What `make` gives; `otherwise` where it fails, and `say` is told why: what is missing ends no run."""
    try:
        return make()
    except Exception as failure:
        say(f"warning: {name} is left out: {why(failure)}")
        return otherwise


def why(failure: Exception) -> str:
    """A failure in one line."""
    if isinstance(failure, LeftOut | UserError):
        return str(failure)
    return " ".join(f"{type(failure).__name__}: {failure}".split())
