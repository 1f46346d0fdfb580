"""`genexp compare`: runs beside each other."""

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genexp.paths import expanded

if TYPE_CHECKING:
    from genexp.compare.comparison import Comparison

HELP = "one table: what differs between the runs, and their metrics"
DESCRIPTION = """\
One table of runs: what differs between their configurations, then their metrics, beside their floors.

  genexp compare                                    every run below outputs/
  genexp compare outputs/qr_flowmatch               all runs of a folder: an experiment's, a sweep's
  genexp compare 'outputs/*/2026-11-*' --sort leak  a glob; lowest leak first
  genexp compare RUN RUN --columns 'leak,nll,*lr' --filter 'leak<0.02'
  genexp compare outputs/sweeps/ID --csv --out table.csv
  genexp compare RUN RUN --constraints              resemblance, coverage, likelihood, novelty, stochasticity
  genexp compare RUN RUN --results                  a table for documentation: each number with its command, seeds and machine

RUN is a path, a run's id, a folder of runs, a glob in quotes, or latest. Runs of the same data that differ in the seed alone
are one row: mean ± sample standard deviation of n runs. A column is named by its whole key or by its last part: trainer.lr, lr.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", default=["outputs"], metavar="RUN", help="runs, folders, globs (default: outputs)")
    parser.add_argument("--sort", metavar="COLUMN", help="by this column, lowest first")
    parser.add_argument("--reverse", action="store_true", help="highest first")
    parser.add_argument("--filter", action="append", default=[], metavar="TEST", help="'leak<0.02', 'status=finished'; several")
    parser.add_argument("--columns", metavar="A,B,…", help="only these columns; 'floor/*' and '*lr' mean several")
    parser.add_argument("--drop", metavar="A,B,…", help="all but these columns")
    parser.add_argument("--all", action="store_true", help="also what is the same for all runs")
    parser.add_argument("--each", action="store_true", help="every run by itself, no mean over seeds")
    parser.add_argument("--constraints", action="store_true", help="five columns, each with the number that stands for it")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="comma-separated values, in full precision")
    form.add_argument("--markdown", action="store_true", help="a table for GitHub")
    form.add_argument("--results", action="store_true", help="likewise, for documentation: commands, training, numbers, machine")
    parser.add_argument("--out", type=expanded, metavar="FILE", help="write it there; .csv and .md say which form")


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.compare.comparison import compare
    from genexp.compare.results import results
    from genexp.compare.selection import choose_columns, choose_rows
    from genexp.compare.showing import as_csv, as_markdown, as_text, csv_columns
    from genexp.errors import UserError
    from genexp.folder.finding import find_runs
    from genexp.folder.records import read_record
    from genexp.paths import check_new

    if options.reverse and options.sort is None:
        raise UserError("--reverse needs --sort COLUMN")
    if options.out is not None:
        _check_ending(options)
        check_new(options.out)
    everything = compare([read_record(run) for run in find_runs(options.runs)], options.each)
    chosen = choose_rows(everything, options.filter, options.sort, options.reverse)
    if not chosen.rows:
        raise UserError(f"no run passes --filter {' --filter '.join(options.filter)}")
    ending = options.out.suffix.lower() if options.out else None
    as_values = options.csv or ending == ".csv"
    columns = csv_columns(chosen, options.all) if as_values else chosen.columns(options.all)
    if options.columns is not None:
        columns = ["run", *(key for key in choose_columns(options.columns, everything.keys) if key != "run")]
    dropped = choose_columns(options.drop, everything.keys) if options.drop is not None else []
    columns = [key for key in columns if key not in dropped]
    if options.constraints:
        _write(_by_constraints(options, chosen, ending), options.out)
        return 0
    if as_values:
        result = as_csv(chosen, columns)
    elif options.results:
        metrics = choose_columns(options.columns, everything.keys) if options.columns is not None else None
        result = results(chosen, metrics, dropped)
    elif options.markdown or ending == ".md":
        result = as_markdown(chosen, columns)
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not options.out else None
        result = as_text(chosen, columns, width, exact=options.columns is not None)
    _write(result, options.out)
    return 0


def _check_ending(options: argparse.Namespace) -> None:
    """UserError where the file's ending says none of the two forms, or another than the one that is asked for."""
    from genexp.errors import UserError

    wanted = ".csv" if options.csv else ".md" if options.markdown or options.results else None
    ending = options.out.suffix.lower()
    if ending not in (".csv", ".md"):
        raise UserError(f"--out {options.out}: a file of which kind?", hint="it ends in .csv or .md")
    if wanted not in (None, ending):
        form = next(name for name in ("csv", "markdown", "results") if getattr(options, name))
        raise UserError(f"--{form} --out {options.out}: ends in {ending}", hint=f"--out {options.out.with_suffix(wanted)}")


def _by_constraints(options: argparse.Namespace, chosen: "Comparison", ending: str | None) -> str:
    """The five columns, in the form that is asked for."""
    from genexp.compare.constraints import by_constraints
    from genexp.compare.table import comma_separated, markdown, text

    table, reasons = by_constraints(chosen)
    if options.csv or ending == ".csv":
        return comma_separated(table.header, table.rows)
    if options.markdown or ending == ".md":
        return "\n".join([markdown(table), *(f"\n{reason}" for reason in reasons)]) + "\n"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not options.out else None
    return "\n".join([text(table, width)[0], *reasons]) + "\n"


def _write(result: str, path: Path | None) -> None:
    from genexp.files import Replacing

    if path is None:
        sys.stdout.write(result)
        return
    with Replacing(path) as (temporary, _):
        temporary.write_bytes(result.encode())
    print(f"written to {path}")
