"""`genexp run -m`: many runs, by Hydra's own sweeper and launchers."""

import json
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
from genexp.config import Composed, compose, parse_override, search_path
from genexp.errors import UserError


def jobs(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each job: the product of all `key=a,b,c`."""
    parsed = [parse_override(text) for text in overrides]
    return [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def check_jobs(overrides: Sequence[str], config_dirs: Sequence[Path]) -> list[Composed]:
    """The checked configuration of every job; UserError for the first that is wrong."""
    if any(text.startswith("run_dir=") for text in overrides):
        raise UserError("run_dir=… with -m: every job has a folder of its own", hint="hydra.sweep.dir=… moves them all")
    return [compose([text for text in job if not text.startswith("hydra")], config_dirs) for job in jobs(overrides)]


def sweep(overrides: Sequence[str], config_dirs: Sequence[Path], plugins: Sequence[Path]) -> int:
    """Run every job; all of them are checked before the first one starts. Returns the exit code."""
    expected = len(check_jobs(overrides, config_dirs))
    given = [text.partition("=")[2] for text in overrides if text.startswith("hydra.sweep.dir=")]
    root = Path(given[-1] if given else f"outputs/sweeps/{new_id()}")

    def job_function(config: DictConfig) -> None:
        _one_job(config_dirs, plugins)

    typed, sys.argv = sys.argv, ["genexp", "--multirun", *overrides, f"hydra.sweep.dir={root}", *search_path(config_dirs)]
    try:
        hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job_function)()
    finally:
        sys.argv = typed
    records = [json.loads(path.read_text()) for path in root.rglob("run.json")]
    finished = sum(record["status"] == "finished" for record in records)
    print(f"\n{finished} of {expected} jobs finished; they are in {root}")
    return 0 if finished == expected else 2


def _one_job(config_dirs: Sequence[Path], plugins: Sequence[Path]) -> None:
    """One job of a sweep, in its own folder; its failure is shown at once and does not stop the others."""
    from genexp.errors import Interrupted
    from genexp.experiment import run

    job: Any = HydraConfig.get()
    overrides, run_dir = list(job.overrides.task), job.runtime.output_dir
    sys.argv = ["genexp", "run", *overrides]
    print(f"\n== job {job.job.num}: {' '.join(overrides)}", flush=True)
    try:
        run(compose(overrides, config_dirs), run_dir, plugins)
    except Interrupted as stop:
        raise SystemExit(stop.exit_code) from None  # whoever stops a job stops the sweep
    except UserError as mistake:
        print(f"error: {mistake.message}", file=sys.stderr, flush=True)
    except Exception:
        traceback.print_exc()
