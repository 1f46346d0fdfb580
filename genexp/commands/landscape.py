"""`genexp landscape`: every family of models beside the others, measured."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from genexp.commands import positive
from genexp.paths import expanded

HELP = "every family of models beside the others, measured: one page"
DESCRIPTION = """\
One page of many runs: density, sampling, training and latents of each family at a glance; held-out likelihood against CPU seconds
of training, where a point is a run to click on; every model on every toy. All of it is read from run folders.

  genexp landscape outputs/plane outputs/digits       of any runs: folders, ids, globs
  genexp landscape --run                              make the runs first, every model on two moons and digits, 10 s each, in
                                                      outputs/landscape; stopped, the same line goes on
  genexp landscape --run --data toys --seconds 4      every known density in the plane: the gallery
  genexp landscape --run --data mnist --only mnist_maf,binary_mnist_vae --seconds 60,240 evaluation.importance_samples=100
  genexp landscape --run --plan                       what would be done, and about how long it takes
"""
FOLDER = Path("outputs/landscape")
SECONDS = 10.0
T = TypeVar("T", int, float)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="runs, folders, globs (default: those in --into), or settings of --run"
    )
    parser.add_argument("--run", action="store_true", help="make the runs that are missing in --into first")
    parser.add_argument("--into", type=expanded, default=FOLDER, metavar="DIR", help=f"of runs and page (default: {FOLDER})")
    parser.add_argument("--data", metavar="NAME,…", help="data sets of --run, toys: all in the plane (default: two_moons,digits)")
    parser.add_argument("--seconds", type=_list_of(float), metavar="S,…", help="of training on the CPU, each a run (default: 10)")
    parser.add_argument("--seeds", type=_list_of(int), metavar="S,…", help="(default: 0)")
    parser.add_argument("--only", metavar="NAME,…", help="only these models or experiments")
    parser.add_argument("--jobs", type=positive(int), metavar="N", help="so many runs of --run at once (default: 1)")
    parser.add_argument("--plan", action="store_true", help="say what --run would do, and stop")
    parser.add_argument("--out", type=expanded, metavar="F", help="the page (default: landscape.html in --into)")


def _list_of(kind: type[T]) -> Callable[[str], tuple[T, ...]]:
    def numbers(text: str) -> tuple[T, ...]:
        try:
            found = tuple(map(kind, text.split(",")))
        except ValueError:
            found = ()
        if not found or not all(0 <= number < 1e9 for number in found) or (kind is float and 0 in found):
            raise argparse.ArgumentTypeError(f"{text} is no list of {'seconds' if kind is float else 'seeds'}")
        return found

    return numbers


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.errors import Interrupted

    settings = [word for word in options.runs if "=" in word and not Path(word).exists()]
    options.runs = [word for word in options.runs if word not in settings]
    _refuse_what_would_be_ignored(options, settings)
    failed: dict[str, str] = {}
    if options.run:
        from genexp.landscape.carry_out import alone_in, carry_out
        from genexp.landscape.plan import DATA, in_words, plan

        print("looking which models can be trained on which data", flush=True)
        data, only = (tuple(filter(None, (text or "").split(","))) for text in (options.data, options.only))
        at_once = options.jobs or 1
        wanted = plan(options.into, data or DATA, options.seconds or (SECONDS,), options.seeds or (0,), only, settings)
        print(in_words(wanted, at_once), flush=True)
        if options.plan:
            return 0
        with alone_in(options.into):
            try:
                failed = carry_out(wanted, at_once)
            except (Interrupted, KeyboardInterrupt):
                print("stopped; the same line goes on")
                raise
    return max(_show(options), 2 if failed else 0)


def _show(options: argparse.Namespace) -> int:
    """Write the page and the pictures beside it."""
    from genexp.errors import UserError
    from genexp.folder.finding import find_runs
    from genexp.landscape.entries import read_entries
    from genexp.landscape.page import KIND, gather, write
    from genexp.report.write import check_target

    out: Path = options.out or options.into / "landscape.html"
    if options.out or out.exists():
        check_target(out, KIND)
    names = [*options.runs, *([str(options.into)] if options.run or not options.runs else [])]
    shown = gather(read_entries(find_runs(names)))
    if not shown.fields:
        raise UserError("no two finished runs there have likelihoods of the same data", hint="genexp landscape --run")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = write(shown, out)
    print(f"{out}   {out.stat().st_size / 1e6:.1f} MB, {len(shown.entries)} runs; {', '.join(each.name for each in beside)}")
    return 0


def _refuse_what_would_be_ignored(options: argparse.Namespace, settings: list[str]) -> None:
    from genexp.errors import UserError

    if not options.run:
        if settings:
            raise UserError(f"{settings[0]} says nothing without --run")
        for word in ("data", "seconds", "seeds", "only", "jobs", "plan"):
            if getattr(options, word):
                raise UserError(f"--{word} says nothing without --run")
