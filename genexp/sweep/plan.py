"""What a sweep is to do: its jobs, its folder, and what of it is done already."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.errors import HydraException

from genexp.compare.comparison import PLACE
from genexp.compare.selection import as_text
from genexp.config.composition import Composed, compose, parse_sweep
from genexp.config.typed import key_of, parse_override
from genexp.errors import UserError, nearest
from genexp.files import Replacing
from genexp.folder.records import flat, read_record, read_run
from genexp.folder.run_folder import new_id
from genexp.paths import expanded, make_parent
from genexp.settings import Strict, validate
from genexp.summary import BESIDE
from genexp.sweep.launchers import check_launcher

SWEEPS = Path("outputs/sweeps")
RECORD, LOCK = "sweep.yaml", ".lock"


class SweepSettings(Strict):
    """`sweep.…` on the command line: of the sweep, and of none of its runs."""

    dir: str | None = None
    skip_finished: bool = False
    metric: str | None = None


@dataclass(frozen=True)
class Plan:
    """Jobs by number. `overrides` are the sweep's as typed, without the `hydra` ones and `sweep.…`.

    `nameless`: nobody chose the folder's name, and it may be another.
    """

    root: Path
    jobs: tuple[tuple[str, ...], ...]
    overrides: tuple[str, ...]
    hydra: tuple[str, ...]
    settings: SweepSettings
    nameless: bool = False
    config_dirs: tuple[Path, ...] = ()
    plugins: tuple[Path, ...] = ()

    def folder(self, number: int) -> Path:
        return self.root / str(number)

    def status(self, number: int) -> str:
        """What run.json says of a job; `not started` where there is none."""
        try:
            return str(read_run(self.folder(number)).get("status"))
        except UserError:
            return "not started"

    @cached_property
    def swept(self) -> dict[str, list[Any]]:
        """The keys in which the jobs differ, each with its value in every job."""
        values = [{item.key_or_group: item.value() for item in map(parse_override, job)} for job in self.jobs]
        columns = {key: [value.get(key) for value in values] for key in dict.fromkeys(key for value in values for key in value)}
        return {key: column for key, column in columns.items() if any(value != column[0] for value in column)}

    def named(self, number: int) -> str:
        """A job for a reader: `job 3 (model.depth=2 seed=1)`."""
        own = [text for text in self.jobs[number] if text.partition("=")[0] in self.swept]
        return f"job {number} ({shlex.join(own)})" if own else f"job {number}"

    def finishing(self) -> str:
        """The line that finishes this sweep later."""
        own = [word for path in self.plugins for word in ("--plugin", str(path))]
        own += [word for path in self.config_dirs for word in ("--config-dir", str(path))]
        metric = [f"sweep.metric={self.settings.metric}"] if self.settings.metric else []
        last = [f"sweep.dir={self.root}", "sweep.skip_finished=true"]
        return shlex.join(["genexp", "run", "-m", *own, *self.overrides, *self.hydra, *metric, *last])

    def write(self) -> None:
        """sweep.yaml: the overrides as typed and those of every job."""
        record = {"overrides": [*self.overrides], "hydra": [*self.hydra], "jobs": [shlex.join(job) for job in self.jobs]}
        with Replacing(self.root / RECORD) as (temporary, _):
            temporary.write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True, width=1 << 20), encoding="utf-8")


def jobs(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> list[list[str]]:
    """The overrides of each job: the product of all `key=a,b,c`."""
    parsed = parse_sweep([text for text in overrides if _kind(text) == "run"], config_dirs)
    try:
        return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]
    except HydraException as failure:
        raise UserError(f"not a list of values: {failure}", hint="for example: model.depth=1,2,3 seed=range(5)") from None


def check_jobs(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[Composed]:
    """The checked configuration of every job; UserError for the first that is wrong."""
    if any(text.startswith("run_dir=") for text in overrides):
        raise UserError("run_dir=… with -m: every job has a folder of its own", hint="sweep.dir=… moves them all")
    check_launcher([text for text in overrides if _kind(text) == "hydra"])
    return [compose(job, config_dirs) for job in jobs(overrides, config_dirs)]


def check_metric(name: str | None) -> None:
    """UserError where there is no measure of that name, or of what it is a part, an error or a floor of."""
    from genexp.measures.record import measures  # imports torch

    if name is not None:
        own = name.removeprefix(next((f"{kind}/" for kind in BESIDE if name.startswith(f"{kind}/")), "")).partition("/")[0]
        known = {each.name for each in measures.all()}
        if not {own, own.removesuffix("_error")} & known:
            near = nearest(name, known)
            raise UserError(f"unknown metric '{name}'" + (f"; did you mean '{near}'?" if near else ""))


def make_plan(overrides: Sequence[str], config_dirs: Sequence[Path], plugins: Sequence[Path]) -> Plan:
    """The plan of what was typed, every job checked: a new sweep, or with `sweep.skip_finished=true` the latest of these jobs.

    Raises:
        UserError: a job is wrong; there is no such metric; the folder holds another sweep, or this one, not to be finished.
    """
    settings = _settings([text for text in overrides if _kind(text) == "sweep"])
    hydra = [text for text in overrides if _kind(text) == "hydra" and not text.startswith("hydra.sweep.dir=")]
    given = [text.partition("=")[2] for text in overrides if text.startswith("hydra.sweep.dir=")]
    chosen = settings.dir or (given[-1] if given else None)
    typed = [text for text in overrides if _kind(text) == "run"]
    root = expanded(chosen) if chosen else None
    if root is not None and settings.skip_finished and not typed:
        typed = _recorded(root)["overrides"]
    check_jobs([*typed, *hydra], config_dirs)
    check_metric(settings.metric)
    wanted = jobs(typed, config_dirs)
    if root is None and settings.skip_finished:
        root = _latest(wanted)
    if root is not None and root.exists() and (not root.is_dir() or any(item.name != LOCK for item in root.iterdir())):
        if not settings.skip_finished:
            raise UserError(f"{root} exists already, and a sweep never overwrites another", hint="sweep.skip_finished=true")
        recorded = [shlex.split(job) for job in _recorded(root)["jobs"]]
        if not _same(recorded, wanted):
            raise UserError(f"{root} is a sweep of other jobs", hint=f"they are in {root / RECORD}")
        wanted = recorded
    return Plan(
        root=root or SWEEPS / new_id(),
        jobs=tuple(map(tuple, wanted)),
        overrides=tuple(typed),
        hydra=tuple(hydra),
        settings=settings,
        nameless=root is None,
        config_dirs=tuple(config_dirs),
        plugins=tuple(plugins),
    )


def make_folder(plan: Plan) -> Plan:
    """The plan with its folder made; where nobody chose its name, a folder that was not there before."""
    while True:
        try:
            make_parent(plan.root)
            plan.root.mkdir(exist_ok=not plan.nameless)
            break
        except FileExistsError:
            if not plan.nameless:
                raise UserError(f"{plan.root} is not a folder") from None
            plan = replace(plan, root=SWEEPS / new_id())
        except OSError as failure:
            raise UserError(f"cannot make the sweep's folder {plan.root}: {failure.strerror}") from None
    return plan


def write_plan(plan: Plan) -> None:
    """Write sweep.yaml, by the process that has the folder to itself. UserError where there are other jobs in it by now, or these
    and nobody asked to finish them: another process was faster.
    """
    if (plan.root / RECORD).exists():
        recorded = [tuple(shlex.split(job)) for job in _recorded(plan.root)["jobs"]]
        if not plan.settings.skip_finished or recorded != [*plan.jobs]:
            raise UserError(f"{plan.root}: another process has begun a sweep in it meanwhile", hint="another sweep.dir=…")
    plan.write()


def changed(plan: Plan, number: int) -> list[str]:
    """The keys whose values a job's folder has otherwise than what is typed says today: an experiment was edited since."""
    try:
        then = flat(read_record(plan.folder(number)).config)
    except UserError:
        return []
    now = flat(compose(plan.jobs[number], plan.config_dirs).settings.model_dump())
    return [key for key in now if key in then and key not in PLACE and as_text(now[key]) != as_text(then[key])]


def _settings(overrides: Sequence[str]) -> SweepSettings:
    fields = {f"sweep.{name}": field.annotation for name, field in SweepSettings.model_fields.items()}
    parsed = [parse_override(text, fields.get(key_of(text))) for text in overrides]
    values: Mapping[str, Any] = {item.key_or_group.removeprefix("sweep."): item.value() for item in parsed}
    return validate(SweepSettings, values, "sweep")


def _latest(wanted: Sequence[Sequence[str]]) -> Path | None:
    """The latest sweep of these jobs under outputs/sweeps."""
    for path in sorted(SWEEPS.glob(f"*/{RECORD}"), key=lambda path: path.parent.name, reverse=True):
        try:
            if _same([shlex.split(job) for job in _recorded(path.parent)["jobs"]], wanted):
                return path.parent
        except (UserError, ValueError):
            continue
    return None


def _recorded(root: Path) -> dict[str, list[str]]:
    """sweep.yaml of a sweep's folder."""
    path = root / RECORD
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
        return {key: [str(text) for text in record[key]] for key in ("overrides", "jobs")}
    except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError):
        raise UserError(f"{root} is no sweep: its {RECORD} cannot be read") from None


def _same(some: Sequence[Sequence[str]], others: Sequence[Sequence[str]]) -> bool:
    """Whether they are the same jobs, in whatever order they and their overrides are."""
    return sorted(map(sorted, some)) == sorted(map(sorted, others))


def _kind(text: str) -> str:
    """Whose an override is: `hydra`, `sweep` or `run`."""
    key = text.partition("=")[0].lstrip("+~")
    return next((kind for kind in ("hydra", "sweep") if key == kind or key.startswith((f"{kind}.", f"{kind}/"))), "run")
