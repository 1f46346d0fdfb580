"""For which of the five constraints on a generative model a run has no number, and why."""

from collections.abc import Mapping
from typing import Any

from genexp.capabilities import ABILITIES, KNOWN
from genexp.measures.record import CONSTRAINTS, Measure, Metric, measures
from genexp.subject import Subject

WORDS: dict[str, str] = dict([*ABILITIES.items(), *KNOWN.items()])


def missing(subject: Subject, metrics: Mapping[str, Metric]) -> dict[str, str]:
    """Constraint → what its measures lack, in a line."""
    found: dict[str, str] = {}
    for constraint in CONSTRAINTS:
        standing = [each for each in measures.all() if each.constraint == constraint]
        if any(metrics.get(each.called(subject.draw)) is not None for each in standing):
            continue
        tried = [each for each in standing if each.needs.met(subject.can, subject.knows, subject.objective)]
        found[constraint] = f"{tried[0].name} has no value here" if tried else lacking(nearest(standing, subject), subject)
    return found


def unmet(measure: Measure, subject: Subject) -> list[str]:
    """The needs of a measure that the subject does not meet."""
    pairs: list[tuple[str, Any]] = [(need, subject.can) for need in measure.needs.model]
    pairs += [(need, subject.knows) for need in measure.needs.data]
    return sorted(need for need, has in pairs if not any(word in has for word in need.split("|")))


def nearest(candidates: list[Measure], subject: Subject) -> Measure:
    """The one of whose needs the fewest are not met; of equals the one that has most ways to meet them."""
    lacks = {id(each): unmet(each, subject) for each in candidates}
    return min(candidates, key=lambda each: (len(lacks[id(each)]), -sum(need.count("|") for need in lacks[id(each)])))


def lacking(measure: Measure, subject: Subject) -> str:
    """Its first need that is not met, as capabilities explains it."""
    need = next(iter(unmet(measure, subject)), None)
    if need is None:
        return f"{measure.name} is of another objective"
    return f"{measure.name} needs {' or '.join(f'“{word}”: {WORDS[word]}' for word in need.split('|'))}"
