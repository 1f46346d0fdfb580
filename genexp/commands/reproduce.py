"""`genexp reproduce`: what the lectures and the article claim, run again, and one page of all."""

import argparse
from pathlib import Path

from genexp.commands import positive
from genexp.paths import expanded

HELP = "every claim of the lectures and of the article, run again: one report"
DESCRIPTION = """\
Run what the lectures claim, chapter by chapter, and the article's case studies in its setting and in ours, and write one page:
figures and numbers beside what is claimed and beside the floors. Data that are not on disk are replaced by embedded ones, and the
page says which.

  genexp reproduce --quick                       forty of them in a quarter of an hour on two cores, with small, labelled budgets
  genexp reproduce --plan                        what would be done, and about how long it takes
  genexp reproduce                               in full, the cheapest first
  genexp reproduce --into outputs/reproduce/ID   go on with one that was stopped; what is finished stays
  genexp reproduce --chapter flows,article --quick
  genexp reproduce --only qr_flowmatch,mnist_vae
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="small budgets, labelled as such")
    parser.add_argument("--chapter", metavar="NAME,…", help="only these chapters: sampling, flows, …, article")
    parser.add_argument("--only", metavar="CASE,…", help="only these cases")
    parser.add_argument(
        "--into", type=expanded, metavar="DIR", help="go on in this folder (default: a new one, outputs/reproduce/ID)"
    )
    parser.add_argument("--out", type=expanded, metavar="F", help="the page (default: report.html in that folder)")
    parser.add_argument(
        "--jobs", type=positive(int), metavar="N", help="so many at once (default: 1; of --quick 2, on two cores)"
    )
    parser.add_argument("--plan", action="store_true", help="say what would be done, and stop")


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    import torch

    from genexp.errors import Interrupted, UserError
    from genexp.folder.run_folder import new_id
    from genexp.reproduce.plan import in_words, plan, read_mode

    folder: Path = options.into or Path("outputs/reproduce") / new_id()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--into {folder} is not a folder")
    mode = read_mode(folder)
    if mode is None and folder.is_dir() and any(item.name != ".lock" for item in folder.iterdir()):
        said = f"--into {folder}: it is not empty, and no reproduction was begun in it (it has no reproduce.json)"
        raise UserError(said, hint="an empty folder or a new one; or one that genexp reproduce has made, to go on there")
    if mode is False and options.quick:
        raise UserError(f"{folder} was begun without --quick", hint="leave --quick out, or begin anew without --into")
    quick = options.quick if mode is None else mode
    only = [name for name in (options.only or "").split(",") if name]
    chapters = [name for name in (options.chapter or "").split(",") if name]
    planned = plan(folder, quick, only, chapters)
    at_once = options.jobs or (min(2, torch.get_num_threads()) if quick else 1)
    what = "quick: small budgets, fewer samples" if quick else "in full"
    print(f"{what} → {folder}\n{in_words(planned, at_once)}", flush=True)
    if options.plan:
        return 0
    from genexp.report.write import check_target, write_page
    from genexp.reproduce.carry_out import alone_in, carry_out
    from genexp.reproduce.page import page

    out: Path = options.out or folder / "report.html"
    with alone_in(folder, quick):
        check_target(out)
        try:
            failed = carry_out(planned, at_once)
        except (Interrupted, KeyboardInterrupt):
            print(f"stopped; go on with: {_again(folder, options)}")
            raise
        print("\nwriting the page", flush=True)
        write_page(out, page(plan(folder, quick), failed, quick))
    print(f"{out}   {out.stat().st_size / 1e6:.1f} MB; {len(planned) - len(failed)} of {len(planned)} cases finished")
    return 2 if failed else 0


def _again(folder: Path, options: argparse.Namespace) -> str:
    """The line that goes on with the same cases. (The folder says by itself whether it is a quick one.)"""
    from genexp.printable import command_line

    words = {"--into": folder, "--chapter": options.chapter, "--only": options.only, "--jobs": options.jobs, "--out": options.out}
    typed = [word for name, value in words.items() if value for word in (name, str(value))]
    return command_line(["genexp", "reproduce", *typed])
