"""Many runs, each in its folder: one after the other in this process, or several at once in processes of their own."""

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import torch

from genexp.config.composition import Composed
from genexp.errors import Interrupted, UserError
from genexp.fit.interrupts import Interrupts
from genexp.folder.run_folder import RunFolder
from genexp.folder.standing import State, state_of

GLANCE = 0.1  # seconds between two looks at the processes


@dataclass(frozen=True)
class Job:
    """A run that there should be: what it is called, what else is said when it begins, its folder, and what makes it."""

    name: str
    about: str
    path: Path
    composed: Callable[[], Composed]


def carry_out(jobs: Sequence[Job], at_once: int = 1) -> dict[str, str]:
    """Do those that are not finished, or go on with them; the failure of one does not stop the others.

    Args:
        at_once: so many at the same time, which share the threads of this process.

    Returns:
        The name of each that failed, and what went wrong.

    Raises:
        Interrupted, KeyboardInterrupt: all that were running have saved themselves and ended.
    """
    todo = [(number, job) for number, job in enumerate(jobs, 1) if state_of(job.path) != "finished"]
    return _at_once(todo, len(jobs), at_once) if at_once > 1 else _in_turn(todo, len(jobs))


def _in_turn(todo: Sequence[tuple[int, Job]], count: int) -> dict[str, str]:
    from genexp.runs.experiment import resume, run

    failed = {}
    for number, job in todo:
        print(f"\n== {number} of {count}: {job.name}{job.about}", flush=True)
        try:
            if make_way(job.path) == "to do":
                run(job.composed(), str(job.path))
            else:
                resume(job.path)
        except Exception as failure:
            if not isinstance(failure, UserError):
                traceback.print_exc()
            failed[job.name] = _told(job, failure)
    return failed


def _told(job: Job, failure: Exception | str) -> str:
    """What went wrong, once the user knows."""
    match failure:
        case UserError():
            error = failure.message
        case Exception():
            error = f"{type(failure).__name__}: {failure}"
        case _:
            error = failure
    print(f"error: {job.name}: {error}", file=sys.stderr, flush=True)
    return error


@dataclass(frozen=True)
class Running:
    """A job, the process that does it, what that says of its errors, and since when."""

    job: Job
    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    since: float

    def end(self) -> str | None:
        """Wait until it has ended; what went wrong, in a line, or None."""
        self.process.wait()
        with self.errors:
            self.errors.seek(0)
            lines = self.errors.read().decode(errors="replace").strip().splitlines()
        if self.process.returncode == 0:
            return None
        said = [line for line in lines if line.startswith("error: ")] or lines or [f"it ended with {self.process.returncode}"]
        return said[-1].removeprefix("error: ")


def _at_once(todo: Sequence[tuple[int, Job]], count: int, most: int) -> dict[str, str]:
    waiting, running, failed = list(todo), list[Running](), dict[str, str]()
    print(f"{most} at once; what each says is in its log.txt", flush=True)
    with Interrupts():
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    number, job = waiting.pop(0)
                    print(f"{number} of {count}: {job.name}{job.about}", flush=True)
                    try:
                        running.append(_start(job, most))
                    except (UserError, OSError) as failure:
                        failed[job.name] = _told(job, failure)
                time.sleep(GLANCE)
                for ended in [each for each in running if each.process.poll() is not None]:
                    running.remove(ended)
                    if (error := ended.end()) is None:
                        print(f"    {ended.job.name} finished, {time.monotonic() - ended.since:.0f} s", flush=True)
                    else:
                        failed[ended.job.name] = _told(ended.job, error)
        except (Interrupted, KeyboardInterrupt):
            print("stopping: the runs save and end", flush=True)
            for each in running:
                each.process.terminate()
            for each in running:
                each.end()
            raise
    return failed


def _start(job: Job, at_once: int) -> Running:
    """Begin the run, or go on with it: what is typed for it is typed here. A Ctrl-C in the terminal is for this process alone."""
    if make_way(job.path) == "to do":
        words = ["run", f"run_dir={job.path}", *job.composed().overrides]
    else:
        words = ["resume", str(job.path)]
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process is there)
    threads = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // at_once))}
    process = subprocess.Popen(
        [sys.executable, "-m", "genexp", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=os.environ | threads,
        start_new_session=True,
    )
    return Running(job, process, errors, time.monotonic())


def make_way(path: Path) -> State:
    """How the run in `path` stands now, whatever it was when all was planned. One that saved nothing is moved aside, as a run
    never overwrites another. UserError where another process works on it.
    """
    if not path.exists():
        return "to do"
    folder = RunFolder(path)
    with folder.lock():
        state = state_of(path)
        if state == "to do":
            print(f"what was begun before is kept as {folder.put_aside()}", flush=True)
    return state
