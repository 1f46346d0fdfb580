"""Runs beside each other: what differs between their configurations, then their metrics; seeds averaged."""

import math
import os
import statistics
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from genexp.folder.data_digests import DataDigests
from genexp.folder.records import Record, flat, worked_on
from genexp.runs.words import NO_WORDS, Words, words_of
from genexp.summary import BESIDE, number_text

PLACE = ("run_dir", "data_dir", "device")  # where a run took place is no part of what was run; the device it found, of its times
DATA = "data"  # the column that tells data apart which the settings do not


@dataclass(frozen=True)
class Spread:
    """The mean and the sample standard deviation (n − 1) of a number over n runs; of a single one the latter is NaN."""

    mean: float
    sd: float
    n: int


@dataclass(frozen=True)
class Row:
    """One run, or the runs of one configuration and the same data that differ in their seed alone, one for each seed.

    `settings` are by dotted key, `metrics` by name: a Spread where there are several runs. `judged_by` is one of the metrics.
    `repeated` runs are left out.
    """

    label: str
    records: tuple[Record, ...]
    settings: Mapping[str, Any]
    metrics: Mapping[str, Any]
    judged_by: str | None = None
    repeated: int = 0

    @property
    def status(self) -> str:
        """`finished`, or of several runs how many are not: `2 finished, 1 running`."""
        counts = Counter(record.status for record in self.records)
        alike = len(counts) == 1
        return ", ".join(status if alike else f"{number} {status}" for status, number in sorted(counts.items()))

    @property
    def experiment(self) -> str:
        return self.records[0].experiment

    @property
    def n(self) -> int:
        """How many values are behind the mean of the metric that the row is judged by; without any, how many runs there are."""
        first = self.metrics.get(self.judged_by or "")
        return first.n if isinstance(first, Spread) else len(self.records)

    def cell(self, key: str) -> Any:
        """What stands in column `key`; None where there is nothing."""
        own: dict[str, Any] = {"run": self.label, "n": self.n, "status": self.status}
        return next((place[key] for place in (own, self.settings, self.metrics) if key in place), None)

    def value(self, key: str) -> Any:
        """The cell as one value to sort and choose by: the mean of a Spread."""
        cell = self.cell(key)
        return cell.mean if isinstance(cell, Spread) else cell


@dataclass(frozen=True)
class Comparison:
    """Rows, and the columns they could have; `words` say what the metrics are."""

    rows: tuple[Row, ...]
    words: Words = NO_WORDS

    @cached_property
    def settings(self) -> list[str]:
        """Every key that some configuration has."""
        return _names(row.settings for row in self.rows)

    @cached_property
    def metrics(self) -> list[str]:
        """Every metric that some run has: the headline, those with something known beside them, the rest.

        What is known of a metric (`floor/nll`) follows it.
        """
        names = _names(row.metrics for row in self.rows)
        beside = {name: [f"{kind}/{name}" for kind in BESIDE if f"{kind}/{name}" in names] for name in names}
        own = [name for name in names if not any(name in others for others in beside.values())]
        first = self.words.first(own)
        own.sort(key=lambda name: (name != first, not beside[name]))
        return [each for name in own for each in (name, *beside[name])]

    @cached_property
    def keys(self) -> list[str]:
        """Every column there could be."""
        return ["run", "n", "status", *self.metrics, *self.settings]

    def differing(self) -> list[str]:
        """The settings in which those runs that have them differ.

        Where the experiments differ, that is said by their names: of the rest only what was typed, and what differs between runs
        of one experiment.
        """
        different = [key for key in self.settings if len(self._different(key, self.rows)) > 1]
        different = [key for key in different if key != DATA or self._other_data()]
        if "experiment" not in different:
            return different
        groups = [[row for row in self.rows if row.experiment == name] for name in self._experiments]
        typed = {word.partition("=")[0] for row in self.rows for record in row.records for word in record.overrides}
        inside = {key for key in different if any(len(self._different(key, group)) > 1 for group in groups)}
        return [key for key in different if key in ("experiment", DATA) or key in typed or key in inside]

    def _other_data(self) -> bool:
        """Whether there are two rows whose settings of the data set are the same, and the data are not."""
        data: dict[str, set[str]] = {}
        for row in self.rows:
            if DATA in row.settings:
                dataset = {key: value for key, value in row.settings.items() if key.startswith("dataset.")}
                data.setdefault(repr(sorted(dataset.items())), set()).add(row.settings[DATA])
        return any(len(names) > 1 for names in data.values())

    @cached_property
    def _experiments(self) -> list[str]:
        return list(dict.fromkeys(row.experiment for row in self.rows))

    def _rare(self) -> set[str]:
        """Metrics that the runs of one experiment alone have, where there are several experiments; but not its headline."""
        if len(self._experiments) < 2:
            return set()
        having = {name: {row.experiment for row in self.rows if name in row.metrics} for name in self.metrics}
        headlines = {row.judged_by for row in self.rows}
        kept = headlines | {f"{kind}/{name}" for kind in BESIDE for name in headlines}
        return {name for name, experiments in having.items() if len(experiments) < 2 and name not in kept}

    def constants(self) -> list[str]:
        """The metrics that are one and the same for all rows that have any."""
        rows = [row for row in self.rows if row.metrics]
        same = (name for name in self.metrics if len(self._different(name, self.rows)) == 1)
        return [name for name in same if all(name in row.metrics for row in rows)]

    def columns(self, constant: bool = False) -> list[str]:
        """The run, how many, their status where one is not finished, the settings that differ, the metrics that do.

        Args:
            constant: also the settings and the metrics that are the same for all, or of one experiment's runs alone.
        """
        several = ["n"] if any(len(row.records) > 1 for row in self.rows) else []
        status = ["status"] if any(row.status != "finished" for row in self.rows) else []
        hidden = set() if constant or len(self.rows) == 1 else {*self.constants(), *self._rare()}
        settings = self.settings if constant else self.differing()
        hidden |= {name for name in self.metrics if all(row.value(name) is None for row in self.rows)}
        return ["run", *several, *status, *settings, *(name for name in self.metrics if name not in hidden)]

    @staticmethod
    def _different(key: str, rows: Iterable[Row]) -> set[str]:
        cells = [place[key] for row in rows for place in (row.settings, row.metrics) if key in place]
        return {repr(cell.mean if isinstance(cell, Spread) and cell.sd == 0 else cell) for cell in cells}


def compare(records: Sequence[Record], each: bool = False, swept: Collection[str] = ()) -> Comparison:
    """The runs in their order; those of the same data whose configurations differ in the seed alone are one row, unless `each`
    is wanted.

    A run repeated with the same seed is no other sample of what seeds do: of such runs the last one that finished and has metrics
    counts.
    What only one of two runs says is no difference: a run of an older version had fewer keys.

    Args:
        swept: keys that count as settings, also where they say no more than where a run took place (`data_dir`).
    """
    labels, names, words = _labels(records), _data_names(records), words_of(records)
    place = tuple(key for key in PLACE if key not in swept)
    groups: list[tuple[dict[str, Any], list[Record]]] = []
    for record in records:
        settings = {} if each else _settings(record, (*place, "seed"))
        fitting = (
            members
            for first, members in groups
            if settings and first and _agree(first, settings) and all(record.data.agree(member.data) for member in members)
        )
        members = next(fitting, None)
        if members is None:
            groups.append((settings, [record]))
        else:
            members.append(record)
    return Comparison(tuple(_row(members, labels, names, place, words) for _, members in groups), words)


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if one.keys() == other.keys():
        return one == other
    return all(value == other[key] for key, value in one.items() if key in other)


def spread(values: Sequence[Any], runs: int) -> Any:
    """The values that a metric has in some of several `runs`: numbers as a Spread; else the value, or all the different ones."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if runs > 1 and numbers:
        sd = statistics.stdev(numbers) if len(numbers) > 1 else math.nan
        mean = numbers[0] if len(set(numbers)) == 1 else statistics.fmean(numbers)
        return Spread(mean, sd, len(numbers))
    different = {repr(value): value for value in values}
    return values[0] if len(different) == 1 else " / ".join(sorted(map(number_text, different.values())))


def _row(
    records: Sequence[Record], labels: Mapping[Path, str], names: Mapping[Path, str], place: Sequence[str], words: Words
) -> Row:
    given, records = len(records), _one_for_each_seed(records)
    alone = len(records) == 1
    found = [_metrics(record) for record in records if record.status == "finished"] or list(map(_metrics, records))
    settings = _settings(records[0], place if alone else (*place, "seed"))
    if (data := next((names[record.path] for record in records if record.path in names), None)) is not None:
        settings[DATA] = data
    metrics = {name: spread([each[name] for each in found if name in each], len(records)) for name in _names(found)}
    return Row(
        label=labels[records[0].path] + ("" if alone else f" +{len(records) - 1}"),
        records=tuple(records),
        settings=settings,
        metrics=metrics,
        judged_by=words.first(metrics),
        repeated=given - len(records),
    )


def _one_for_each_seed(records: Sequence[Record]) -> list[Record]:
    """Of the runs with one seed one that has metrics; among these one that finished, and of several such the one that was last
    worked on.
    """
    latest: dict[str, tuple[tuple[bool, bool, float], Record]] = {}
    for record in records:
        seed = repr(record.config.get("seed", record.path))
        rank = (bool(record.metrics), record.status == "finished", worked_on(record.path))
        if seed not in latest or rank >= latest[seed][0]:
            latest[seed] = rank, record
    return [record for _, record in latest.values()]


def _data_names(records: Sequence[Record]) -> dict[Path, str]:
    """A name for the data of each run whose data are known, one for all that are the same."""
    named: list[tuple[DataDigests, str]] = []
    names: dict[Path, str] = {}
    for record in records:
        if (own := record.data.short) is not None:
            names[record.path] = next((name for data, name in named if data.agree(record.data)), own)
            named.append((record.data, names[record.path]))
    return names


def _settings(record: Record, without: Collection[str]) -> dict[str, Any]:
    settings = {key: value for key, value in flat(record.config).items() if key not in without}
    device = record.run.get("device")
    return {**settings, "device": device.partition(":")[0]} if settings and isinstance(device, str) else settings


def _metrics(record: Record) -> dict[str, Any]:
    """The metrics of a run; of one that has not finished also how far it is."""
    if record.status == "finished":
        return dict(record.metrics)
    return {**record.metrics, "steps": max((line["step"] for line in record.history()), default=0)}


def _labels(records: Sequence[Record]) -> dict[Path, str]:
    """For each run the fewest last parts of its path that tell it from the others."""
    parts = {record.path: record.path.resolve().parts for record in records}
    for length in range(1, max(map(len, parts.values()), default=0) + 1):
        labels = {path: os.sep.join(words[-length:]) for path, words in parts.items()}
        if len(set(labels.values())) == len(set(parts.values())):
            return labels
    return {}


def _names(places: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for place in places for name in place))
