"""`genexp completion`: what a shell needs to complete genexp's words."""

import argparse
from pathlib import Path

SHELLS = ("bash", "zsh")

HELP = "completion of commands, runs, keys and values by Tab"
DESCRIPTION = """\
Print a script for your shell. Tab then completes commands, options, runs, and after `genexp run` experiments, keys and values.

  eval "$(genexp completion bash)"        in ~/.bashrc
  eval "$(genexp completion zsh)"         in ~/.zshrc, after compinit
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash or zsh")


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    folder = Path(__file__).resolve().parent.parent / "completion"
    print((folder / f"genexp.{options.shell}").read_text(encoding="utf-8"), end="")
    return 0
