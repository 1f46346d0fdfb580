"""Whether the data of two runs are the same data, as far as their run.json tell."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SHORT = 8  # characters of a digest that is shown
LONGEST = 200  # characters of a description


@dataclass(frozen=True)
class DataDigests:
    """Two SHA-256 of a data set, in hexadecimal; None where there is none, or nothing is known of it.

    `origin`: of what it is made of: the content of its files, or its generator and that one's version, or a plugin's source and
    what it gives. The same on every machine.
    `examples`: of the examples of a finite set as they were read or drawn. Other versions of libraries may decode a photograph,
    or draw a glyph, with another value in a pixel.
    """

    origin: str | None = None
    examples: str | None = None

    def agree(self, other: "DataDigests") -> bool:
        """Whether they are of the same data: made of the same, or the same examples. Also where that cannot be known."""
        pairs = ((self.origin, other.origin), (self.examples, other.examples))
        known = [one == another for one, another in pairs if one is not None and another is not None]
        return any(known) or not known

    @property
    def short(self) -> str | None:
        """A name for a reader."""
        digest = self.origin or self.examples
        return None if digest is None else digest[:SHORT]

    def record(self) -> dict[str, str | None]:
        """For run.json, under `data.digest`."""
        return asdict(self)


def differing_data(run: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """That the data of a run.json are not those of the record `now`, in one line; None where they are, as far as is known."""
    if read_digests(run).agree(read_digests({"data": now})):
        return None
    was, today = described(run), described({"data": now})
    counted = "" if was is None or was == today else f" (then {was}; now {today})"
    return f"the data are not those that it was trained on{counted}"


def read_otherwise(run: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """That they are the same data, but not to the last bit, in one line; None where they are that, as far as is known."""
    then, today = read_digests(run).examples, read_digests({"data": now}).examples
    same = then is None or today is None or then == today
    return None if same else "the data are the same, but other versions of the libraries read or draw them a little otherwise"


def described(run: Mapping[str, Any]) -> str | None:
    """What a run.json says of its data in words."""
    data = run.get("data")
    text = data.get("description") if isinstance(data, dict) else None
    return text[:LONGEST] if isinstance(text, str) else None


def read_digests(run: Mapping[str, Any]) -> DataDigests:
    """Those in a run.json; empty where it has none, as those of earlier versions."""
    data = run.get("data")
    record = data.get("digest") if isinstance(data, dict) else None
    if not isinstance(record, dict):
        return DataDigests()
    origin, examples = (value if isinstance(value, str) else None for value in (record.get("origin"), record.get("examples")))
    return DataDigests(origin, examples)
