"""One module per command. Each says what it takes and does it:

    HELP         one line, for `genexp --help`
    configure    adds the command's arguments to its parser
    call         does what was asked and returns the exit code

and, where it has them, DESCRIPTION (the text of `genexp COMMAND --help`), OVERRIDES = True (it takes key=value words),
SECTIONS (those of the configuration that the keys may be of; all, if there is none: only completion minds it) and
DISTRIBUTED = True (torchrun may start it, in many processes at once).
None of them imports anything heavy before it is called.
"""

import argparse
import importlib
from collections.abc import Callable
from typing import Protocol, cast

from genexp.paths import expanded

NAMES = (
    "run",
    "resume",
    "sample",
    "evaluate",
    "compare",
    "report",
    "reproduce",
    "landscape",
    "list",
    "data",
    "completion",
    "bench",
)


class Command(Protocol):
    """What a module of this package offers."""

    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def call(self, options: argparse.Namespace, overrides: list[str]) -> int: ...


def command(name: str) -> Command:
    """The module of the command called `name`."""
    return cast(Command, importlib.import_module(f"genexp.commands.{name}"))


def add_plugin(parser: argparse.ArgumentParser) -> None:
    text = "a Python file that registers your data sets or models"
    parser.add_argument("--plugin", action="append", default=[], type=expanded, metavar="FILE", help=text)


def add_config_dir(parser: argparse.ArgumentParser) -> None:
    text = "your own YAML folder, beside genexp's conf/"
    parser.add_argument("--config-dir", action="append", default=[], type=expanded, metavar="DIR", help=text)


def positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    """A parser of positive numbers of that kind."""

    def number(text: str) -> float:
        try:
            found = kind(text)
        except ValueError:
            found = 0
        if not 0 < found < 1e9:
            raise argparse.ArgumentTypeError(f"{text} is not a positive number")
        return found

    return number


def add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="path of a run folder, a run's id, or latest")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    text = "best: what the run itself was measured on (default); last: where training stood"
    parser.add_argument("--checkpoint", choices=["best", "last"], default="best", help=text)


def add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], help="where to compute; default: as in the run")
