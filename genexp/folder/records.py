"""A run folder read into a record, whoever wrote it: while its run is still writing, after a crash, from someone else."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from genexp.errors import UserError
from genexp.folder.data_digests import DataDigests, read_digests
from genexp.folder.earlier import metrics as todays
from genexp.folder.earlier import translated

LARGEST = 16 << 20  # bytes of a file that is read whole
LARGEST_HISTORY = 64 << 20
LARGEST_LINE = 1 << 20
FOLDERS = ("checkpoints", "figures", "samples", "profile", "tensorboard")  # what a run folder has below it
STATUSES = ("running", "finished", "interrupted", "failed", "killed")
MOST = 10_000  # values of a configuration, aliases counted where they are used

Number = float | int | str | None


@dataclass(frozen=True)
class Record:
    """What a run folder says of its run. What is missing is empty; what is not as it should be is left out.

    `run` is run.json, `config` config.yaml without the `overrides` as typed, `metrics` metrics.json.
    """

    path: Path
    run: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()
    metrics: Mapping[str, Number] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.path.resolve().name

    @property
    def status(self) -> str:
        """running | finished | interrupted | failed | killed, and `unknown` where run.json says none of them."""
        status = self.run.get("status")
        return status if status in STATUSES else "unknown"

    @property
    def experiment(self) -> str:
        return str(self.config.get("experiment", self.run.get("experiment", "?")))

    @property
    def data(self) -> DataDigests:
        """Which data they were."""
        return read_digests(self.run)

    def history(self) -> list[dict[str, float]]:
        """What `read_history` reads."""
        return read_history(self.path)


def read_record(path: Path) -> Record:
    """The record of the run in `path`; UserError where its run.json cannot be read."""
    run = read_run(path)
    if run.get("status") == "running" and is_abandoned(path):
        run = read_run(path)  # which may have ended in the meantime
        run = {**run, "status": "killed"} if run.get("status") == "running" else run
    try:
        config, overrides = read_config(path)
    except UserError:
        config, overrides = {}, ()
    return Record(path=path, run=run, config=config, overrides=overrides, metrics=read_metrics(path))


def is_abandoned(path: Path) -> bool:
    """Whether no process works in the run folder `path`, as far as its lock (see RunFolder) can tell."""
    try:
        import fcntl

        handle = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):  # Windows; a folder that is gone
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back at once
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def read_config(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """config.yaml of the run folder `path` as spelled today, and the overrides as typed; UserError where it cannot be read."""
    config = checked_yaml(path / "config.yaml")
    overrides = config.pop("overrides", None)
    return translated(config), tuple(map(str, overrides)) if isinstance(overrides, list) else ()


def read_config_dirs(path: Path) -> tuple[Path, ...]:
    """The user's own folders that a run's configuration came from, as run.json names them."""
    return _paths_in(path, "config_dirs")


def read_plugins(path: Path) -> tuple[Path, ...]:
    """The user's own Python files that a run was begun with, as run.json names them: to be named again, never to be run."""
    return _paths_in(path, "plugins")


def _paths_in(path: Path, key: str) -> tuple[Path, ...]:
    try:
        named = read_run(path).get(key)
    except UserError:
        return ()
    return tuple(Path(name) for name in named if isinstance(name, str)) if isinstance(named, list) else ()


def checked_yaml(path: Path) -> dict[str, Any]:
    """A YAML file of plain values, and not more of them than a configuration has; UserError where it is something else."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        config = yaml.load(read_text(path.parent, path.name), Loader=loader) or {}
        if not isinstance(config, dict):
            raise ValueError("not a configuration")
        flat(config)
        return config
    except yaml.YAMLError as failure:
        mark = getattr(failure, "problem_mark", None)
        raise UserError(f"{path} is not YAML" + (f": line {mark.line + 1}" if mark else "")) from None
    except (OSError, ValueError, RecursionError) as failure:
        why = (failure.strerror if isinstance(failure, OSError) else str(failure)) or type(failure).__name__
        raise UserError(f"{path} cannot be read: {why}") from None


def check_links(path: Path) -> None:
    """UserError where an entry of the run folder `path`, whatever its name, is a link to somewhere else: nothing is read or
    written there.
    """
    within = Path(os.path.realpath(path))
    for entry in _entries(path):
        if entry.is_symlink() and within not in Path(os.path.realpath(entry)).parents:
            raise UserError(f"{entry} is a link to another place", hint="a run folder has its own files; put them there")
        if entry.exists() and not entry.is_file() and not entry.is_dir():
            raise UserError(f"{entry} is not a file")


def _entries(path: Path) -> Iterator[Path]:
    """What lies in a run folder and, after it, in the folders of its own: those that are no links."""
    with suppress(OSError):
        yield from sorted(path.iterdir())
    for folder in own_folders(path):
        with suppress(OSError):
            yield from sorted(folder.iterdir())


def own_folders(path: Path) -> list[Path]:
    """The folders that genexp makes in the run folder `path`, as far as they are there and are folders themselves."""
    return [path / name for name in FOLDERS if (path / name).is_dir() and not (path / name).is_symlink()]


def read_run(path: Path) -> dict[str, Any]:
    """run.json of the run folder `path`; UserError where there is none that can be read."""
    try:
        run = json.loads(read_text(path, "run.json"))
        if not isinstance(run, dict):
            raise ValueError("not an object")
        return run
    except (OSError, ValueError, RecursionError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "not the JSON that genexp writes"
        raise UserError(f"{path / 'run.json'} cannot be read: {why or type(failure).__name__}") from None


def read_metrics(path: Path) -> dict[str, Number]:
    """metrics.json of the run folder `path`: numbers, words and nulls (as what is not finite is read, whoever wrote it); empty
    where there is none yet, and where it cannot be read, which is said.
    """
    try:
        metrics = json.loads(read_text(path, "metrics.json"))
        if not isinstance(metrics, dict):
            raise ValueError("not an object")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "not the JSON that genexp writes"
        print(f"warning: {path / 'metrics.json'} cannot be read: {why}; its numbers are left out", file=sys.stderr)
        return {}
    known = {name: value for name, value in metrics.items() if value is None or isinstance(value, int | float | str)}
    return todays({name: None if _is_not_finite(value) else value for name, value in known.items()})


def read_history(path: Path) -> list[dict[str, float]]:
    """The lines of history.jsonl, each {"step": …, name: number}; a torn line is left out.

    Of a file of more than 64 MiB (some 400,000 lines) only the last 64 are read, and that is said: in memory they are ten
    times as large, and an untrusted file may be of any size.
    """
    lines: list[dict[str, float]] = []
    with suppress(OSError):
        lines.extend(history_lines(path, LARGEST_HISTORY))
    return lines


def history_lines(path: Path, largest: int | None = None) -> Iterator[dict[str, float]]:
    """The same one by one, from the whole file or from its last `largest` bytes. OSError where it cannot be read to its end."""
    with suppress(FileNotFoundError, ValueError), regular(path, "history.jsonl").open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if largest is not None and size > largest:
            print(f"warning: {path / 'history.jsonl'}: only its last {largest >> 20} MiB are read", file=sys.stderr)
            file.seek(size - largest)  # into some line, which then is a torn one
        for text in iter(lambda: file.readline(LARGEST_LINE), b""):
            if (line := _history_line(text)) is not None:
                yield line


def _history_line(text: bytes) -> dict[str, float] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or type(value.get("step")) is not int or _is_not_finite(value["step"]):
        return None
    known = {str(name): number for name, number in value.items() if type(number) in (int, float)}
    return todays({name: number for name, number in known.items() if not _is_not_finite(number)})


def _is_not_finite(value: Any) -> bool:
    """Whether it is a number that genexp never writes: NaN, an infinity, or a whole number beyond what a float can be."""
    return isinstance(value, int | float) and not abs(value) <= sys.float_info.max


def worked_on(path: Path) -> float:
    """When the run in `path` was last worked on, in seconds since 1970: its latest start, stop or end.

    run.json says so (`updated`). Where it does not, the time of the file must do, which a copy of the folder may change.
    """
    try:
        return datetime.fromisoformat(read_run(path)["updated"]).timestamp()
    except (UserError, KeyError, TypeError, ValueError, OverflowError, OSError):
        pass
    try:
        return (path / "run.json").stat().st_mtime
    except OSError:
        return 0.0


def flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested sections as one level: {"trainer.lr": 0.001, …}. ValueError where there are more than a configuration has."""
    values: dict[str, Any] = {}
    budget = [MOST]
    for name, value in _leaves("", config, budget):
        values[name] = value
    return values


def _leaves(prefix: str, value: Any, budget: list[int]) -> Iterator[tuple[str, Any]]:
    _spend(budget)
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner, budget)
    else:
        _count(value, budget)
        yield prefix, value


def _count(value: Any, budget: list[int]) -> None:
    if isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            _spend(budget)
            _count(inner, budget)


def _spend(budget: list[int]) -> None:
    budget[0] -= 1
    if budget[0] < 0:
        raise ValueError("too many values for a configuration")


def read_text(folder: Path, name: str) -> str:
    """A regular file of the run folder, read whole. OSError or ValueError where it is not there, leads elsewhere or is too
    large.
    """
    path = regular(folder, name)
    if path.stat().st_size > LARGEST:
        raise ValueError("too large")
    return path.read_text(encoding="utf-8")


def regular(folder: Path, name: str) -> Path:
    """The path of a file of the run folder. ValueError where it is something else, or a link to another place."""
    path = folder / name
    if path.is_symlink() and path.resolve().parent != folder.resolve():
        raise ValueError("a link to another place")
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    return path
