"""`genexp evaluate`: the metrics of a trained run again, from its checkpoint alone."""

import argparse

from genexp.commands import add_checkpoint, add_device, add_plugin, add_run
from genexp.paths import expanded

HELP = "the metrics again, from the checkpoint alone"
DESCRIPTION = """\
Measure a trained run again: everything is rebuilt from its configuration and its checkpoint. Nothing in the folder changes.

  genexp evaluate latest                                  the same numbers as at the end of training
  genexp evaluate latest --data fashion_mnist             on other data of the same shape
  genexp evaluate latest evaluation.importance_samples=5000 --out metrics.json
"""
OVERRIDES = True
SECTIONS = ("evaluation", "data_dir")  # nothing else changes a number


def configure(parser: argparse.ArgumentParser) -> None:
    add_run(parser)
    parser.add_argument("--data", metavar="DATASET", help="another data set of the same shape; default: the run's own")
    parser.add_argument("--out", type=expanded, metavar="F", help="also write the numbers to F.json")
    add_checkpoint(parser)
    add_device(parser)
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    from genexp.folder.finding import find_run
    from genexp.printable import printable
    from genexp.runs.evaluation import evaluate

    said = evaluate(find_run(options.run), options.checkpoint, options.data, options.device, overrides, options.out)
    print(printable(said))
    return 0
