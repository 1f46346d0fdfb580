"""`genexp resume`: go on where a run stopped."""

import argparse

from genexp.commands import add_plugin, add_run

HELP = "go on exactly where a run stopped"
DESCRIPTION = "Go on exactly where RUN stopped, in the same folder; key=value may change the trainer's budget."
OVERRIDES = True
SECTIONS = ("trainer", "evaluation", "figures", "tracking")
DISTRIBUTED = True


def configure(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.folder.finding import find_run
    from genexp.machine.distributed import on_main, processes
    from genexp.runs.experiment import resume

    with processes():
        resume(on_main(lambda: find_run(options.run)), overrides, options.plugin)
    return 0
