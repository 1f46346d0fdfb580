"""Composition and validation of a run's configuration: Hydra puts it together, the schemas check it.

Every key and every name is known before anything runs; what is wrong comes back as one UserError.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from genexp.config import detail
from genexp.config.catalogue import COMPONENTS, GROUPS
from genexp.config.choices import ANY, composed, is_choice, refuse_sweep
from genexp.config.typed import annotation_of, as_hydra_reads, check_form, key_of, parse_override, parse_texts, spelled
from genexp.errors import UserError, nearest
from genexp.fetch import default_data_dir
from genexp.folder.earlier import moved
from genexp.folder.records import check_links, read_config, read_config_dirs
from genexp.folder.tracking import check_tracker
from genexp.paths import expanded
from genexp.settings import RunSettings, shown, validate

CHANGEABLE = {  # keys and sections of a stored configuration, by when
    "goes on": (
        *(f"trainer.{key}" for key in ("max_steps", "max_epochs", "max_seconds", "lr", "log_every", "checkpoint_every")),
        *("trainer.compile", "trainer.threads", "tracking", "device", "data_dir", "evaluation.*", "figures.*"),
    ),
    "is evaluated": ("evaluation.*", "device", "data_dir"),  # nothing else changes a number
}


@dataclass(frozen=True)
class Composed:
    """A whole configuration and how the user asked for it: what was typed, and with which folders of their own."""

    settings: RunSettings
    overrides: tuple[str, ...]
    config_dirs: tuple[Path, ...] = ()


def compose(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> Composed:
    """The configuration that `overrides` (as typed: `key=value`, `group=name`) describe, checked whole."""
    config = composed(overrides, config_dirs)
    known, experiment = OmegaConf.to_container(config, resolve=False), _experiment(config)
    read = [_read(text, known) for text in overrides if not is_choice(text)]
    values = _plain(config, [text for text in read if not text.startswith(("hydra.", "hydra/"))])
    return Composed(check({**values, "experiment": experiment}), tuple(overrides), tuple(config_dirs))


def _experiment(config: DictConfig) -> str | None:
    """What a run is filed under: its experiment; of any model on any data set, these two."""
    experiment = config.hydra.runtime.choices.get("experiment")
    return f"{config.model.name}_{config.dataset.name}" if experiment == ANY else experiment


def compose_stored(run: Path, overrides: Sequence[str], when: str = "goes on") -> Composed:
    """The configuration of an earlier run, with overrides of what may change when it `goes on`, or `is evaluated`."""
    check_links(run)
    values, typed = read_config(run)
    for text in overrides:
        item = parse_override(text) if is_choice(text) else _checked(text, values)
        *path, key = item.key_or_group.split(".")
        if not {item.key_or_group, ".".join([*path, "*"])} & {*CHANGEABLE[when]}:
            allowed = ", ".join(CHANGEABLE[when])
            raise UserError(f"{item.key_or_group} cannot be changed when a run {when}", hint=f"what can: {allowed}")
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

    for key, value in settings.model.items():  # of a YAML file of the user's
        if not isinstance(value, dict) and (today := moved(str(settings.model.get("name")), key, shown(value))):
            raise UserError(f"model.{key} is {today} now", hint="in a YAML file, parts are chosen by `- override /model/…`")
    parts = {"dataset": datasets.validate(settings.dataset), "model": models.validate(settings.model)}
    return settings.model_copy(update=parts)


def parse_sweep(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[Override]:
    """The overrides of a sweep as Hydra's sweeper takes them; what is swept of a text is what was typed between the commas."""
    groups = [parse_override(text) for text in overrides if is_choice(text)]
    return [_parse_swept(text, groups, config_dirs) for text in overrides]


def _parse_swept(text: str, groups: Sequence[Override], config_dirs: Sequence[Path]) -> Override:
    item, key = parse_override(text), key_of(text)
    if item.is_delete() or spelled(item) == spelled(parse_texts(text)):
        return item  # as nearly all are, and nothing has to be looked up
    if key.partition(".")[0] not in COMPONENTS:
        return parse_override(text, annotation_of(key, {}), several=True)
    for choice in product(*map(spelled, groups)):
        with suppress(UserError):  # of a choice that is refused with its job
            known: Any = OmegaConf.to_container(composed(choice, config_dirs), resolve=False)
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
        refuse_sweep(item)
    return item


def _plain(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration, which is changed, with values overridden, without Hydra's own node, interpolations resolved, as plain
    Python.
    """
    detail.register()
    try:
        ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides([*overrides]), config)
        with open_dict(config):
            del config["hydra"]
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as failure:
        raise UserError(str(failure).strip().splitlines()[0]) from failure


def _check_key(text: str, known: Any) -> None:
    """The key of an override as typed must exist, with or without `+`; keys cannot be deleted."""
    path: list[str] = []
    keys, model = key_of(text).split("."), str(known.get("model", {}).get("name"))
    for part in keys:
        if not isinstance(known, dict) or part not in known:
            raise _unknown_key(text, path, known, model)
        path.append(part)
        known = known[part]
    place = keys[:-1] if keys[-1] == "name" else keys
    if len(place) > 1 and place[0] in COMPONENTS and (place != keys or (isinstance(known, dict) and "name" in known)):
        value = shown(text.partition("=")[2]) or "…"
        raise UserError(f"{'.'.join(place)} is a part, which is chosen by name: {'/'.join(place)}={value}")
    if text.startswith("~"):
        raise UserError(f"'{text}': a key cannot be deleted", hint=f"set it instead: {key_of(text)}=…")


def _unknown_key(text: str, path: list[str], known: Any, model: str) -> UserError:
    """The error for a key that is not there: `known` is what is at `path`, the part of it that is."""
    keys = key_of(text).split(".")
    part, own = keys[len(path)], [key for key in known if key != "hydra"] if isinstance(known, dict) else []
    if path[:1] == ["model"] and (today := moved(model, ".".join([*path[1:], part]), shown(text.partition("=")[2]))):
        return UserError(f"{'.'.join([*path, part])} is {today} now")
    near = nearest(part, own if path else [*own, *GROUPS])
    near = ".".join([*path, near]) if near else _anywhere(part)
    message = f"unknown key '{'.'.join(keys)}'" + (f"; did you mean '{near}'?" if near else "")
    return UserError(message, hint=f"known keys{' of ' + '.'.join(path) if path else ''}: {', '.join(own)}" if own else None)


def _anywhere(name: str) -> str | None:
    """The trainer or run key called nearly `name`, wherever it lives: `lr` is found as `trainer.lr`."""
    for section in ("trainer", "evaluation", "figures"):
        fields = RunSettings.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        if name in fields:
            return f"{section}.{name}"
    return None
