"""`genexp list`: what there is, one line each."""

import argparse

from genexp.commands import add_config_dir, add_plugin
from genexp.config import catalogue
from genexp.errors import UserError

HELP = "what there is, one line each"
DESCRIPTION = """\
What there is, one line each.

  genexp list models
  genexp list models --data mnist    which of them can be trained on this data set, and why others cannot
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", choices=[*catalogue.KINDS], help="only these")
    parser.add_argument("--data", metavar="DATASET", help="of the models, which can be trained on this data set")
    add_config_dir(parser)
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.data is not None:
        if options.kind != "models":
            raise UserError("--data is asked of models", hint=f"genexp list models --data {options.data}")
        return _list_suitable(options)
    for name in [options.kind] if options.kind else catalogue.KINDS:
        if not options.kind:
            print(f"{name}:")
        found = catalogue.entries(name, options.config_dir)
        width = max(map(len, found), default=0)
        for entry, description in found.items():
            print(f"{'' if options.kind else '  '}{entry:<{width}}  {description}")
    return 0


def _list_suitable(options: argparse.Namespace) -> int:
    from genexp.suitability import suitable

    refusals, about = suitable(options.data, options.config_dir), catalogue.entries("models", options.config_dir)
    width = max(map(len, refusals), default=0)
    for name, refusal in sorted(refusals.items(), key=lambda pair: pair[1] is not None):
        print(f"{name:<{width}}  {about[name] if refusal is None else f'no: {refusal}'}")
    return 0
