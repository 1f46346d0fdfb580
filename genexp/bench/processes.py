"""Processes of their own for what is measured: what one imports, sets or allocates does not touch another."""

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genexp.bench.gate import Channel
from genexp.errors import UserError


@dataclass(frozen=True)
class Started:
    """A process and our end of the pipe to it."""

    process: Any
    channel: Any

    def end(self) -> None:
        """It should have ended by itself; if not, it is ended."""
        self.channel.close()
        self.process.join(timeout=5)
        if self.process.is_alive():
            self.process.kill()


def start(target: Callable[..., None], *arguments: Any) -> Started:
    """`target(channel, *arguments)` in a fresh process that prints nothing and ends with ours, however ours ends."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_silently, args=(target, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()
    return Started(process, ours)


def ask(target: Callable[..., None], *arguments: Any) -> Any:
    """The one message that `target` sends; a UserError raised there is raised here."""
    started = start(_answer, target, *arguments)
    try:
        answer = started.channel.recv()
        if isinstance(answer, UserError):
            raise answer
        return answer
    except EOFError:
        started.process.join()
        raise RuntimeError(f"{target.__module__}.{target.__name__} ended with code {started.process.exitcode}") from None
    finally:
        started.end()


def _answer(channel: Channel, target: Callable[..., None], *arguments: Any) -> None:
    try:
        target(channel, *arguments)
    except UserError as mistake:
        channel.send(mistake)


def _silently(target: Callable[..., None], channel: Channel, *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        target(channel, *arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes; 0 where the system does not tell.

    Linux's own record of it is asked first: what getrusage says begins with the memory of the parent.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
