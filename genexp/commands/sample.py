"""`genexp sample`: new samples from a trained run."""

import argparse
from pathlib import Path

from genexp.commands import add_checkpoint, add_device, add_plugin, add_run
from genexp.paths import expanded

HELP = "new samples from a trained run"
DESCRIPTION = """\
New samples from a trained run: numbers, a picture or a film, by the ending of --out.

  genexp sample latest                                  samples.npz: as many as the run itself drew
  genexp sample latest --num 1000000 --seed 3 --out million.npz
  genexp sample latest --out code.png
  genexp sample latest --out film.gif                   points from noise to data; pictures along a walk through latent space
  genexp sample RUN --class bananas --out bananas.png   of a conditional model
  genexp sample RUN --temperature 0.7 --out calm.png    a flow from noise of 0.7 of its size: fewer surprises
  genexp sample RUN --out passages.txt                  of a text
  genexp sample RUN --given "The Rays" --out on.txt     an autoregressive model goes on with a text …
  genexp sample RUN --given test:3 --out halves.png     … and completes the upper half of test picture 3
  genexp sample RUN --given half.png --out halves.png   … or of a picture of your own

The same seed gives the same samples, and the first ones are the same for every --num.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--num", type=int, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the random numbers; default 0")
    parser.add_argument("--out", type=expanded, default=Path("samples.npz"), metavar="F", help="F.npz, F.png, F.gif or F.txt")
    parser.add_argument("--class", dest="label", metavar="NAME", help="only of this class, where the model is conditional")
    parser.add_argument("--given", metavar="BEGINNING", help="a text, test:N or a picture's file: only what follows is drawn")
    parser.add_argument("--temperature", type=float, metavar="T", help="of a flow's noise, N(0, T²) in place of N(0, 1)")
    parser.add_argument("--log-prob", action="store_true", help="with ln p(x) of each, where the model has it (.npz)")
    add_checkpoint(parser)
    add_device(parser)
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.folder.finding import find_run
    from genexp.printable import printable
    from genexp.runs.samples import Request, write

    wanted = (options.label, options.log_prob, options.given, options.temperature)
    request = Request(options.num, options.seed, options.out, *wanted)
    print(printable(write(find_run(options.run), request, options.checkpoint, options.device)))
    return 0
