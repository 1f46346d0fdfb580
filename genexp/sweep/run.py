"""A sweep from beginning to end, and what its user sees of it."""

import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from omegaconf import DictConfig

from genexp.compare.comparison import compare
from genexp.compare.showing import as_text
from genexp.config.choices import search_path
from genexp.errors import Interrupted, UserError, nearest
from genexp.fit.interrupts import Interrupts
from genexp.folder.records import Record, read_record, read_run
from genexp.folder.run_folder import Busy, RunFolder
from genexp.summary import BESIDE, number_text
from genexp.sweep.data import put_others_aside
from genexp.sweep.gallery import COSTS, GALLERY, HISTORIES, LATENTS, write_gallery
from genexp.sweep.job import STOP, Task
from genexp.sweep.launchers import Launch, hydra_path
from genexp.sweep.plan import LOCK, Plan, changed, make_folder, make_plan, write_plan
from genexp.sweep.table import CSV, PNG, chosen_metric, records, write_table

ENDED = ("finished", "failed", "interrupted")
GLANCE = 0.2  # seconds between two looks at the jobs' folders


def sweep(overrides: Sequence[str], config_dirs: Sequence[Path], plugins: Sequence[Path]) -> int:
    """Run every job that has not finished; all of them are checked before the first one starts. Returns the exit code."""
    return carry_out(make_folder(make_plan(overrides, config_dirs, plugins)))


def carry_out(plan: Plan) -> int:
    """Run every job of a plan that has not finished. Returns the exit code."""
    lock = RunFolder(plan.root / LOCK)  # a folder of its own: taking one tidies up in it
    lock.path.mkdir(exist_ok=True)
    try:
        with lock.lock():
            write_plan(plan)
            return _sweep(plan)
    except Busy:
        raise UserError(f"{plan.root}: another process is working on this sweep") from None


def _sweep(plan: Plan) -> int:
    if plan.settings.skip_finished:
        put_others_aside(plan)
    todo = [number for number in range(len(plan.jobs)) if plan.status(number) != "finished"]
    (plan.root / STOP).unlink(missing_ok=True)
    print(f"{len(todo)} of {len(plan.jobs)} jobs to do, in {plan.root}", flush=True)
    for number in range(len(plan.jobs)) if plan.settings.skip_finished else ():
        if keys := changed(plan, number):
            others = f"warning: {plan.named(number)} has another value of {', '.join(keys)} than what was typed gives today"
            print(f"{others}; it keeps its own", file=sys.stderr)
    news, signum = News(plan, todo), None
    if todo:
        signum = _launch(plan, todo, news)
    write_table(plan)
    write_gallery(plan)
    return _summary(plan, signum)


def _launch(plan: Plan, todo: Sequence[int], news: "News") -> int | None:
    """Have the jobs done; returns the signal that stopped it, if one did."""
    launch = Launch([*plan.hydra, hydra_path("hydra.sweep.dir", plan.root), *search_path(plan.config_dirs)])
    task = Task(plan, launch.here, launch.threads(len(todo)), Path.cwd())
    jobs = [[f"hydra.sweep.subdir={number}"] for number in todo]  # a job composes its own configuration

    def tell(config: DictConfig) -> None:
        try:
            task(config)
        finally:
            news.tell()

    try:
        if launch.here:
            with Interrupts():
                launch.run(tell, jobs)
        else:
            launch.kind.prepare()
            at_once = launch.at_once(len(todo))
            print(f"{f'{at_once} at once; ' if at_once > 1 else ''}what each says is in its log.txt", flush=True)
            with _stopping(plan, news) as stopped:
                launch.run(task, jobs)
            return stopped[0] if stopped else None
    except Interrupted as stop:
        return stop.exit_code - 128
    except SystemExit as stop:
        return int(stop.code or 128) - 128
    except KeyboardInterrupt:
        return signal.SIGINT
    except Exception as failure:  # of a launcher: no cluster here, a process that was killed
        print(f"error: {type(failure).__name__}: {failure}".strip().splitlines()[0], file=sys.stderr, flush=True)
    return None


@contextmanager
def _stopping(plan: Plan, news: "News") -> Iterator[list[int]]:
    """While others do the jobs: tell how they end; Ctrl-C and TERM ask them to save and end, a second one waits no longer.

    A Ctrl-C reaches every process of the terminal, and one that ends a job before it is saved is worth nothing: signals are
    blocked in this thread, and thereby in all processes that are started from it. Another thread takes them in.
    """
    signals, over, stopped = {signal.SIGINT, signal.SIGTERM}, threading.Event(), list[int]()

    def stop(number: int, frame: FrameType | None) -> None:
        if over.is_set():
            return
        stopped.append(number)
        if len(stopped) == 2:
            raise KeyboardInterrupt
        if len(stopped) > 2:  # what follows is on its way out already, and must come to its end
            return
        (plan.root / STOP).touch()
        print("stopping: the jobs that run save and end; once more to wait no longer", flush=True)

    def look() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        while not over.wait(GLANCE):
            news.tell()

    handlers = {number: signal.signal(number, stop) for number in signals}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield stopped
    finally:
        over.set()
        watcher.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        news.tell()


class News:
    """Tells once how each job ended, and keeps the sweep's table as new as that."""

    def __init__(self, plan: Plan, todo: Sequence[int]) -> None:
        self.plan, self.todo = plan, todo
        self.known = {number: self._state(number) for number in todo}

    def tell(self) -> None:
        """Say what is new. Called by one thread at a time."""
        new = False
        for number in self.todo:
            state = self._state(number)
            if state != self.known[number] and state[0] in ENDED:
                self.known[number], new = state, True
                self._say(number)
        if new:
            write_table(self.plan)

    def _say(self, number: int) -> None:
        try:
            record = read_record(self.plan.folder(number))
        except UserError:
            return
        name = self.plan.named(number)
        if record.status == "failed":
            error = str(record.run.get("error")).removeprefix("UserError: ")
            print(f"error: {name}: {error}", file=sys.stderr, flush=True)
        elif record.status == "interrupted":
            print(f"{name} interrupted", flush=True)
        else:
            metric = chosen_metric([record], self.plan.settings.metric)
            number_of_it = f": {metric} {number_text(record.metrics.get(metric))}" if metric else ""
            print(f"{name} finished{number_of_it}", flush=True)

    def _state(self, number: int) -> tuple[str, str]:
        """How a job stands, and since when."""
        try:
            run = read_run(self.plan.folder(number))
        except UserError:
            return "not started", ""
        return str(run.get("status")), str(run.get("updated"))


def _summary(plan: Plan, signum: int | None) -> int:
    """The table of what came out, what is missing, and how to get it. Returns the exit code."""
    found = [record for record in records(plan) if record is not None]
    finished = [record for record in found if record.status == "finished"]
    if len(finished) > 1:
        print("\n" + _results(plan, finished), end="")
    metrics = [name for record in finished for name in record.metrics]
    wanted = plan.settings.metric
    if wanted and finished and wanted not in metrics:
        near = nearest(wanted, metrics)
        print(f"warning: no metric '{wanted}'" + (f"; did you mean '{near}'?" if near else ""), file=sys.stderr)
    files = ", ".join(name for name in (CSV, PNG, GALLERY, COSTS, HISTORIES, LATENTS) if (plan.root / name).exists())
    print(f"\n{len(finished)} of {len(plan.jobs)} jobs finished; they are in {plan.root} ({files})")
    failures = {number: record for number, record in enumerate(records(plan)) if record and record.status == "failed"}
    for number, record in failures.items():
        print(f"failed: {plan.named(number)}: {str(record.run.get('error')).removeprefix('UserError: ')}")
    if len(finished) == len(plan.jobs):
        return 0
    print(f"finish it with: {plan.finishing()}")
    if signum is not None:
        return 128 + signum
    return 1 if any(not str(record.run.get("error")).startswith("UserError") for record in failures.values()) else 2


def _results(plan: Plan, finished: Sequence[Record]) -> str:
    """The swept values, the metric and those with a floor; seeds averaged."""
    comparison = compare(finished, swept=plan.swept)
    metric = chosen_metric(finished, plan.settings.metric)
    beside = {name.partition("/")[2] for name in comparison.metrics if name.partition("/")[0] in BESIDE}
    columns = [key for key in comparison.columns() if key not in comparison.metrics or key == metric or key in beside]
    return as_text(comparison, columns, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)
