"""`genexp data`: the files of data sets: whether they are there, getting them, checking them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from genexp.fetch import default_data_dir, how_to_fetch
from genexp.paths import expanded

if TYPE_CHECKING:
    from genexp.fetch.sets import FetchableSet

HELP = "the files of data sets: status, fetch, verify"
DESCRIPTION = """\
The data sets that are files: what is there, getting what is not, checking what is.

  genexp data status              one line for each data set
  genexp data fetch fruit         get what is missing; a download that breaks off is gone on with
  genexp data verify mnist        every file against its published sum
"""


def configure(parser: argparse.ArgumentParser) -> None:
    common = argparse.ArgumentParser(add_help=False)
    text = "where the data sets lie (default: $GENEXP_DATA, else data)"
    common.add_argument("--data-dir", type=expanded, default=default_data_dir(), metavar="DIR", help=text)
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("name", metavar="SET", help="a data set that status lists, or all")
    parser.set_defaults(act=status, data_dir=default_data_dir())
    actions = parser.add_subparsers(metavar="ACTION", parser_class=type(parser))
    for title, act, parents in (
        ("status", status, [common]),
        ("fetch", fetch, [name, common]),
        ("verify", verify, [name, common]),
    ):
        text = (act.__doc__ or "").rstrip(".")
        child = actions.add_parser(title, help=text[0].lower() + text[1:], description=act.__doc__, parents=parents)
        if act is fetch:
            text = "take it from here: a folder that holds the .gz files, or the archive of the photographs"
            child.add_argument("--mirror", metavar="URL", help=text)
        child.set_defaults(act=act, options=child.options())  # type: ignore[attr-defined]


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    options.act(options)
    return 0


def status(options: argparse.Namespace) -> None:
    """One line for each data set: whether it is there, size, place, licence, how to get it."""
    from genexp.config import catalogue
    from genexp.fetch.sets import fetchable

    rows = []
    for data in fetchable().values():
        place = options.data_dir / data.folder
        found = [(item, item.lying(options.data_dir)) for item in data.items]
        there = [options.data_dir / form.path for _, form in found if form]
        missing = [Path(item.fetched.path).relative_to(data.folder).as_posix() for item, form in found if not form]
        size = sum(path.stat().st_size for path in there) if there else data.download
        how = how_to_fetch(data.name, options.data_dir) if missing else ""
        rows.append((data.name, _how_much(missing, len(found)), f"{size / 1e6:.1f} MB", str(place), data.licence, how))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    others = {name: text for name, text in catalogue.entries("datasets").items() if name not in fetchable()}
    widths[0] = max(widths[0], *map(len, others))
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, text in others.items():
        print(f"{name:<{widths[0]}}  nothing to fetch: {text}")


def fetch(options: argparse.Namespace) -> None:
    """Get what is missing of a data set."""
    from genexp.errors import UserError
    from genexp.fetch.fetch import fetch as get

    sets = _sets(options.name)
    if options.mirror and len(sets) > 1:
        raise UserError(f"--mirror {options.mirror}: of which data set?", hint="genexp data fetch SET --mirror URL")
    try:
        for data in sets:
            get(data, options.data_dir, data.source.at(options.mirror) if options.mirror else None)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here")
        raise


def verify(options: argparse.Namespace) -> None:
    """Check every file against its published sum."""
    from genexp.errors import UserError
    from genexp.fetch.files import verify as check

    wrong = []
    for data in _sets(options.name):
        if options.name == "all" and not any(item.lying(options.data_dir) for item in data.items):
            print(f"{data.name}: not there")
            continue
        found = [finding for finding in check(data.items, options.data_dir) if finding.problem]
        count, place = len(data.items), options.data_dir / data.folder
        print(f"{data.name}: {count - len(found):,} of {count:,} files in {place} are as published", flush=True)
        for finding in found[:20]:
            print(f"  {finding.path} {finding.problem}")
        if len(found) > 20:
            print(f"  … and {len(found) - 20:,} more")
        wrong += [(data.name, finding) for finding in found]
    if wrong:
        name, first = wrong[0]
        more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
        hint = f"{how_to_fetch(name, options.data_dir)} gets what was published; a file of yours is kept as NAME.bad"
        raise UserError(f"{name}: {first.path} {first.problem}{more}", hint=hint)


def _sets(name: str) -> "list[FetchableSet]":
    from genexp.fetch.sets import fetchable, find_set

    return [*fetchable().values()] if name == "all" else [find_set(name)]


def _how_much(missing: list[str], total: int) -> str:
    if not missing:
        return "there"
    if len(missing) == total:
        return "not there"
    few = ", ".join(missing[:2]) + (", …" if len(missing) > 2 else "")
    return f"partly there: {len(missing):,} of {total:,} missing ({few})"
