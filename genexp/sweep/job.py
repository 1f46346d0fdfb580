"""One job of a sweep, in whichever process it is run."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from genexp.config.composition import compose
from genexp.errors import Interrupted, UserError, circumstance
from genexp.fit.interrupts import Interrupts
from genexp.folder.run_folder import Busy, RunFolder
from genexp.plugins import load_plugin
from genexp.sweep.plan import Plan

STOP = ".stop"  # in the sweep's folder: every job that runs saves and ends, no other begins
GLANCE = 0.2  # seconds between two looks at it
SHORT = 100  # characters of a hint that goes into the line of an error


@dataclass(frozen=True)
class Task:
    """What Hydra's launchers call, once for each job, maybe in another process or on another machine.

    Args:
        here: jobs run one after the other in the process that started the sweep, and show all they say.
        threads: of each job; None leaves them as they are.
        place: the folder that relative paths begin at.
    """

    plan: Plan
    here: bool
    threads: int | None
    place: Path

    def __call__(self, config: DictConfig) -> None:
        number = int(Path(HydraConfig.get().runtime.output_dir).name)
        if self.here:
            print(f"\n== {self.plan.named(number)}", flush=True)
            try:
                carry_out(self.plan, number)
            except Interrupted as signalled:
                raise SystemExit(signalled.exit_code) from None  # whoever stops a job stops the sweep
            return
        os.chdir(self.place)
        with suppress(OSError):
            os.setpgid(0, 0)  # a Ctrl-C in the terminal is for the sweep, which asks its jobs to stop
        stop = self.plan.root / STOP
        if stop.exists():
            return
        if self.threads is not None:
            os.environ["OMP_NUM_THREADS"] = str(self.threads)
            torch.set_num_threads(self.threads)
        with _silent(), _preempted() as give_back, suppress(Interrupted):
            for path in self.plan.plugins:
                load_plugin(path)
            try:
                carry_out(self.plan, number, stop)
            except Interrupted:
                give_back()


def carry_out(plan: Plan, number: int, stop: Path | None = None) -> None:
    """Run one job in its folder, or go on with it where it was interrupted; skip it where it has finished.

    What goes wrong is in run.json afterwards, and stops nobody else.

    Raises:
        Interrupted: a signal, or the file `stop`, stopped it; it is saved.
    """
    from genexp.runs.experiment import resume, run

    folder, overrides = RunFolder(plan.folder(number)), list(plan.jobs[number])
    sys.argv = ["genexp", "run", *overrides]
    try:
        with Interrupts(), _watching(stop):
            status = plan.status(number)
            if status == "finished":
                return
            if status in ("interrupted", "running") and (folder.path / "checkpoints" / "last.pt").exists():
                resume(folder.path, plugins=plan.plugins)
                return
            if folder.path.exists() and any(folder.path.iterdir()):
                with folder.lock():
                    print(f"what was in {folder.path} before is kept as {folder.put_aside()}")
            run(compose(overrides, plan.config_dirs), str(folder.path), plan.plugins)
    except Busy as busy:
        print(f"error: {busy.message}", file=sys.stderr)
    except Exception as failure:
        _fail(folder, circumstance(failure) or failure)


def _fail(folder: RunFolder, failure: Exception) -> None:
    """Note a failure in run.json, even where there was no run yet; of a defect also where it came from."""
    folder.path.mkdir(parents=True, exist_ok=True)
    hint = failure.hint or "" if isinstance(failure, UserError) else ""
    more = f" ({hint})" if 0 < len(hint) <= SHORT else ""
    folder.update(status="failed", error=f"{type(failure).__name__}: {getattr(failure, 'message', failure)}{more}")
    if not isinstance(failure, UserError):
        folder.say("".join(traceback.format_exception(failure)).rstrip())


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing is shown: several jobs at once would talk at the same time, and each has its log.txt."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


@contextmanager
def _watching(stop: Path | None) -> Iterator[None]:
    """As soon as there is a file `stop`, this process is sent TERM, once."""
    if stop is None:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE):
            if stop.exists():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the parent's children begin with it blocked
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextmanager
def _preempted() -> Iterator[Callable[[], None]]:
    """On a cluster that wants its machine back (USR2): the run is saved first, then given back to the queue.

    Yields what to call when the run has been stopped: it does what submitit does at that signal, if it was that signal.
    """
    requeue, asked = signal.getsignal(signal.SIGUSR2), threading.Event()
    if not callable(requeue):
        yield lambda: None
        return

    def save_first(signum: int, frame: FrameType | None) -> None:
        asked.set()
        signal.raise_signal(signal.SIGTERM)

    signal.signal(signal.SIGUSR2, save_first)
    try:
        yield lambda: requeue(signal.SIGUSR2, None) if asked.is_set() else None
    finally:
        signal.signal(signal.SIGUSR2, requeue)
