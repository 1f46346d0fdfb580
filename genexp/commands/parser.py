"""The grammar of the program: its commands, and what each of them takes."""

import argparse
from typing import Any, NoReturn

from genexp.commands import NAMES, command
from genexp.errors import UserError, unknown


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
        child.takes_keys = getattr(module, "OVERRIDES", False)
        child.add_argument("--traceback", action="store_true", help="with an error, show where it came from")
        child.set_defaults(options=child.options())
    return parser


class Parser(argparse.ArgumentParser):
    """argparse with this program's error lines: the nearest valid name, and no usage text. The usage of a command that
    `takes_keys` ends with them.
    """

    takes_keys = False

    def format_help(self) -> str:
        usage, gap, rest = super().format_help().partition("\n\n")
        keys = " [key=value …]" if self.takes_keys else ""
        return f"{usage}{keys}{gap}{rest}"

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
