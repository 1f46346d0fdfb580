"""Hydra's launchers: which there are, whether they are installed, how many jobs each runs at once on one machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import resource_tracker
from pathlib import Path
from shutil import which

import torch
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from hydra.version import setbase
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from genexp.config.catalogue import CONF
from genexp.config.typed import parse_override
from genexp.errors import UserError, unknown

Task = Callable[[DictConfig], None]


@dataclass(frozen=True)
class Kind:
    """One of Hydra's launchers. `at_once`: how many of `jobs` it runs at the same time on one machine.

    `prepare`: done before signals are blocked, for what would let them through again. `program`: what it cannot do without.
    """

    plugin: str | None
    extra: str | None
    at_once: Callable[[DictConfig, int], int]
    prepare: Callable[[], None] = lambda: None
    program: str | None = None


def _joblib_at_once(settings: DictConfig, jobs: int) -> int:
    from joblib import effective_n_jobs

    return min(jobs, effective_n_jobs(settings.n_jobs))


def _start_resource_tracker() -> None:
    """Python starts this process with joblib's first worker, and afterwards lets INT and TERM through, blocked or not."""
    resource_tracker.ensure_running()


LAUNCHERS = {
    "basic": Kind(None, None, lambda settings, jobs: 1),
    "joblib": Kind("hydra_joblib_launcher", "joblib", _joblib_at_once, _start_resource_tracker),
    "submitit_local": Kind("hydra_submitit_launcher", "slurm", lambda settings, jobs: jobs),
    "submitit_slurm": Kind("hydra_submitit_launcher", "slurm", lambda settings, jobs: 1, program="sbatch"),
}


class Launch:
    """Hydra, set up to launch jobs: `overrides` are those that begin with `hydra`."""

    def __init__(self, overrides: Sequence[str]) -> None:
        setbase("1.3")
        GlobalHydra.instance().clear()
        self.hydra = Hydra.create_main_hydra2("genexp", create_config_search_path(str(CONF)))
        try:
            self.config = self.hydra.compose_config("config", list(overrides), RunMode.MULTIRUN, with_log_configuration=False)
            self.launcher = self.config.hydra.launcher
            OmegaConf.to_container(self.launcher, resolve=False, throw_on_missing=True)
        except (HydraException, OmegaConfBaseException) as failure:
            raise UserError(str(failure).strip().splitlines()[0]) from None
        self.kind = LAUNCHERS[launcher_name(overrides)]

    @property
    def here(self) -> bool:
        """Whether the jobs are done in this process, one after the other."""
        return self.kind.plugin is None

    def at_once(self, jobs: int) -> int:
        """How many of `jobs` run at the same time on one machine."""
        return max(1, self.kind.at_once(self.launcher, jobs))

    def threads(self, jobs: int) -> int | None:
        """The threads of each job, so that all jobs on a machine have as many as one run would use; None leaves them."""
        asked = self.launcher.get("cpus_per_task")
        if asked is not None:
            return int(asked)
        at_once = self.at_once(jobs)
        return max(1, torch.get_num_threads() // at_once) if at_once > 1 else None

    def run(self, task: Task, jobs: Sequence[Sequence[str]]) -> None:
        """Have every job done: `task` is called with Hydra's configuration of it, here or elsewhere."""
        context = HydraContext(config_loader=self.hydra.config_loader, callbacks=Callbacks())
        launcher = Plugins.instance().instantiate_launcher(context, task, self.config)
        try:
            launcher.launch([list(job) for job in jobs], initial_job_idx=0)
        finally:
            GlobalHydra.instance().clear()


def check_launcher(overrides: Sequence[str]) -> None:
    """UserError for a launcher that is not there, or a setting that it does not have."""
    name = launcher_name(overrides)
    if name not in LAUNCHERS:
        raise unknown("hydra/launcher", name, LAUNCHERS)
    kind = LAUNCHERS[name]
    if kind.plugin and (find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.{kind.plugin}") is None):
        raise UserError(f"hydra/launcher={name}: its plugin is not installed", hint=f"pip install 'genexp[{kind.extra}]'")
    if kind.program and which(kind.program) is None:
        raise UserError(f"hydra/launcher={name}: there is no {kind.program} here", hint="start it on a machine of the cluster")
    if any(text.startswith("hydra/sweeper") for text in overrides):
        raise UserError("hydra/sweeper cannot be chosen: a sweep is the product of all values that are given")
    if not overrides:
        return
    known = list(Launch([f"hydra/launcher={name}"]).launcher)
    for text in overrides:
        key = text.partition("=")[0].lstrip("+~")
        if key.startswith("hydra.launcher.") and key.split(".")[2] not in known:
            raise unknown("key", key, [f"hydra.launcher.{setting}" for setting in known if setting != "_target_"])
    Launch(overrides)


def launcher_name(overrides: Sequence[str]) -> str:
    """Which launcher the overrides choose."""
    chosen = [parse_override(text).value() for text in overrides if text.partition("=")[0] == "hydra/launcher"]
    return str(chosen[-1]) if chosen else "basic"


def hydra_path(key: str, path: Path) -> str:
    """`key=path` as Hydra reads it, whatever is in the path."""
    quoted = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"{key}='{quoted}'"
