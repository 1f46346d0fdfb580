"""`genexp run`: train, evaluate, draw."""

import argparse

from genexp.commands import add_config_dir, add_plugin
from genexp.errors import UserError
from genexp.launch import launch

HELP = "train, evaluate, draw: one run folder"
DESCRIPTION = """\
Train, evaluate and draw: one run folder under outputs/.

  genexp run                                        experiment=qr_flowmatch, a QR code learnt as a density
  genexp run experiment=qr_flowmatch dataset.text='hello world'
  genexp run experiment=qr_flowmatch dataset.image=my_code.png trainer.max_seconds=60
  genexp run -m experiment=qr_flowmatch,qr_flowmatch_plain seed=0,1,2

Every key of the configuration can be set as key=value; --cfg prints them all. `genexp list` names the experiments.
"""
OVERRIDES = True
DISTRIBUTED = True


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--multirun", action="store_true", help="a sweep: key=a,b,c runs each; one folder per job")
    parser.add_argument("--cfg", action="store_true", help="print the whole configuration and stop")
    add_config_dir(parser)
    add_plugin(parser)


def call(options: argparse.Namespace, overrides: list[str]) -> int:
    if options.multirun and launch().size > 1:
        raise UserError(
            "torchrun and -m: a sweep is many runs of one process each", hint="one run at a time, or without torchrun"
        )
    from genexp.config import compose

    if options.multirun and not options.cfg:
        from genexp.sweep.run import sweep

        return sweep(overrides, options.config_dir, options.plugin)
    if options.cfg:
        import yaml

        from genexp.sweep.plan import check_jobs

        jobs = check_jobs(overrides, options.config_dir) if options.multirun else [compose(overrides, options.config_dir)]
        print(yaml.safe_dump_all([job.settings.model_dump() for job in jobs], sort_keys=False, allow_unicode=True), end="")
        return 0
    composed = compose(overrides, options.config_dir)
    from genexp.experiment import run

    run(composed, plugins=options.plugin)
    return 0
