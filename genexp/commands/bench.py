"""`genexp bench`: how fast this machine runs the case studies."""

import argparse

from genexp.commands import positive

HELP = "how fast this machine runs it, against a plain notebook loop"
CASES = (
    *("double_gaussian", "mnist_vae", "qr_flowmatch", "fruit_vae_iaf"),
    *(f"{flow}{dim}" for flow in ("maf", "spline_autoregressive", "spline_coupling") for dim in ("", "_64")),
)
DESCRIPTION = """\
How fast this machine trains a case study, in one interleaved run: a plain notebook loop with the article's settings; the same
model, batch and arithmetic on genexp's trainer; that with the trainer's fast settings (each row says which); genexp's best
settings; and other libraries (pip install 'genexp[bench]').

  genexp bench                                  the cases, and about how long each takes; nothing is started
  genexp bench mnist_vae                        the speed table
  genexp bench all --repeat 5 --json            everything, as JSON
  genexp bench mnist_vae --time-to article      train until as good as the article, or --time-to 135
  genexp bench maf --race 10 dataset=two_moons  what either side has reached after 10 s of CPU
  genexp bench qr_flowmatch --scaling           time and memory against batch, width and samples
  genexp bench toys --seconds 20 --seeds 0,1,2  every exact model on every known density in the plane: a table of KLs;
                                                stopped or killed, the same command goes on with it

key=value is passed on to genexp's own runs, but not to the loops; what would change the data is refused. Embedded data are
taken where the real are not there.
"""
OVERRIDES = True
REPEAT, SECONDS, LIMIT = 3, 4.0, 3600.0
START = 20.0  # seconds, roughly, until a contender is there: imports, data, compiling
OPTIONS = ("repeat", "seconds", "seeds", "json", "time_to", "race", "limit", "scaling")
TOYS, TRAINED, SEEDS = "toys", 20.0, (0, 1, 2)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "case",
        nargs="?",
        choices=[*CASES, "all", TOYS],
        metavar="CASE",
        help=f"{', '.join([*CASES, 'all', TOYS])}; without one they are listed",
    )
    parser.add_argument("--repeat", type=positive(int), metavar="N", help="rounds of measurement (default: 3)")
    parser.add_argument(
        "--seconds", type=positive(float), metavar="S", help="of each contender in a round (default: 4), or of each toy (20)"
    )
    parser.add_argument("--seeds", type=_seeds, metavar="S,S,…", help="of the toys (default: 0,1,2)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--time-to", metavar="QUALITY", help="train until a quality is reached: a number, or article")
    parser.add_argument("--race", type=positive(float), metavar="S", help="train each side for so many CPU seconds, and compare")
    text = "of training after which a race is given up (default: 3600)"
    parser.add_argument("--limit", type=positive(float), metavar="S", help=text)
    parser.add_argument("--scaling", action="store_true", help="against batch size, width and number of samples")


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no list of seeds, as 0,1,2 is") from None


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    _refuse_what_would_be_ignored(options)
    if options.case is None:
        from genexp.errors import UserError

        if words := _given(options):
            raise UserError(f"{words[0]}: of which case?", hint=f"genexp bench CASE: {', '.join([*CASES, 'all', TOYS])}")
        print(listed())
        return 0
    if options.case == TOYS:
        from genexp.bench import toys

        return toys.bench(options.seconds or TRAINED, options.seeds or SEEDS, overrides)
    from genexp.bench.program import Request, bench

    cases = CASES if options.case == "all" else (options.case,)
    repeat, seconds, limit = options.repeat or REPEAT, options.seconds or SECONDS, options.limit or LIMIT
    request = Request(cases, repeat, seconds, options.time_to, limit, options.scaling, tuple(overrides), race_for=options.race)
    bench(request, options.json)
    return 0


def listed() -> str:
    """The cases with what they take: each contender is started and compiled once, and measured for some seconds in each round."""
    from genexp.bench.cases import CASES as CONTENDING

    minutes = {name: len(CONTENDING[name].contenders) * (START + REPEAT * SECONDS) / 60 for name in CASES}
    lines = [f"  genexp bench {name:<24} about {max(1, round(took))} min" for name, took in minutes.items()]
    lines += [f"  genexp bench {'all':<24} all of these, about {sum(minutes.values()):.0f} min"]
    lines += [f"  genexp bench {TOYS:<24} hours: every exact model on every known density in the plane"]
    return "\n".join(["what can be measured, and about how long it takes:", *lines, "genexp bench --help has the rest"])


def _given(options: argparse.Namespace) -> list[str]:
    """The options that were typed."""
    return [f"--{name.replace('_', '-')}" for name in OPTIONS if getattr(options, name) not in (None, False)]


def _refuse_what_would_be_ignored(options: argparse.Namespace) -> None:
    from genexp.errors import UserError

    racing = options.time_to is not None
    useless = {
        "--time-to": racing and {"--repeat": options.repeat, "--seconds": options.seconds, "--scaling": options.scaling},
        "--scaling": options.scaling and {"--repeat": options.repeat},
        "--race": options.race
        and {"--time-to": racing, "--repeat": options.repeat, "--seconds": options.seconds, "--scaling": options.scaling},
    }
    for kind, others in useless.items():
        for word, value in (others or {}).items():
            if value:
                raise UserError(f"{word} says nothing with {kind}", hint=f"leave {word} or {kind} out")
    measured = {
        "--repeat": options.repeat,
        "--time-to": racing,
        "--scaling": options.scaling,
        "--json": options.json,
        "--race": options.race,
    }
    for word, value in measured.items():
        if options.case == TOYS and value:
            raise UserError(f"{word} says nothing of {TOYS}")
    if options.seeds and options.case != TOYS:
        raise UserError(f"--seeds says nothing but of {TOYS}")
    if options.limit and not (racing or options.race):
        raise UserError("--limit says nothing without --time-to or --race")
