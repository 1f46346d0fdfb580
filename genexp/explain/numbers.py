"""What a reader is told of a number besides its value: its unit, which way is better, and what it cannot see."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genexp.measures.endings import ending_of, own_parts, said_unit
from genexp.measures.record import failures_in, measures

UNITS = (  # the first that a meaning speaks of, where a measure does not say its unit itself
    (r"\bAUROC\b|\bshare\b|\bprobability\b|\baccuracy\b|\bhow often a\b|\bclasses of test\b|\bvariation\b", "0 to 1"),
    (r"\bnats\b", "nats"),
    (r"\bbits?\b.*\ba second\b", "bits/s"),
    (r"(?<!lowest )\bbits\b", "bits"),
    (r"\ba second\b(?! opinion)", "1/s"),
    (r"\bseconds\b", "s"),
    (r"\bdegrees\b(?! of freedom)", "°"),
    (r"\bkT\b", "kT"),
    (r"\bsquared units\b", "(units of x)²"),
    (r"\bunits\b", "units of x"),
)
DIRECTIONS = {"lower": ("↓", "lower is better"), "higher": ("↑", "higher is better"), "exact": ("=", "the exact value is best")}


@dataclass(frozen=True)
class Told:
    """`arrow` is the direction as a sign, `direction` in words; all are empty where there is nothing to say."""

    unit: str
    arrow: str
    direction: str
    cannot_see: str


def told(name: str, words: Mapping[str, Any]) -> Told:
    """Of the number `name`, as it stands in metrics.json, whose record says these `words`."""
    meaning, ending = str(words.get("meaning", "")), ending_of(name, words)
    judged = words.get("better") if ending is None or ending.judged else None
    arrow, direction = DIRECTIONS.get(str(judged), ("", ""))
    return Told(unit(name, words), arrow, direction, blind_spot(name, meaning, words))


def unit(name: str, words: Mapping[str, Any]) -> str:
    """What the ending or the record says; of a run of an earlier version what the records of its meaning say today, if they
    agree; else what the meaning speaks of, first of the ending, then of all.
    """
    ending, meaning = ending_of(name, words), str(words.get("meaning", ""))
    if ending and ending.unit is not None:
        return ending.unit
    if (said := said_unit(name, words)) is not None:
        return said
    today = {said_unit(name, each.words()) for each in measures.all() if (each.name, each.meaning) == (own_name(name), meaning)}
    if len(today) == 1 and (agreed := today.pop()) is not None:
        return agreed
    whole, parts = own_parts(meaning)
    return unit_of(parts.get(name.rpartition("/")[2], ""), whole)


def own_name(metric: str) -> str:
    """That of the measure that gave a metric."""
    return metric.partition("/")[0]


def unit_of(*meanings: str) -> str:
    """What the first of the meanings that names one gives as its unit; "" of a pure number."""
    return next((unit for meaning in meanings for pattern, unit in UNITS if re.search(pattern, meaning)), "")


def blind_spot(name: str, meaning: str, words: Mapping[str, Any]) -> str:
    """What the record of that name and meaning says that it cannot see; else the failing samplers that it never noticed."""
    said = (each.cannot_see for each in measures.all() if (each.name, each.meaning) == (own_name(name), meaning))
    return next(
        (prose for prose in said if prose and isinstance(prose, str)), ", ".join(failures_in(words, "cannot_see")[:12])[:200]
    )
