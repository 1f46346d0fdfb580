"""Many runs of genexp for the price of one start: a warm process that forks a child for each command, and kills it on demand.

As a script it is that process: it reads one JSON object a line and answers with one. `Forks` is its other end.

Everything a run changes on disk for good, it changes by an *event*: a file opened to be written, a name replaced, a folder
made, a file removed, a file synced. A child told to die at event k dies right before it, by SIGKILL; where the event is a
sync, only half of the file is there by then, and where it is a line appended, only half of the line.
"""

import io
import json
import os
import resource
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

ROOT = Path(__file__).parent.parent
WARM = ["run", "experiment=double_gaussian", "trainer.max_steps=0", "evaluation.num_samples=100", "evaluation.num_points=16"]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (−9: killed), what it printed, and after how many events and seconds."""

    code: int
    output: str
    events: int
    seconds: float


class Forks:
    """`with Forks() as forks: forks(folder, ["run", …])`."""

    def __enter__(self) -> Self:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        silent = {"PYTHONWARNINGS": "ignore", "TORCH_CPP_LOG_LEVEL": "ERROR"}
        environment = {**os.environ, **threads, **silent, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.forking"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, text=True, cwd=ROOT, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __call__(
        self,
        folder: Path,
        arguments: Sequence[str],
        *,
        die_at: int | None = None,
        die_after: float | None = None,
        memory: int | None = None,
        file_size: int | None = None,
        uid: int | None = None,
        sketchy: bool = False,
        ranks: int = 1,
        environment: dict[str, str] | None = None,
    ) -> Ended:
        """One command in `folder`: killed at event `die_at` or after `die_after` seconds; with at most so many bytes of
        `memory` more than the warm process has, or in a file; as another user. `sketchy`: pictures are blank, a floor and
        likelihoods rough, to save time where none of them matters. `ranks`: as so many processes, as torchrun starts them;
        the first of them to fail says how it ended. In place of a command, the path of a Python file.
        """
        order = {"folder": str(folder), "arguments": [*arguments], "die_at": die_at, "die_after": die_after, "memory": memory}
        order |= {"file_size": file_size, "uid": uid, "sketchy": sketchy, "ranks": ranks, "environment": environment or {}}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Ended(**json.loads(self.process.stdout.readline()))


def serve() -> None:
    _warm_up()
    for line in sys.stdin:
        print(json.dumps(vars(_one(json.loads(line)))), flush=True)
    os._exit(0)  # taking down what was imported takes seconds


def _warm_up() -> None:
    """Import what runs import, and do without training what starts no thread."""
    import tempfile

    import sklearn.mixture  # noqa: F401 (two that runs import late)
    import torch
    import torch._dynamo

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with open("log", "w") as log, redirect_stdout(log), redirect_stderr(log):
            from genexp.measures import quadrature

            sides, quadrature.GRID_SIDE = quadrature.GRID_SIDE, 16  # nobody looks at what it measures
            _command(WARM)
            quadrature.GRID_SIDE = sides
        os.chdir(ROOT)


def _one(order: dict[str, Any]) -> Ended:
    log, count = os.memfd_create("log"), os.memfd_create("count")
    started = time.perf_counter()
    children = [_start(order | {"environment": order["environment"] | rank}, log, count) for rank in _ranks(order["ranks"])]
    timer = None
    if order["die_after"] is not None:
        timer = threading.Timer(order["die_after"], os.kill, (children[0], signal.SIGKILL))
        timer.start()
    code = _outcome(children)
    if timer is not None:
        timer.cancel()
    seconds = time.perf_counter() - started
    said = [os.pread(handle, 1 << 20, 0).decode(errors="replace") for handle in (log, count)]
    os.close(log)
    os.close(count)
    return Ended(code, said[0], int(said[1] or 0), seconds)


def _ranks(size: int) -> list[dict[str, str]]:
    """What torchrun says to each of so many processes in its environment; to one alone, nothing."""
    if size == 1:
        return [{}]
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    of_all = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "localhost", "MASTER_PORT": port}
    own = [{**of_all, "RANK": rank, "LOCAL_RANK": rank} for rank in range(size)]
    return [{"GLOO_SOCKET_IFNAME": "lo", **{name: str(value) for name, value in words.items()}} for words in own]


def _start(order: dict[str, Any], log: int, count: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            _child(order, log, count)
        finally:
            os._exit(99)
    return child


def _outcome(children: list[int]) -> int:
    """The exit code of the first that fails, for which the others are stopped; 0 where none does."""
    left, code = {*children}, 0
    while left:
        child, status = os.wait()
        left.discard(child)
        if status and not code:
            code = os.waitstatus_to_exitcode(status)
            for other in left:
                os.kill(other, signal.SIGTERM)
    return code


def _child(order: dict[str, Any], log: int, count: int) -> NoReturn:
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), write_through=True)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    if order["uid"] is not None:
        os.setgroups([])
        os.setgid(order["uid"])
        os.setuid(order["uid"])
    if order["memory"] is not None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + order["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    if order["file_size"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"], order["file_size"]))
    if order["sketchy"]:
        _sketch()
    _watch_events(Path(order["folder"]).resolve(), order["die_at"], count)
    code = _command(order["arguments"])
    sys.stdout.flush()
    os._exit(code)


def _command(arguments: list[str]) -> int:
    from genexp.cli import main

    sys.argv = ["genexp", *arguments]
    try:
        if arguments and arguments[0].endswith(".py"):
            runpy.run_path(arguments[0], run_name="__main__")
            return 0
        return main(arguments)
    except SystemExit as stop:
        return int(stop.code or 0)


def _sketch() -> None:
    import matplotlib.figure
    from PIL import Image

    from genexp.data.cells import UniformCells
    from genexp.measures import barcode, cost, quadrature
    from genexp.models import flow_matching

    flow_matching.LIKELIHOOD_STEPS = 8
    quadrature.GRID_SIDE, quadrature.STRIP_SIDE = 96, 48
    barcode.sights = lambda picture: [picture]
    cost.SIZES, cost.LONG_ENOUGH = (8,), 0.0
    UniformCells.irreducible_loss.__defaults__ = (256, 0)
    blank = Image.new("L", (200, 200))
    matplotlib.figure.Figure.savefig = lambda self, path, **_: blank.save(path, "PNG")


def _watch_events(folder: Path, die_at: int | None, count: int) -> None:
    """Count the events below `folder`, in the file `count`; die at the one that is told."""
    events = 0

    def event(spoil: Any = None) -> None:
        nonlocal events
        if events == die_at:
            if spoil is not None:
                spoil()
            os.kill(os.getpid(), signal.SIGKILL)
        events += 1
        os.pwrite(count, str(events).encode(), 0)

    def inside(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and Path(os.path.abspath(path)).is_relative_to(folder)

    def audit(name: str, arguments: tuple[Any, ...]) -> None:
        if name == "open" and inside(arguments[0]):
            if arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                event()
        elif name in ("os.rename", "os.mkdir", "os.remove") and inside(arguments[0]):
            event()

    fsync = os.fsync

    def half(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if os.path.isfile(path):
            os.truncate(path, os.path.getsize(path) // 2)

    def watched_fsync(handle: int) -> None:
        event(lambda: half(handle))
        fsync(handle)

    from genexp.folder.run_folder import RunFolder

    append = RunFolder._append

    def watched_append(self: RunFolder, name: str, text: str) -> None:
        event(lambda: append(self, name, text[: len(text) // 2]))
        append(self, name, text)

    os.fsync = watched_fsync
    RunFolder._append = watched_append  # type: ignore[method-assign]
    sys.addaudithook(audit)


if __name__ == "__main__":
    serve()
