"""What a number is by the ending of its name: `ks/p` is the p-value of `ks`, `nll_error` the standard error of `nll`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 40  # characters of a unit
LEAST_P, MOST_SIGMAS = 1e-4, 4.0  # what lies beyond happens to about one honest number in ten thousand


@dataclass(frozen=True)
class Ending:
    """`meaning` is said of {of}, the name before the ending; `unit` is its own, None: that of the whole.

    `judged`: whether less of it, or more, is better as it is of the whole.
    """

    meaning: str
    unit: str | None = None
    judged: bool = False


ENDINGS = {  # of any measure
    "p": Ending("p-value of {of}: how often chance alone is as far off; below 0.0001 it is suspicious", "0 to 1"),
    "sigmas": Ending("how far {of} is from the reference, in combined standard errors; beyond 4 it is suspicious", "σ"),
    "hmc": Ending("{of} by Hamiltonian Monte Carlo, the reference"),
    "target": Ending("{of} of the target itself"),
    "effective": Ending("effective sample size of {of}, a share of its weights", "0 to 1"),
    "reached": Ending("{of}: the share of the chains that got there", "0 to 1"),
    "known": Ending("{of} with the densities known", judged=True),
}


def own_parts(meaning: str) -> tuple[str, dict[str, str]]:
    """A meaning like `…; /distinct: share of …`: what is said of the whole, and of each ending."""
    whole, *others = re.split(r"; /(\w+): ", meaning)
    return whole, dict(zip(others[::2], others[1::2], strict=True))


def ending_of(name: str, words: Mapping[str, Any]) -> Ending | None:
    """By the last part of the name that the record's `words` or ENDINGS explain; None where none is explained."""
    whole, *parts = name.split("/")
    said = own_parts(str(words.get("meaning", "")))[1]
    for count in range(len(parts), 0, -1):
        part, of = parts[count - 1], "/".join([whole, *parts[: count - 1]])
        if part in said:
            return Ending(f"{of}: {said[part]}", judged=True)
        if part in ENDINGS:
            return Ending(ENDINGS[part].meaning.format(of=of), ENDINGS[part].unit, ENDINGS[part].judged)
    return None


def said_unit(name: str, words: Mapping[str, Any]) -> str | None:
    """The unit that a record says itself, for all of its numbers or by their endings; None where it says none."""
    said = words.get("unit")
    units = said if isinstance(said, Mapping) else {"": said}
    found = next((units[part] for part in [*name.split("/")[:0:-1], ""] if part in units), None)
    return found[:LONGEST] if isinstance(found, str) else None


def suspicious(name: str, value: Any) -> bool:
    """Whether a p-value is so small, or a difference so many standard errors, that chance is hardly the reason."""
    ending = name.rpartition("/")[2]
    if not isinstance(value, int | float):
        return False
    return (ending == "p" and value < LEAST_P) or (ending == "sigmas" and abs(value) > MOST_SIGMAS)
