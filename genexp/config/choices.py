"""What a configuration is made of: the member of each group (`model=vae`) and of each part (`model/posterior=iaf`), by Hydra.

The place of a part is its key with slashes: `model/prior/transformer=spline` chooses what `model.prior.transformer` is. The
members of a kind lie in one folder, conf/model/KIND, whichever model or part takes them; a YAML file's `defaults:` list says
which kind it takes where (`- /model/transformer@transformer: affine`). A choice brings its own keys and no other's: what an
experiment set for the member it had chosen goes with that.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from genexp.config.catalogue import COMPONENTS, CONF, GROUPS, find, options
from genexp.config.typed import key_of, parse_override
from genexp.errors import UserError, nearest, unknown
from genexp.folder.earlier import renamed
from genexp.folder.records import checked_yaml

ALONE = "alone"  # where a member is composed by itself
ANY = "any"  # the experiment that suits every model and data set


@dataclass(frozen=True)
class Chosen:
    """What stands in one place: `name`, of the members in conf/`group`."""

    group: str
    name: str


def is_choice(text: str) -> bool:
    """Whether an override as typed chooses a member, and sets no value."""
    key = key_of(text)
    return key in GROUPS or ("/" in key and key.partition("/")[0] in COMPONENTS)


def composed(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> DictConfig:
    """The configuration that the choices among `overrides` describe, Hydra's own node in it; UserError for a wrong one."""
    with _hydra(config_dirs):
        groups = [text for text in overrides if key_of(text) in GROUPS]
        for text in groups:
            _check(parse_override(text), options(key_of(text), config_dirs))
        groups += _without_experiment(groups)
        others = [text for text in overrides if key_of(text).startswith(("hydra.", "hydra/"))]
        config = _compose([*groups, *others], config_dirs)
        _drop_leftovers(config, groups, config_dirs)
        places = _places(config)
        parts = [text for text in overrides if is_choice(text) and text not in groups]
        for text in sorted(parts, key=lambda text: key_of(text).count("/")):
            place, item = key_of(text), parse_override(text)
            if place not in places:
                raise _no_part(text, places, config)
            group = places[place].group
            _check(item, options(group, config_dirs))
            if item.value() != places[place].name:
                alone = _compose([f"+{group}@{ALONE}={item.value()}"], config_dirs)
                with open_dict(config):
                    OmegaConf.update(config, place.replace("/", "."), alone[ALONE], merge=False)
                inner = {f"{place}{at.removeprefix(ALONE)}": one for at, one in _places(alone, ALONE).items()}
                places = {at: one for at, one in places.items() if not f"{at}/".startswith(f"{place}/")} | inner
        return config


def _without_experiment(groups: Sequence[str]) -> list[str]:
    """The experiment for another model or data set than the default's, where none is typed: the default's parts are its own."""
    typed = {key_of(text): parse_override(text).value() for text in groups}
    usual = _chosen([])
    other = any(typed.get(group, usual[group]) != usual[group] for group in COMPONENTS)
    return [f"experiment={ANY}"] if other and "experiment" not in typed else []


def _drop_leftovers(config: DictConfig, groups: Sequence[str], config_dirs: Sequence[Path]) -> None:
    """Takes out what an experiment sets for its own data set or model where another one, without such a key, was typed."""
    experiment = [text for text in groups if key_of(text) == "experiment"]
    typed = {key_of(text): parse_override(text).value() for text in groups if key_of(text) in COMPONENTS}
    if not experiment or not typed:
        return
    usual = _chosen(experiment, config_dirs)
    for group, name in typed.items():
        if name != usual[group]:
            own = _compose([f"+{group}@{ALONE}={name}"], config_dirs)[ALONE]
            with open_dict(config):
                for key in config[group].keys() - own.keys():
                    del config[group][key]


def _places(config: DictConfig, root: str = "") -> dict[str, Chosen]:
    """What stands where among the parts of a configuration, or below `root` in it."""
    found = {}
    for key, name in config.hydra.runtime.choices.items():
        group, _, package = key.partition("@")
        place = package.replace(".", "/") or group
        if "/" in group and place.partition("/")[0] in ((root,) if root else COMPONENTS):
            found[place] = Chosen(group, str(name))
    return found


def _check(item: Override, allowed: list[str]) -> None:
    """The value of a choice must be one of those there are."""
    group = item.key_or_group
    refuse_sweep(item)
    choice = item.value()
    if item.is_delete() or choice is None:
        raise UserError(f"'{item.input_line}': a run needs a value of {group}", hint=f"there are: {', '.join(sorted(allowed))}")
    if today := renamed(group, str(choice)):
        raise UserError(f"{group}={choice} is {group}={today} now")
    if str(choice) not in allowed:
        raise unknown(group, str(choice), allowed)


def _no_part(text: str, places: dict[str, Chosen], config: DictConfig) -> UserError:
    """The error for a choice of a part that is not there."""
    component, _, part = key_of(text).partition("/")
    there = [place.partition("/")[2] for place in places if place.startswith(f"{component}/")]
    near = nearest(part, there)
    message = f"{component}={config[component].get('name')} has no part '{part}'"
    hint = f"its parts: {', '.join(f'{component}/{name}' for name in there)}" if there else "it has no parts to choose"
    return UserError(message + (f"; did you mean '{component}/{near}'?" if near else ""), hint=hint)


def refuse_sweep(item: Override) -> None:
    """UserError for several values where one is meant."""
    if item.is_sweep_override():
        raise UserError(f"'{item.input_line}' is several values, for a sweep", hint="genexp run -m …, or quote a comma")


def search_path(config_dirs: Sequence[Path]) -> list[str]:
    """The override that adds the user's own folders to Hydra's."""
    paths = ",".join(f"'file://{folder.resolve()}'" for folder in config_dirs)
    return [f"hydra.searchpath=[{paths}]"] if paths else []


@contextmanager
def _hydra(config_dirs: Sequence[Path]) -> Iterator[None]:
    """Hydra initialised on conf/, once what is in the user's own folders is checked."""
    for folder in config_dirs:
        if not folder.is_dir():
            raise UserError(f"--config-dir {folder}: no such folder")
        for group in GROUPS:  # no more than is good for Hydra
            for path in (folder / group).rglob("*.yaml"):
                checked_yaml(path)
    if GlobalHydra.instance().is_initialized():  # inside a sweep's job
        GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), job_name="genexp", version_base="1.3"):
        yield


def _compose(overrides: Sequence[str], config_dirs: Sequence[Path]) -> DictConfig:
    """What Hydra makes of overrides, to be changed."""
    return deepcopy(_known(overrides, config_dirs))


def _chosen(overrides: Sequence[str], config_dirs: Sequence[Path] = ()) -> DictConfig:
    """The name that Hydra chooses for each group."""
    return _known(overrides, config_dirs).hydra.runtime.choices


def _known(overrides: Sequence[str], config_dirs: Sequence[Path]) -> DictConfig:
    """What Hydra makes of overrides. Of the files of the package alone it makes the same every time: it is asked once."""
    if any(_of_a_user(text, config_dirs) for text in overrides):
        return _by_hydra([*overrides, *search_path(config_dirs)])
    return _of_package(tuple(overrides))


def _of_a_user(text: str, config_dirs: Sequence[Path]) -> bool:
    """Whether an override chooses a member that is, or may be, in the user's own folders."""
    group = key_of(text).partition("@")[0]
    if not config_dirs or group.startswith("hydra."):
        return False
    path = find(group, str(parse_override(text).value()), config_dirs)
    return path is None or not path.is_relative_to(CONF)


@lru_cache(maxsize=1024)
def _of_package(overrides: tuple[str, ...]) -> DictConfig:
    return _by_hydra(overrides)


def _by_hydra(overrides: Sequence[str]) -> DictConfig:
    """Of Hydra's own node no more than what was chosen: it is larger than all the rest, which is copied time and again."""
    try:
        config = hydra_compose("config", list(overrides), return_hydra_config=True)
        with open_dict(config):
            config.hydra = {"runtime": {"choices": dict(config.hydra.runtime.choices)}}
        return config
    except (HydraException, OmegaConfBaseException) as failure:
        said = str(failure).strip().splitlines()[0]
        if found := re.match(r"In 'experiment/(.+?)': Could not override '(.+?)'", said):
            said = f"experiment={found[1]} chooses {found[2]}, a part that the model here has not"
        raise UserError(said) from failure
