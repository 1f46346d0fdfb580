"""`genexp list`: what there is, one line each."""

import argparse

from genexp import catalogue
from genexp.commands import add_config_dir

HELP = "what there is, one line each"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[*catalogue.KINDS], help="only these")
    add_config_dir(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    for name in [options.kind] if options.kind else catalogue.KINDS:
        if not options.kind:
            print(f"{name}:")
        found = catalogue.entries(name, options.config_dir)
        width = max(map(len, found), default=0)
        for entry, description in found.items():
            print(f"{'' if options.kind else '  '}{entry:<{width}}  {description}")
    return 0
