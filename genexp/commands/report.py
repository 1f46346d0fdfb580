"""`genexp report`: one self-contained HTML page."""

import argparse
from pathlib import Path

from genexp.commands import add_plugin
from genexp.paths import expanded

HELP = "one self-contained HTML page of one run, or of several side by side"
DESCRIPTION = """\
Write one HTML page that holds everything: numbers beside their floors, curves, pictures, animations, the configuration
(of several runs: what differs), and the model itself where it can be played with: the latent plane decodes under the
pointer, points flow from noise into data. It needs no network and no server, and opens on a phone.

  genexp report latest
  genexp report RUN RUN --out comparison.html
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help="runs: paths, ids, folders of runs, globs, or latest")
    parser.add_argument(
        "--out",
        type=expanded,
        default=Path("report.html"),
        metavar="F",
        help="the page (default: report.html); an earlier page of genexp's there is replaced, nothing else ever is",
    )
    parser.add_argument("--title", metavar="TEXT", help="its title (default: the experiment)")
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.folder.finding import find_runs

    paths = find_runs(options.runs)
    from genexp.report.render import report
    from genexp.report.write import check_target, write_page

    check_target(options.out)
    page = report(paths, options.title)
    write_page(options.out, page)
    print(f"{options.out}   {len(page.encode()) / 1e6:.1f} MB, {len(paths)} run{'s' if len(paths) > 1 else ''}")
    return 0
