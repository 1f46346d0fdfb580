"""How this process was started: alone, or by torchrun as one of several. No torch here."""

import os
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by torchrun
PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class Launch:
    """Which of how many processes this is: of all of them, and of those on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def launch() -> Launch:
    """From torchrun's environment; without it, a process alone."""
    if not all(name in os.environ for name in VARIABLES):
        return Launch()
    return Launch(*(int(os.environ[name]) for name in VARIABLES[:4]))


def typed(words: Sequence[str]) -> str:
    """The line that starts genexp with these words as this process was started."""
    start = launch()
    if start.size == 1:
        return shlex.join(["genexp", *words])
    machines = start.size // start.local_size
    where = "--standalone" if machines == 1 else f"--nnodes={machines}"
    return shlex.join(["torchrun", where, f"--nproc-per-node={start.local_size}", "-m", "genexp", *words])


def with_plugins(plugins: Iterable[Path | str]) -> list[str]:
    """The words that name the user's own Python files again."""
    return [word for path in plugins for word in ("--plugin", str(path))]


def leave_the_word_to_the_first() -> None:
    """Where all processes have made the same mistake, the first one says so, and torchrun then stops the others, here.

    Returns at once in the first; and in another one that is not stopped, whose mistake was then its own.
    """
    if launch().rank > 0:
        time.sleep(PATIENCE)
