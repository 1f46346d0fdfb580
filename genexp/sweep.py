"""`genexp run -m`: many runs, by Hydra's own sweeper and launchers."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genexp.artifacts import new_id
from genexp.catalogue import CONF
from genexp.config import compose, parse_override, search_path
from genexp.errors import UserError


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job: the product of all `key=a,b,c`."""
    parsed = [parse_override(text) for text in overrides]
    return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def sweep(overrides: Sequence[str], config_dirs: Sequence[Path]) -> int:
    """Run every job; all of them are checked before the first one starts. Returns the exit code."""
    for job in jobs(overrides):
        compose([override for override in job if not override.startswith("hydra")], config_dirs)
    outcomes: list[int] = []

    def job_function(config: DictConfig) -> None:
        outcomes.append(_one_job(config_dirs))

    own = [] if any(text.startswith("hydra.sweep.dir=") for text in overrides) else [f"hydra.sweep.dir=outputs/sweeps/{new_id()}"]
    sys.argv = ["genexp", "--multirun", *overrides, *own, *search_path(config_dirs)]
    hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job_function)()
    return max(outcomes, default=0)


def _one_job(config_dirs: Sequence[Path]) -> int:
    """One job of a sweep, in its own folder; its failure is shown at once and does not stop the others."""
    from genexp.experiment import run
    from genexp.progress import Interrupted

    job: Any = HydraConfig.get()
    overrides, run_dir = list(job.overrides.task), job.runtime.output_dir
    print(f"\n== job {job.job.num}: {' '.join(overrides)}", flush=True)
    try:
        run(compose(overrides, config_dirs), run_dir=run_dir)
    except Interrupted as stop:
        raise SystemExit(stop.exit_code) from None  # whoever stops a job stops the sweep
    except UserError as mistake:
        print(f"error: {mistake.message}", file=sys.stderr, flush=True)
        return 2
    except Exception:
        traceback.print_exc()
        return 1
    return 0
