"""Composition and validation of a run's configuration: Hydra puts it together, the schemas check it.

Every key and every name is known before anything runs; what is wrong comes back as one UserError.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genexp.catalogue import CONF, options
from genexp.errors import UserError, nearest, unknown
from genexp.fetch import default_data_dir
from genexp.paths import expanded
from genexp.runs.records import check_links, checked_yaml, read_config, read_config_dirs
from genexp.settings import RunSettings, validate
from genexp.training.tracking import check_tracker
from genexp.typed import COMPONENTS, annotation_of, as_hydra_reads, check_form, key_of, parse_override, parse_texts, spelled

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
        groups = [text for text in overrides if options(key_of(text), config_dirs)]
        for text in groups:
            _check_choice(parse_override(text), options(key_of(text), config_dirs))
        known = OmegaConf.to_container(_compose([*groups, *own_folders]), resolve=False)
        read = [text if text in groups else _read(text, known) for text in overrides]
        config = _compose([*read, *own_folders])
        experiment = config.hydra.runtime.choices.get("experiment")
        values = _plain(config)
    return Composed(check({**values, "experiment": experiment}), tuple(overrides), tuple(config_dirs))


def compose_stored(run: Path, overrides: Sequence[str]) -> Composed:
    """The configuration of an earlier run, with overrides of what may change when it goes on."""
    check_links(run)
    values, typed = read_config(run)
    for text in overrides:
        item = _checked(text, values)
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

    folder, dataset = expanded(str(values.get("data_dir"))), values.get("dataset")
    known = fetchable().get(str(dataset.get("name"))) if isinstance(dataset, dict) else None
    return folder.is_dir() and (known is None or all(item.lying(folder) for item in known.items))


def check(values: dict[str, Any]) -> RunSettings:
    """A RunSettings from plain values: the run's own keys first, then those of its data set and its model."""
    settings = validate(RunSettings, values)
    check_tracker(settings.tracking)
    from genexp.registry import datasets, models  # the components import torch: only once the rest is right

    parts = {"dataset": datasets.validate(settings.dataset), "model": models.validate(settings.model)}
    return settings.model_copy(update=parts)


def parse_sweep(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[Override]:
    """The overrides of a sweep as Hydra's sweeper takes them; what is swept of a text is what was typed between the commas."""
    groups = [parse_override(text) for text in overrides if options(key_of(text), config_dirs)]
    return [_parse_swept(text, groups, config_dirs) for text in overrides]


def _parse_swept(text: str, groups: Sequence[Override], config_dirs: Sequence[Path]) -> Override:
    item, key = parse_override(text), key_of(text)
    if item.is_delete() or spelled(item) == spelled(parse_texts(text)):
        return item  # as nearly all are, and nothing has to be looked up
    if key.partition(".")[0] not in COMPONENTS:
        return parse_override(text, annotation_of(key, {}), several=True)
    with _hydra(config_dirs) as own_folders:
        for choice in product(*map(spelled, groups)):
            with suppress(UserError):  # of a choice that is refused with its job
                known: Any = OmegaConf.to_container(_compose([*choice, *own_folders]), resolve=False)
                if (annotation := annotation_of(key, known)) is not None:
                    return parse_override(text, annotation, several=True)
    return item


def _read(text: str, known: Any) -> str:
    """An override of a value as typed, checked, for Hydra to compose."""
    return as_hydra_reads(_checked(text, known), annotation_of(key_of(text), known))


def _checked(text: str, known: Any) -> Override:
    """An override as typed, of a value whose key is one of the `known`."""
    check_form(text)
    if not key_of(text).startswith(("hydra.", "hydra/")):
        _check_key(text, known)
    item = parse_override(text, annotation_of(key_of(text), known))
    if not item.is_hydra_override():
        _refuse_sweep(item)
    return item


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


def _check_key(text: str, known: Any) -> None:
    """The key of an override as typed must exist, with or without `+`; keys cannot be deleted."""
    path: list[str] = []
    for part in key_of(text).split("."):
        if not isinstance(known, dict) or part not in known:
            inside = ".".join(path)
            near = nearest(part, [key for key in known if key != "hydra"]) if isinstance(known, dict) else None
            near = ".".join([*path, near]) if near else _anywhere(part)
            message = f"unknown key '{key_of(text)}'" + (f"; did you mean '{near}'?" if near else "")
            keys = [key for key in known if key != "hydra"] if isinstance(known, dict) else []
            raise UserError(message, hint=f"known keys{' of ' + inside if inside else ''}: {', '.join(keys)}" if keys else None)
        path.append(part)
        known = known[part]
    if text.startswith("~"):
        raise UserError(f"'{text}': a key cannot be deleted", hint=f"set it instead: {key_of(text)}=…")


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
