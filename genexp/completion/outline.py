"""The keys of a YAML file with their choices, read by the line: what a comment `# a | b` says after a value.

A test holds these comments against the schemas, so they can be believed.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genexp.catalogue import CONF, find

_LINE = re.compile(r"( *)([A-Za-z_]\w*):(?: +([^#]*?))? *(?:#(.*))?")
_CHOICES = re.compile(r" *([\w.-]+(?: \| [\w.-]+)+)")
_DEFAULT = re.compile(r" *- (?:override )?/?(?:(\w+): *)?([\w./-]+)")

Keys = dict[str, tuple[str, ...]]  # whole key → the values it may have; none where they are not to be listed


@dataclass(frozen=True)
class Outline:
    """What a file sets, and what its `defaults:` list picks: group → name, with `""` for files of its own group."""

    keys: Keys
    picks: dict[str, str]


def outline(path: Path, prefix: str = "") -> Outline:
    """The keys of one file, each after `prefix`."""
    keys: Keys = {}
    picks: dict[str, str] = {}
    above: list[tuple[int, str]] = []  # the sections that a line is in: their indentation and name
    for line in path.read_text(encoding="utf-8").splitlines():
        picked = _DEFAULT.fullmatch(line)
        if picked and above and above[0][1] == "defaults":
            if picked[2] != "_self_":
                picks[picked[1] or ""] = picked[2]
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
    """Every key that a run has, given the groups already typed: `{"model": ["vae"]}`; several where a sweep names several."""
    base = outline(CONF / "config.yaml")
    picks = {group: [name] for group, name in base.picks.items() if group} | {
        "experiment": [*typed.get("experiment", [base.picks["experiment"]])]
    }
    for experiment in picks["experiment"]:
        picks |= {group: [name] for group, name in _experiment_picks(experiment, config_dirs).items()}
    picks |= {group: [*names] for group, names in typed.items()}
    keys = dict(base.keys)
    for group in ("dataset", "model", "trainer"):
        for name in picks[group]:
            path = find(group, name, config_dirs)
            keys |= outline(path, f"{group}.").keys if path else {}
    return keys


def _experiment_picks(name: str, config_dirs: Sequence[Path]) -> dict[str, str]:
    """What an experiment chooses of each group, itself or by the experiment it builds on."""
    path = find("experiment", name, config_dirs)
    if path is None:
        return {}
    picks = outline(path).picks
    parent = picks.pop("", name)
    return picks if parent == name else _experiment_picks(parent, config_dirs) | picks


def _choices(value: str, comment: str) -> tuple[str, ...]:
    if value in ("true", "false"):
        return ("true", "false")
    listed = _CHOICES.match(comment)
    return tuple(listed[1].split(" | ")) if listed else ()
