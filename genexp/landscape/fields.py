"""The runs of one data set beside one another: those that can be compared, in one unit, and seeds averaged."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

from genexp.compare.comparison import compare
from genexp.landscape.entries import NATS, Entry
from genexp.landscape.families import FAMILIES, Family

FEWEST = 2  # runs with a number: fewer are no field
SHORT = 20  # characters of a setting in a title


@dataclass(frozen=True)
class Group:
    """Runs of one configuration that differ in their seed alone; `entropy`: that of their data, where any run knows it."""

    entries: tuple[Entry, ...]
    entropy: float | None = None

    @property
    def first(self) -> Entry:
        return self.entries[0]

    def mean(self, name: str) -> float | None:
        values = [value for entry in self.entries if (value := entry.metric(name)) is not None]
        return fmean(values) if values else None

    @property
    def values(self) -> list[float]:
        return [entry.number.value for entry in self.entries if entry.number is not None]

    @property
    def value(self) -> float:
        """The mean of the number over the seeds; infinite where there is none."""
        return fmean(self.values) if self.values else math.inf

    @property
    def sd(self) -> float | None:
        return stdev(self.values) if len(self.values) > 1 else None

    @property
    def sign(self) -> str:
        """What stands before its number, and its distance, where these are bounds."""
        return "≤ " if self.first.likelihood == "bound" else ""

    @property
    def distances(self) -> list[float]:
        """By how much each seed is above the best that there is, in nats; empty where that is not known."""
        return [above for entry in self.entries if (above := entry.above(self.entropy)) is not None]

    @property
    def distance(self) -> float:
        """The mean of these; infinite where there is none."""
        return fmean(self.distances) if self.distances else math.inf

    @property
    def seconds(self) -> float | None:
        found = [entry.seconds for entry in self.entries if entry.seconds is not None]
        return fmean(found) if found else None


@dataclass(frozen=True)
class Field:
    """All runs of the same data. Those whose number is in another `unit` than most have none here."""

    title: str
    unit: str
    entries: tuple[Entry, ...]

    @cached_property
    def points(self) -> list[Entry]:
        """What can be drawn: a number in this unit, and the seconds of the training."""
        return [entry for entry in self.entries if entry.number and entry.number.unit == self.unit and entry.seconds]

    @cached_property
    def floor(self) -> float | None:
        """The entropy of points, averaged over the test examples of the runs; None where no run knows it. (What is known of
        pictures is far below what any model can reach.)
        """
        known = [entry.number.floor for entry in self.points if entry.number and entry.number.floor is not None]
        return fmean(known) if known and self.unit == NATS and len(self.entries[0].data.shape) == 1 else None

    @cached_property
    def is_logarithmic(self) -> bool:
        """Whether heights are those above the floor: where it is known, and every run is above it."""
        return self.floor is not None and all(self._above(entry) > 0 for entry in self.points)

    def _above(self, entry: Entry) -> float:
        above = entry.above(self.floor)
        assert above is not None
        return above

    def height(self, entry: Entry) -> float:
        """Of a point: its number, or by how much that is above the best there is."""
        assert entry.number is not None
        return self._above(entry) if self.is_logarithmic else entry.number.value

    @property
    def pareto(self) -> list[Entry]:
        """The runs that none beats in both: less time and a lower number; the quickest first."""
        best, found = math.inf, []
        for entry in sorted(self.points, key=lambda entry: (entry.seconds, self.height(entry))):
            if self.height(entry) < best:
                best = self.height(entry)
                found.append(entry)
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """Its runs, seeds together."""
        by_path = {entry.record.path: entry for entry in self.entries}
        rows = compare([entry.record for entry in self.entries]).rows
        return [Group(tuple(by_path[record.path] for record in row.records), self.floor) for row in rows]

    def models(self) -> dict[Family, list[Group]]:
        """Of each family, for each of its models the configuration with the lowest number; the best first."""
        groups: dict[tuple[Family, str], list[Group]] = {}
        for group in self.groups:
            groups.setdefault((group.first.family, group.first.model), []).append(group)
        best = {key: min(found, key=self._order) for key, found in groups.items()}
        in_order = {
            family: sorted((group for (of, _), group in best.items() if of is family), key=self._order) for family in FAMILIES
        }
        return {family: found for family, found in in_order.items() if found}

    def _order(self, group: Group) -> tuple[float, float]:
        there = group.first.number is not None and group.first.number.unit == self.unit
        return group.value if there else math.inf, group.mean("seconds_train") or math.inf


def fields_of(entries: Iterable[Entry]) -> list[Field]:
    """A field for each of the data, that of most runs first."""
    found: dict[tuple[str, ...], list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.data.key, []).append(entry)
    fields = []
    for runs in found.values():
        units = Counter(entry.number.unit for entry in runs if entry.number)
        fields.append(Field(runs[0].data.title, units.most_common(1)[0][0] if units else "", tuple(runs)))
    fields.sort(key=lambda field: -len(field.points))
    return _told_apart(fields)


def _told_apart(fields: Sequence[Field]) -> list[Field]:
    """Data of one name that are others have beside it what is another: a setting, the dimension, else the digest."""
    known: dict[str, list[Field]] = {}
    for field in fields:
        if len(field.points) >= FEWEST:
            known.setdefault(field.title, []).append(field)
    return [Field(_title(field, known.get(field.title, [])), field.unit, field.entries) for field in fields]


def _title(field: Field, same: Sequence[Field]) -> str:
    if len(same) <= 1:
        return field.title
    data, others = field.entries[0].data, [each.entries[0].data for each in same]
    unlike = [key for key, value in data.settings.items() if any(other.settings.get(key) != value for other in others)]
    short = [word for key in unlike if len(word := f"{key}={data.settings[key]}") <= SHORT]
    if short:
        return f"{field.title}, {' '.join(short)}"
    if any(other.dim != data.dim for other in others):
        return f"{field.title} of {data.dim} number{'s' * (data.dim > 1)}"
    return f"{field.title} {field.entries[0].record.data.short or ''}".strip()
