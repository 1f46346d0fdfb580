"""Finding run folders again."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from genexp.errors import UserError, nearest
from genexp.folder.records import read_run, worked_on
from genexp.paths import expanded

OUTPUTS = Path("outputs")
DEEPEST = 2  # folders below a link in which runs are looked for: those of outputs/sweeps have two above them
HINT = "a path, a run's id, a folder of runs, a glob in quotes, or latest"


def find_run(name: str, root: Path = OUTPUTS) -> Path:
    """The run folder that `name` means: a path, a run's id below `root` (or its last parts: `sweep/0`), or `latest`.

    `latest` is the run that was last worked on: the one that started, was resumed, stopped or ended last.
    """
    path = expanded(name)
    if os.path.isfile(path / "run.json"):
        return path
    runs = runs_below(root)
    if name == "latest":
        if not runs:
            raise UserError(f"there is no run under {root}/ yet", hint="genexp run")
        return max(runs, key=worked_on)
    named = _once([run for run in _paths_below(root) if _ends_with(run, path)])
    if len(named) > 1:
        raise UserError(f"'{name}' could be any of {len(named)} runs", hint=f"name its path, for example {named[-1]}")
    if named:
        return named[0]
    if path.is_dir() and (inside := runs_below(path)):
        raise UserError(f"'{name}' is a folder of {len(inside)} runs, not one run", hint=f"for example {inside[-1]}")
    if path.is_dir():
        _check_readable(path)
        raise UserError(f"{name}: there is no run in it; if one began here, nothing had been saved when it stopped")
    raise _unknown(name, runs, root, hint="a path, a run's id, or latest")


def _check_readable(folder: Path) -> None:
    """UserError where what lies in a folder is not for this user to see."""
    try:
        os.stat(folder / "run.json")
    except FileNotFoundError:
        pass
    except OSError as failure:
        raise UserError(f"{folder}: cannot be read: {failure.strerror}") from None


def find_runs(names: Sequence[str], root: Path = OUTPUTS) -> list[Path]:
    """The run folders that `names` mean, in their order, each once.

    A name is what `find_run` takes, or a folder that holds runs at any depth (also a folder below `root`: an experiment's,
    a sweep's), or a glob (of the current folder, else of `root`). Runs of one folder are in the order of their names, job 9
    before job 10. A run whose run.json cannot be read is an error when it is named itself, else one line of warning.

    Raises:
        UserError: a name that means no run; none left.
    """
    found: dict[Path, Path] = {}
    for name in names:
        for run in _meant(name, root, alone=len(names) == 1):
            found.setdefault(run.resolve(), run)
    if not found:
        raise UserError(f"no run among {', '.join(names)}" if names else "no run is named", hint=HINT)
    return list(found.values())


def runs_below(folder: Path) -> list[Path]:
    """Every run folder below `folder`, or it itself, in the order of their names, each once.

    A run's own sub-folders are not searched, nor folders whose name begins with `.` or `_`: that is where what is kept aside
    lies. A link is followed to a run, and to a folder of runs or of sweeps; no link inside that is.
    """
    return sorted(_once(_paths_below(folder)), key=natural)


def _paths_below(folder: Path) -> list[Path]:
    """The same with every path that leads to one of them: first those without a link, then those through one."""
    runs, links = [], []
    above = {os.path.realpath(folder), *map(str, Path(os.path.realpath(folder)).parents)}
    for place, folders in _runs_and_folders(folder):
        if folders is None:
            runs.append(place)
        else:
            links += [place / name for name in folders if (place / name).is_symlink()]
    for link in sorted(links):
        if os.path.realpath(link) not in above:
            runs += [place for place, folders in _runs_and_folders(link, DEEPEST) if folders is None]
    return runs


def _once(runs: Sequence[Path]) -> list[Path]:
    """Of several paths to a run the first."""
    found: dict[str, Path] = {}
    for run in runs:
        found.setdefault(os.path.realpath(run), run)
    return list(found.values())


def _runs_and_folders(top: Path, deepest: int | None = None) -> Iterator[tuple[Path, list[str] | None]]:
    """Every folder from `top` on, no link followed, with the names of those in it; None in their place where it is a run."""
    for place, folders, files in os.walk(top):
        if "run.json" in files:
            folders.clear()
            yield Path(place), None
            continue
        folders[:] = [name for name in folders if name[0] not in "._"]
        yield Path(place), [*folders]
        if deepest is not None and len(Path(place).relative_to(top).parts) >= deepest:
            folders.clear()


def natural(path: Path | str) -> list[list[tuple[int, str]]]:
    """A sort key by which job 9 comes before job 10."""
    pieces = [re.split(r"([0-9]+)", name) for name in Path(path).parts]
    return [[(int(word), "") if at % 2 else (-1, word) for at, word in enumerate(words)] for words in pieces]


def _meant(name: str, root: Path, alone: bool) -> Iterator[Path]:
    """What one name means. An existing path without a run is an error when it is named alone; in a list it may come from
    the shell (`outputs/*` names outputs/README.md) and is only warned of.
    """
    path = expanded(name)
    if alone and path == root and not runs_below(root):  # which nobody need have typed
        raise UserError(f"there is no run under {root}/ yet", hint="genexp run")
    if os.path.isfile(path / "run.json"):
        read_run(path)
        yield path
    elif path.exists():
        inside = runs_below(path)
        if not inside:
            if path.is_dir():
                _check_readable(path)
            problem = f"{name}: there is no run in it" if path.is_dir() else f"{name}: not a run folder"
            if alone:
                raise UserError(problem, hint=HINT)
            print(f"warning: {problem}; left out", file=sys.stderr)
        yield from _readable(inside)
    elif any(mark in name for mark in "*?["):
        matches = _glob(path) or _glob(root / path)
        inside = list(_readable([run for match in matches for run in runs_below(match)]))
        if not inside:
            raise UserError(f"no run matches '{name}'", hint=HINT)
        yield from inside
    elif name == "latest":
        yield find_run(name, root)
    else:
        runs = runs_below(root)
        inside = _once([run for run in _paths_below(root) if any(_ends_with(place, path) for place in (run, *run.parents))])
        if not inside:
            raise _unknown(name, runs, root, HINT)
        yield from _readable(sorted(inside, key=natural))


def _readable(runs: Sequence[Path]) -> Iterator[Path]:
    for run in runs:
        try:
            read_run(run)
            yield run
        except UserError as problem:
            print(f"warning: {problem.message}; left out", file=sys.stderr)


def _glob(pattern: Path) -> list[Path]:
    """What the shell would make of it, in order."""
    start = Path(pattern.anchor)
    try:
        return sorted(start.glob(str(pattern.relative_to(start))), key=natural)
    except (ValueError, OSError, re.error):
        return []


def _ends_with(path: Path, end: Path) -> bool:
    return bool(end.parts) and path.parts[-len(end.parts) :] == end.parts


def _unknown(name: str, runs: Sequence[Path], root: Path, hint: str) -> UserError:
    """No run of that name: the nearest of all there are, by their ids, their folders and their paths."""
    known = {run.name for run in runs if not run.name.isdigit()} | {str(run) for run in runs}
    for run in runs:
        known |= {parent.name for parent in run.parents if parent != root and root in parent.parents}
    guess = nearest(name, sorted(known))
    return UserError(f"no run '{name}' here" + (f"; did you mean '{guess}'?" if guess else ""), hint=hint)
