"""`genexp run`: train, evaluate, draw."""

import argparse

from genexp.commands import add_config_dir, add_plugin
from genexp.errors import UserError
from genexp.machine.launch import launch

HELP = "train, evaluate, draw: one run folder"
DESCRIPTION = """\
Train, evaluate and draw: one run folder under outputs/.

  genexp run                                        experiment=qr_flowmatch, a QR code learnt as a density
  genexp run experiment=qr_flowmatch dataset.text='hello world'
  genexp run experiment=qr_flowmatch dataset.image=my_code.png trainer.max_seconds=60
  genexp run -m experiment=qr_flowmatch,qr_fourier seed=0,1,2

A sweep (-m) runs every combination of the values given, each in a folder of its own, with a table and a picture over all:

  genexp run -m model.depth=1,2,3 seed=range(3) sweep.metric=nll                    drawn: nll against model.depth
  genexp run -m … sweep.skip_finished=true [sweep.dir=FOLDER]                       finish one that was interrupted
  genexp run -m … hydra/launcher=joblib hydra.launcher.n_jobs=4                     four at once (genexp[joblib])
  genexp run -m … hydra/launcher=submitit_slurm hydra.launcher.timeout_min=120      on a cluster (genexp[slurm])

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
    from genexp.config.composition import compose

    if options.multirun and not options.cfg:
        from genexp.sweep.run import sweep

        return sweep(overrides, options.config_dir, options.plugin)
    if options.cfg:
        import yaml

        from genexp.sweep.plan import check_jobs

        jobs = check_jobs(overrides, options.config_dir) if options.multirun else [compose(overrides, options.config_dir)]
        print(yaml.safe_dump_all([job.settings.model_dump() for job in jobs], sort_keys=False, allow_unicode=True), end="")
        return 0
    if of_sweeps := [text for text in overrides if text.startswith("sweep.")]:
        raise UserError(f"{of_sweeps[0]} is of a sweep", hint="genexp run -m …")
    composed = compose(overrides, options.config_dir)
    from genexp.runs.experiment import run

    run(composed, plugins=options.plugin)
    return 0
