"""The program: parse, call a command, print what went wrong. Nothing heavy is imported before a command needs it."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from genexp.commands import NAMES, command
from genexp.errors import Interrupted, UserError, circumstance, unknown
from genexp.machine.launch import launch, leave_the_word_to_the_first
from genexp.printable import is_hostile, printable, shortened, speak_safely


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 defect, 2 the user's mistake, 130/143 stopped)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["complete"]:  # asked by a shell's script, not by a user
        from genexp.completion.words import answer

        return answer(arguments[1:])
    show_traceback = "--traceback" in arguments
    speak_safely()
    try:
        return _call([word for word in arguments if word != "--traceback"])
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UserError, OSError, MemoryError, RuntimeError) as failure:
        mistake = failure if isinstance(failure, UserError) else circumstance(failure)
        if mistake is None:
            raise
        leave_the_word_to_the_first()
        if show_traceback:
            traceback.print_exc()
        for kind, said in (("error", mistake.message), ("hint", mistake.hint)):
            if said:
                print(f"{kind}: {printable(shortened(said))}", file=sys.stderr)
        return 2


def make_parser() -> "Parser":
    parser = Parser(
        prog="genexp",
        description="Experiments with likelihood-based generative models: train, evaluate, draw.",
        epilog="exit codes: 0 done, 1 a defect, 2 your mistake (one line says which), 130/143 stopped and saved",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name in NAMES:
        module = command(name)
        text = getattr(module, "DESCRIPTION", module.HELP)
        child = commands.add_parser(
            name, help=module.HELP, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.configure(child)
        child.add_argument("--traceback", action="store_true", help="with an error, show where it came from")
        child.set_defaults(options=child.options())
    return parser


def _call(arguments: Sequence[str]) -> int:
    """Do what was asked; a signal that stopped it becomes its exit code."""
    for word in arguments:
        if is_hostile(word):
            raise UserError(f"'{word}' holds what is not text")
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"genexp {version('genexp')}")
        return 0
    module = command(options.command) if options.command else None
    takes_overrides = getattr(module, "OVERRIDES", False)
    strange = [word for word in rest if word.startswith("-") or not takes_overrides]
    if strange:
        raise unknown("argument", strange[0], options.options if module else parser.options())
    if module is None:
        parser.print_help()
        return 0
    if launch().size > 1:
        if not getattr(module, "DISTRIBUTED", False):
            raise UserError(f"torchrun: 'genexp {options.command}' is the work of one process", hint="start it without torchrun")
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # torch advises on DistributedDataParallel once a process
    try:
        if getattr(options, "plugin", None):
            from genexp.plugins import load_plugin

            for path in options.plugin:
                load_plugin(path)
        return module.call(options, rest)
    except Interrupted as stop:
        return stop.exit_code


class Parser(argparse.ArgumentParser):
    """argparse with this program's error lines: the nearest valid name, and no usage text."""

    def options(self) -> list[str]:
        """Every option there is, as typed."""
        return [word for action in self._actions for word in action.option_strings]

    def error(self, message: str) -> NoReturn:
        raise UserError(message, hint=f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown(_name(action), str(value), map(str, action.choices))


def _name(action: argparse.Action) -> str:
    """What argparse calls an argument in its complaints."""
    name = "/".join(action.option_strings) or action.metavar or action.dest
    return str(name).lower()
