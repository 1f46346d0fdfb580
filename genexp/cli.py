"""The commands: parse, call, print. Nothing heavy is imported before a command needs it."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from genexp import catalogue
from genexp.errors import UserError, unknown

RUN_HELP = """\
Train, evaluate and draw: one run folder under outputs/.

  genexp run                                        experiment=qr_flowmatch, a QR code learnt as a density
  genexp run experiment=qr_flowmatch dataset.text='hello world'
  genexp run experiment=qr_flowmatch dataset.image=my_code.png trainer.max_seconds=60
  genexp run -m experiment=qr_flowmatch,qr_flowmatch_plain seed=0,1,2

Every key of the configuration can be set as key=value; --cfg prints them all. `genexp list` names the experiments.
"""

RESUME_HELP = "Go on exactly where RUN stopped, in the same folder; key=value may change the trainer's budget."

COMMANDS = ["run", "resume", "list"]
OPTIONS = ["-m", "--multirun", "--cfg", "--config-dir", "--plugin", "--traceback", "--help"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 defect, 2 the user's mistake, 130/143 stopped)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    show_traceback = "--traceback" in arguments
    parser = make_parser()
    options, rest = parser.parse_known_args([word for word in arguments if word != "--traceback"])
    try:
        return _call(options, rest, parser)
    except UserError as mistake:
        if show_traceback:
            traceback.print_exc()
        print(f"error: {mistake.message}", file=sys.stderr)
        if mistake.hint:
            print(f"hint: {mistake.hint}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="genexp",
        description="Experiments with likelihood-based generative models: train, evaluate, draw.",
        epilog="exit codes: 0 done, 1 a defect, 2 your mistake (one line says which), 130/143 stopped and saved",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    run = commands.add_parser("run", help="train, evaluate, draw: one run folder", description=RUN_HELP)
    run.formatter_class = argparse.RawDescriptionHelpFormatter
    run.add_argument("-m", "--multirun", action="store_true", help="a sweep: key=a,b,c runs each; one folder per job")
    run.add_argument("--cfg", action="store_true", help="print the whole configuration and stop")
    resume = commands.add_parser("resume", help="go on exactly where a run stopped", description=RESUME_HELP)
    resume.add_argument("run", metavar="RUN", help="path of a run folder, a run's id, or latest")
    listing = commands.add_parser("list", help="what there is, one line each")
    listing.add_argument("kind", nargs="?", choices=[*catalogue.KINDS], help="only these")
    own, plugin = "your own YAML folder, beside genexp's conf/", "a Python file that registers your data sets or models"
    for command in (run, listing):
        command.add_argument("--config-dir", action="append", default=[], type=Path, metavar="DIR", help=own)
    for command in (run, resume):
        command.add_argument("--plugin", action="append", default=[], type=Path, metavar="FILE", help=plugin)
    for command in (run, resume, listing):
        command.add_argument("--traceback", action="store_true", help="with an error, show where it came from")
    return parser


def _call(options: argparse.Namespace, rest: list[str], parser: argparse.ArgumentParser) -> int:
    """Do what was asked; each command imports what it needs."""
    if options.version:
        from importlib.metadata import version

        print(f"genexp {version('genexp')}")
        return 0
    takes_overrides = options.command in ("run", "resume")
    strange = [word for word in rest if word.startswith("-") or not takes_overrides]
    if strange:
        raise unknown("argument", strange[0], OPTIONS)
    if options.command is None:
        parser.print_help()
        return 0
    if options.command == "list":
        _list(options.kind, options.config_dir)
        return 0

    from genexp.interrupts import Interrupted
    from genexp.plugins import load_plugin

    for path in options.plugin:
        load_plugin(path)
    try:
        return _run(options, rest) if options.command == "run" else _resume(options, rest)
    except Interrupted as stop:
        return stop.exit_code


def _run(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.config import compose

    if options.multirun and not options.cfg:
        from genexp.sweep import sweep

        return sweep(overrides, options.config_dir, options.plugin)
    if options.cfg:
        import yaml

        from genexp.sweep import check_jobs

        jobs = check_jobs(overrides, options.config_dir) if options.multirun else [compose(overrides, options.config_dir)]
        print(yaml.safe_dump_all([job.settings.model_dump() for job in jobs], sort_keys=False, allow_unicode=True), end="")
        return 0
    composed = compose(overrides, options.config_dir)
    from genexp.experiment import run

    run(composed, plugins=options.plugin)
    return 0


def _resume(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.experiment import resume
    from genexp.runs import find_run

    resume(find_run(options.run), overrides, options.plugin)
    return 0


def _list(kind: str | None, config_dirs: Sequence[Path]) -> None:
    for name in [kind] if kind else catalogue.KINDS:
        if not kind:
            print(f"{name}:")
        found = catalogue.entries(name, config_dirs)
        width = max(map(len, found), default=0)
        for entry, description in found.items():
            print(f"{'' if kind else '  '}{entry:<{width}}  {description}")


class _Parser(argparse.ArgumentParser):
    """argparse with this program's error lines: the nearest valid name, and no usage text."""

    def error(self, message: str) -> None:  # type: ignore[override]
        if "invalid choice" in message:
            word = message.split("invalid choice: ")[1].split("'")[1]
            action = message.split(":")[0].removeprefix("argument ").lower()
            allowed = COMMANDS if action == "command" else [*catalogue.KINDS]
            mistake = unknown("command" if action == "command" else action, word, allowed)
        else:
            mistake = UserError(message, hint=f"{self.prog} --help")
        print(f"error: {mistake.message}", file=sys.stderr)
        print(f"hint: {mistake.hint}", file=sys.stderr)
        sys.exit(2)
