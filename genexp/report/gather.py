"""What a run folder says in words and numbers, bounded for a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genexp.compare.constraints import reasons_of
from genexp.folder.records import Number as Metric
from genexp.folder.records import flat, read_record
from genexp.report.folder import Folder
from genexp.runs.words import NO_WORDS, Words, words_of
from genexp.summary import BESIDE

MOST_ENTRIES, LONGEST = 400, 300  # keys of a file, characters of one value
MOST_CURVES, MOST_POINTS = 64, 600
CLOCKS = ("step", "seconds", "cpu_seconds")  # of a line of a history: along which curves are drawn


@dataclass(frozen=True)
class Number:
    """A metric and what is known of it: `beside` is kind (floor, exact, …) → value."""

    name: str
    value: Metric
    beside: dict[str, Metric]


@dataclass(frozen=True)
class Curve:
    """A term of history.jsonl by step and by second of training."""

    steps: list[float]
    seconds: list[float]
    values: list[float]


@dataclass(frozen=True)
class Run:
    """A run folder's text. `config` is key → value as text, dotted; `record` is run.json, likewise."""

    folder: Folder
    id: str
    experiment: str
    status: str
    record: dict[str, str]
    config: dict[str, str]
    overrides: list[str]
    numbers: dict[str, Number]
    curves: dict[str, Curve]
    floors: dict[str, float] = field(default_factory=dict)  # of curves
    words: Words = NO_WORDS
    missing: dict[str, str] = field(default_factory=dict)  # constraints that no number stands for, and why

    def sections(self) -> dict[str, dict[str, str]]:
        """The configuration by its sections; what is in none comes first, under `run`."""
        found: dict[str, dict[str, str]] = {"run": {}}
        for key, value in self.config.items():
            section, dot, name = key.partition(".")
            found.setdefault(section if dot else "run", {})[name if dot else key] = value
        return found


def gather(path: Path) -> Run:
    """The run in `path`. UserError where its run.json cannot be read; what else cannot be is left out."""
    record = read_record(path)
    history, numbers = record.history(), pair_up(record.metrics)
    said = {key: value for key, value in record.run.items() if key != "words"}
    if record.status != "finished" and history:  # run.json says how far a run has come only where it has ended
        own = said.get("steps")
        said["steps"] = max(*(line["step"] for line in history), own if isinstance(own, int) else 0)
    floors = {}
    for name, number in numbers.items():
        if isinstance(number.beside.get("floor"), float | int):
            curve = name.replace("heldout_", "heldout/", 1) if name.startswith("heldout_") else f"heldout/{name}"
            floors[curve] = float(number.beside["floor"])  # type: ignore[arg-type]
    return Run(
        folder=Folder(path),
        id=bounded(record.id),
        experiment=bounded(record.experiment),
        status=record.status,
        record=texts(said),
        config=texts(record.config),
        overrides=[bounded(word) for word in record.overrides[:MOST_ENTRIES]],
        numbers=numbers,
        curves=curves_of(history),
        floors=floors,
        words=words_of([record]),
        missing=reasons_of(record.run),
    )


def pair_up(metrics: Mapping[str, Metric]) -> dict[str, Number]:
    """Flat metrics as numbers, each with its floor, exact value or baseline beside it."""
    known = {
        bounded(name): bounded(value) if isinstance(value, str) else value for name, value in [*metrics.items()][:MOST_ENTRIES]
    }
    numbers = {}
    for name, value in known.items():
        kind, _, of = name.partition("/")
        if kind not in BESIDE or of not in known:
            beside = {kind: known[f"{kind}/{name}"] for kind in BESIDE if known.get(f"{kind}/{name}") is not None}
            numbers[name] = Number(name, value, beside)
    return numbers


def curves_of(lines: list[dict[str, float]]) -> dict[str, Curve]:
    """The terms of a history, each with at most MOST_POINTS points, evenly chosen."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    for line in lines:
        step, seconds = float(line["step"]), float(line.get("seconds", 0.0))
        for name, value in line.items():
            if name not in CLOCKS and abs(value) < 1e300 and (name in points or len(points) < MOST_CURVES):
                points.setdefault(name, []).append((step, seconds, float(value)))
    curves = {}
    for name, rows in points.items():
        rows.sort()
        few = min(len(rows), MOST_POINTS)
        steps, seconds_, values = zip(*(rows[i * (len(rows) - 1) // max(few - 1, 1)] for i in range(few)), strict=True)
        curves[bounded(name)] = Curve(list(steps), list(seconds_), list(values))
    return curves


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested values as dotted key → one line of text."""
    try:
        leaves = flat(values)
    except ValueError:
        return {}
    return {bounded(key): shown(value) for key, value in [*leaves.items()][:MOST_ENTRIES]}


def shown(value: Any) -> str:
    """A value as YAML would have it, on one line."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return bounded("[" + ", ".join(shown(item) for item in value[:40]) + "]")
    return bounded(value)


def bounded(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
