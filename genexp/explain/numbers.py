"""What a reader is told of a number besides its value: its unit, which way is better, and what it cannot see."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genexp.measures.record import failures_in, measures

UNITS = (  # the first that a meaning speaks of
    (r"\bAUROC\b|\bshare\b|\bprobability\b|\baccuracy\b|\bhow often\b|\bclasses of test\b|\bvariation\b", "0 to 1"),
    (r"\bnats\b", "nats"),
    (r"\bbits?\b.*\ba second\b", "bits/s"),
    (r"\bbits\b", "bits"),
    (r"\ba second\b(?! opinion)", "1/s"),
    (r"\bseconds\b", "s"),
    (r"\bdegrees\b", "°"),
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
    meaning = str(words.get("meaning", ""))
    arrow, direction = DIRECTIONS.get(str(words.get("better")), ("", ""))
    return Told(unit_of(*parts_for(name, meaning)), arrow, direction, blind_spot(name, meaning, words))


def parts_for(name: str, meaning: str) -> list[str]:
    """What a meaning like `…; /distinct: share of …` says of the number `name`: of that part of it, then of all."""
    whole, *others = re.split(r"; /(\w+): ", meaning)
    parts = dict(zip(others[::2], others[1::2], strict=True))
    return [text for text in (parts.get(name.rpartition("/")[2]), whole) if text]


def unit_of(*meanings: str) -> str:
    """What the first of the meanings that names one gives as its unit; "" of a pure number."""
    return next((unit for meaning in meanings for pattern, unit in UNITS if re.search(pattern, meaning)), "")


def blind_spot(name: str, meaning: str, words: Mapping[str, Any]) -> str:
    """What the record of that name and meaning says that it cannot see; else the failing samplers that it never noticed."""
    own = name.partition("/")[0]
    said = (each.cannot_see for each in measures.all() if each.name == own and each.meaning == meaning)
    return next(
        (prose for prose in said if prose and isinstance(prose, str)), ", ".join(failures_in(words, "cannot_see")[:12])[:200]
    )
