"""The keys of a YAML file with their choices, read by the line: what a comment `# a | b` says after a value.

A test holds these comments against the schemas, so they can be believed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genexp.config.catalogue import CONF, find, options

_LINE = re.compile(r"( *)([A-Za-z_]\w*):(?: +([^#]*?))? *(?:#(.*))?")
_CHOICES = re.compile(r" *([\w.-]+(?: \| [\w.-]+)+)")
_DEFAULT = re.compile(r" *- (?:override )?(?:(/?[\w/]+)(?:@([\w.]+))?: *)?([\w./-]+)")

Keys = dict[str, tuple[str, ...]]  # whole key → the values it may have; none where they are not to be listed


@dataclass(frozen=True)
class Pick:
    """A line of a `defaults:` list: a member of a group, as it is written ("" for a file of its own group), and for where."""

    group: str
    where: str
    name: str

    def place(self, here: str) -> str:
        """The place of the part that it picks, in a file that is at `here` or at the top ("")."""
        return "/".join(filter(None, [here, (self.where or self.group.removeprefix("/")).replace(".", "/")]))


@dataclass(frozen=True)
class Outline:
    """What a file sets, and what its `defaults:` list picks."""

    keys: Keys
    picks: list[Pick]


def outline(path: Path, prefix: str = "") -> Outline:
    """The keys of one file, each after `prefix`."""
    keys: Keys = {}
    picks: list[Pick] = []
    above: list[tuple[int, str]] = []  # the sections that a line is in: their indentation and name
    for line in path.read_text(encoding="utf-8").splitlines():
        picked = _DEFAULT.fullmatch(line)
        if picked and above and above[0][1] == "defaults":
            if picked[3] != "_self_":
                picks.append(Pick(picked[1] or "", picked[2] or "", picked[3]))
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        indent, name, value, comment = len(found[1]), found[2], found[3] or "", found[4] or ""
        while above and above[-1][0] >= indent:
            above.pop()
        if not value:
            above.append((indent, name))
        elif not above or above[0][1] != "hydra":
            keys[prefix + ".".join([*(section for _, section in above), name])] = _choices(value, comment)
    return Outline(keys, picks)


def run_keys(typed: Mapping[str, Sequence[str]], config_dirs: Sequence[Path] = ()) -> Keys:
    """Every key that a run has, and the place of every part, given the choices already typed: `{"model": ["vae"]}`; several
    where a sweep names several.
    """
    base = outline(CONF / "config.yaml")
    chosen = {pick.place(""): [pick.name] for pick in base.picks}
    chosen |= {"experiment": [*typed.get("experiment", chosen["experiment"])]}
    for experiment in chosen["experiment"]:
        chosen |= {place: [name] for place, name in _experiment_picks(experiment, config_dirs).items()}
    chosen |= {place: [*names] for place, names in typed.items()}
    keys = dict(base.keys)
    for group in ("dataset", "model", "trainer"):
        for name in chosen[group]:
            keys |= _member_keys(group, group, name, chosen, config_dirs)
    return keys


def _member_keys(place: str, group: str, name: str, chosen: Mapping[str, Sequence[str]], config_dirs: Sequence[Path]) -> Keys:
    """The keys of the member `name` of conf/`group` at `place`; of its parts the places, with what each may be, and the keys."""
    path = find(group, name, config_dirs)
    if path is None:
        return {}
    section = place.replace("/", ".")
    own, keys = outline(path, f"{section}."), Keys()
    for pick in own.picks:
        part, kind = pick.place(place), pick.group.removeprefix("/") if pick.group.startswith("/") else f"{group}/{pick.group}"
        keys[part] = tuple(options(kind, config_dirs))
        for choice in chosen.get(part, [pick.name]):
            keys |= _member_keys(part, kind, choice, chosen, config_dirs)
    of_parts = tuple(f"{pick.place(place).replace('/', '.')}." for pick in own.picks)
    unsaid = f"{section}.name" if "/" in place else ""  # a part is named by its place
    return {key: values for key, values in own.keys.items() if not key.startswith(of_parts) and key != unsaid} | keys


def _experiment_picks(name: str, config_dirs: Sequence[Path]) -> dict[str, str]:
    """What an experiment chooses at each place, itself or by the experiment it builds on."""
    path = find("experiment", name, config_dirs)
    if path is None:
        return {}
    picks = {pick.place(""): pick.name for pick in outline(path).picks}
    parent = picks.pop("", name)
    return picks if parent == name else _experiment_picks(parent, config_dirs) | picks


def _choices(value: str, comment: str) -> tuple[str, ...]:
    listed = _CHOICES.match(comment)
    if listed:
        return tuple(listed[1].split(" | "))
    return ("true", "false") if value in ("true", "false") else ()
