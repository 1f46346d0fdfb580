"""Composition and validation of a run's configuration: Hydra puts it together, the schemas check it.

Every key and every name is known before anything runs; what is wrong comes back as one UserError.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genexp.catalogue import CONF, options
from genexp.errors import UserError, nearest, unknown
from genexp.fetch import default_data_dir
from genexp.runs.records import check_links, checked_yaml, read_config, read_config_dirs
from genexp.settings import RunSettings, shown, validate
from genexp.training.tracking import check_tracker

GROUPS = ("experiment", "dataset", "model", "trainer")
CHANGEABLE = (
    *(f"trainer.{key}" for key in ("max_steps", "max_epochs", "max_seconds", "lr", "log_every", "checkpoint_every", "compile")),
    *("tracking", "device", "data_dir"),
)


@dataclass(frozen=True)
class Composed:
    """A whole configuration and how the user asked for it: what was typed, and with which folders of their own."""

    settings: RunSettings
    overrides: tuple[str, ...]
    config_dirs: tuple[Path, ...] = ()


def compose(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Composed:
    """The configuration that `overrides` (as typed: `key=value`, `group=name`) describe, checked whole."""
    with _hydra(config_dirs) as own_folders:
        parsed = [parse_override(text) for text in overrides]
        groups = [item for item in parsed if options(item.key_or_group, config_dirs)]
        for item in groups:
            _check_choice(item, options(item.key_or_group, config_dirs))
        base = _compose([item.input_line or "" for item in groups] + own_folders)
        known = OmegaConf.to_container(base, resolve=False)
        for item in parsed:
            if item not in groups:
                _check_key(item, known)
        config = _compose([*overrides, *own_folders])
        experiment = config.hydra.runtime.choices.get("experiment")
        values = _plain(config)
    return Composed(check({**values, "experiment": experiment}), tuple(overrides), tuple(config_dirs))


def compose_stored(run: Path, overrides: Sequence[str]) -> Composed:
    """The configuration of an earlier run, with overrides of what may change when it goes on."""
    check_links(run)
    values, typed = read_config(run)
    for text in overrides:
        item = parse_override(text)
        _check_key(item, values)
        *path, key = item.key_or_group.split(".")
        if path not in (["evaluation"], ["figures"]) and item.key_or_group not in CHANGEABLE:
            allowed = f"{', '.join(CHANGEABLE)}, evaluation.* and figures.*"
            raise UserError(f"{item.key_or_group} cannot be changed when a run goes on", hint=f"what can: {allowed}")
        (values[path[0]] if path else values)[key] = item.value()
    if not _has_data(values):  # as on another machine; and nothing is ever fetched into a folder that only a file names
        values["data_dir"] = str(default_data_dir())
    return Composed(check(values), (*typed, *overrides), read_config_dirs(run))


def _has_data(values: dict[str, Any]) -> bool:
    """Whether the folder of data sets that a run names is there and, where its data are files of a known set, has them."""
    from genexp.fetch.sets import fetchable

    folder, dataset = Path(str(values.get("data_dir"))), values.get("dataset")
    known = fetchable().get(str(dataset.get("name"))) if isinstance(dataset, dict) else None
    return folder.is_dir() and (known is None or all(item.lying(folder) for item in known.items))


def check(values: dict[str, Any]) -> RunSettings:
    """A RunSettings from plain values: the run's own keys first, then those of its data set and its model."""
    settings = validate(RunSettings, values)
    check_tracker(settings.tracking)
    from genexp.registry import datasets, models  # the components import torch: only once the rest is right

    parts = {"dataset": datasets.validate(settings.dataset), "model": models.validate(settings.model)}
    return settings.model_copy(update=parts)


def parse_override(text: str) -> Override:
    """One override as Hydra reads it; UserError where it is not of the form key=value."""
    key, equals, value = text.partition("=")
    if not key or not (equals or text.startswith("~")):
        raise UserError(f"'{shown(text)}' is not of the form key=value", hint="for example: trainer.lr=3e-4")
    try:
        return OverridesParser.create().parse_override(text)
    except (HydraException, RecursionError):
        quoted = shown(value).strip("\"'").replace('"', '\\"')
        name = shown(key)
        raise UserError(f"cannot read the value of '{name}': {shown(value)}", hint=f"quote it: '{name}=\"{quoted}\"'") from None


def search_path(config_dirs: Sequence[Path]) -> list[str]:
    """The override that adds the user's own folders to Hydra's."""
    paths = ",".join(f"'file://{folder.resolve()}'" for folder in config_dirs)
    return [f"hydra.searchpath=[{paths}]"] if paths else []


@contextmanager
def _hydra(config_dirs: Sequence[Path]) -> Iterator[list[str]]:
    """Hydra initialised on conf/; yields the override that adds the user's own folders."""
    for folder in config_dirs:
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: no such folder")
        for group in GROUPS:  # no more than is good for Hydra
            for path in (folder / group).rglob("*.yaml"):
                checked_yaml(path)
    if GlobalHydra.instance().is_initialized():  # inside a sweep's job
        GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), job_name="genexp", version_base="1.3"):
        yield search_path(config_dirs)


def _compose(overrides: list[str]) -> Any:
    try:
        return hydra_compose("config", overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as failure:
        raise UserError(str(failure).strip().splitlines()[0]) from failure


def _plain(config: Any) -> dict[str, Any]:
    """The configuration without Hydra's own node, interpolations resolved, as plain Python."""
    config = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as failure:
        raise UserError(str(failure).strip().splitlines()[0]) from failure


def _check_choice(item: Override, allowed: list[str]) -> None:
    """The value of a group override must be one of its options."""
    group = item.key_or_group
    _refuse_sweep(item)
    choice = item.value()
    if item.is_delete() or choice is None:
        raise UserError(f"'{item.input_line}': a run needs a value of {group}", hint=f"there are: {', '.join(sorted(allowed))}")
    if str(choice) not in allowed:
        raise unknown(group, str(choice), allowed)


def _check_key(item: Override, known: Any) -> None:
    """The key of a value override must exist, with or without `+`; keys cannot be deleted."""
    if item.is_hydra_override():
        return
    _refuse_sweep(item)
    path: list[str] = []
    for part in item.key_or_group.split("."):
        if not isinstance(known, dict) or part not in known:
            inside = ".".join(path)
            near = nearest(part, [key for key in known if key != "hydra"]) if isinstance(known, dict) else None
            near = ".".join([*path, near]) if near else _anywhere(part)
            message = f"unknown key '{item.key_or_group}'" + (f"; did you mean '{near}'?" if near else "")
            keys = [key for key in known if key != "hydra"] if isinstance(known, dict) else []
            raise UserError(message, hint=f"known keys{' of ' + inside if inside else ''}: {', '.join(keys)}" if keys else None)
        path.append(part)
        known = known[part]
    if item.is_delete():
        raise UserError(f"'{item.input_line}': a key cannot be deleted", hint=f"set it instead: {item.key_or_group}=…")


def _refuse_sweep(item: Override) -> None:
    if item.is_sweep_override():
        raise UserError(f"'{item.input_line}' is several values, for a sweep", hint="genexp run -m …, or quote a comma")


def _anywhere(name: str) -> str | None:
    """The trainer or run key called nearly `name`, wherever it lives: `lr` is found as `trainer.lr`."""
    for section in ("trainer", "evaluation", "figures"):
        fields = RunSettings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        if name in fields:
            return f"{section}.{name}"
    return None
