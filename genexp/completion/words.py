"""Candidates for the last word of a command line. Each is the whole word; a space at its end says that it is complete."""

import argparse
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from genexp.commands import Command, command
from genexp.commands.parser import Parser, make_parser
from genexp.completion.outline import run_keys
from genexp.config import catalogue
from genexp.config.catalogue import COMPONENTS, GROUPS
from genexp.paths import expanded

PARTS = tuple(f"{name}/" for name in COMPONENTS)
PLAIN = re.compile(r"[\w.+,@%/][\w.+=,@%^:/-]*")  # names that a shell takes as they are; the shells insert them unquoted
SWEEP = {  # the keys of a sweep itself; a test holds them against genexp.sweep
    "hydra/launcher": ("basic", "joblib", "submitit_local", "submitit_slurm"),
    "sweep.dir": (),
    "sweep.skip_finished": ("true", "false"),
    "sweep.metric": (),
}


@dataclass
class Place:
    """Where in the grammar of commands a line has come to.

    `position` counts the positional arguments since the last command; `pending` is an option that waits for its value.
    """

    parser: Parser
    command: Command | None = None
    position: int = 0
    pending: argparse.Action | None = None

    @property
    def argument(self) -> argparse.Action | None:
        """The positional argument that comes next."""
        arguments = [action for action in self.parser._actions if not action.option_strings]
        if self.position < len(arguments):
            return arguments[self.position]
        return arguments[-1] if arguments and arguments[-1].nargs in ("*", "+") else None


def candidates(line: str) -> list[str]:
    """What the last word of `line` (the text left of the cursor, the program's name first) could become."""
    *before, current = split(line)
    place = _walk(make_parser(), before[1:])
    if place.pending is None and current.startswith("-"):
        return _begin(current, _complete(place.parser.options()))
    action = place.pending or place.argument
    if action is not None:
        return _begin(current, _complete(_values(action)))
    if getattr(place.command, "OVERRIDES", False):
        return overrides(before, current, getattr(place.command, "SECTIONS", None))
    return []


def split(line: str) -> list[str]:
    """The words of an unfinished line; the last one is what is being typed, "" after a space. Quotes are taken off."""
    words, word, quote, escaped, begun = list[str](), "", "", False, False
    for letter in line:
        if escaped or (quote and letter != quote and letter != "\\"):
            word, escaped, begun = word + letter, False, True
        elif letter == "\\" and quote != "'":
            escaped = True
        elif letter in "\"'":
            quote, begun = "" if quote else letter, True
        elif letter in " \t\n":
            words, word, begun = ([*words, word] if begun else words), "", False
        else:
            word, begun = word + letter, True
    return [*words, word]


def overrides(before: Sequence[str], current: str, sections: Sequence[str] | None = None) -> list[str]:
    """Keys of the configuration (only of some `sections`) and, after `=`, values; in a sweep (`-m`) also after each comma."""
    several = bool({"-m", "--multirun"} & {*before})
    config_dirs = [expanded(folder) for flag, folder in pairwise(before) if flag == "--config-dir"]
    typed = dict(word.split("=", 1) for word in before if "=" in word and not word.startswith("-"))
    groups = {key: value.split(",") for key, value in typed.items() if key in GROUPS or key.startswith(PARTS)}
    keys = run_keys(groups, config_dirs) | (SWEEP if several else {})
    key, equals, value = current.partition("=")
    if not equals:
        if sections is None:
            return _next_step(current, [f"{name}=" for name in (*GROUPS, *keys)])
        return _next_step(current, [f"{name}=" for name in keys if name.split(".")[0] in sections])
    allowed = catalogue.options(key, config_dirs) if key in GROUPS else keys.get(key, ())
    first, comma, _ = value.rpartition(",") if several else ("", "", "")
    taken = first.split(",")
    end = "" if several else " "
    return _begin(
        current, [f"{key}={first}{comma}{name}{end}" for name in allowed if name not in taken and PLAIN.fullmatch(name)]
    )


def _walk(parser: Parser, before: Sequence[str]) -> Place:
    """The place that the words before the current one lead to."""
    place = Place(parser)
    for word in before:
        if place.pending is not None:
            place.pending = None
        elif word.startswith("-"):
            option = place.parser._option_string_actions.get(word)
            place.pending = option if option is not None and option.nargs != 0 else None
        elif (branch := _branches(place.parser)) and word in branch:
            place = Place(branch[word], place.command or command(word))
        elif not ("=" in word and getattr(place.command, "OVERRIDES", False)):
            place.position += 1
    return place


def _branches(parser: Parser) -> dict[str, Parser]:
    """Sub-commands by name."""
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {**found[0]} if found else {}


def _values(action: argparse.Action) -> Iterable[str]:
    """What an argument may be: its choices, or what its metavar stands for; nothing where files will do."""
    if action.choices is not None:
        return [str(choice) for choice in action.choices]
    return SOURCES.get(str(action.metavar), list)()


def _runs() -> list[str]:
    from genexp.folder.finding import OUTPUTS, runs_below

    ids = [run.name for run in runs_below(OUTPUTS)]
    return ["latest", *(name for name in ids if ids.count(name) == 1 and PLAIN.fullmatch(name))] if ids else []


def _sets() -> list[str]:
    from genexp.fetch.sets import fetchable

    return [*fetchable(), "all"]


SOURCES: dict[str, Callable[[], list[str]]] = {"RUN": _runs, "SET": _sets, "DATASET": lambda: catalogue.options("dataset")}


def _next_step(current: str, keys: Iterable[str]) -> list[str]:
    """Keys up to the next dot after what is typed: `trainer.` before `trainer.lr=`. A prefix with one section goes into it."""
    depth = current.count(".")
    steps: dict[str, None] = {}
    for key in keys:
        if key.startswith(current):
            parts = key.split(".")
            steps[".".join(parts[: depth + 1]) + ("." if len(parts) > depth + 1 else "")] = None
    if len(steps) == 1 and (only := next(iter(steps))).endswith("."):
        return _next_step(only, keys)
    return [*steps]


def _complete(words: Iterable[str]) -> list[str]:
    return [f"{word} " for word in words]


def _begin(current: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(current)]


def trimmed(words: Iterable[str], line: str, breaks: str) -> list[str]:
    """The candidates as readline wants them: without what stands before the last of `breaks` in the word being typed."""
    current = split(line)[-1]
    cut = max((current.rfind(letter) for letter in breaks if letter in "=:"), default=-1) + 1
    return [word[cut:] for word in words]


def answer(arguments: Sequence[str]) -> int:
    """`genexp complete LINE [BREAKS]`: print the candidates, one a line; what a shell's script calls."""
    line, breaks = [*arguments, "", ""][:2]
    found = trimmed(candidates(line), line, breaks)
    if found:
        os.write(1, ("\n".join(found) + "\n").encode())
    return 0
