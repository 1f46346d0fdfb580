"""How much memory there is, and what would not fit is refused before it is asked for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genexp.errors import UserError

CONTAINER = "/sys/fs/cgroup"  # where Linux says what a container may have, and has
TRAINING = 4  # copies of every weight: itself, its gradient, two moments


def limit_memory() -> None:
    """From now on an allocation that this machine cannot hold fails where it is made, and is said in one line.

    Linux promises more than there is, and ends some process when it is called upon to keep its promise.
    """
    if sys.platform != "linux":
        return
    import resource

    with suppress(OSError, ValueError, KeyError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = _kilobytes("/proc/self/status")["VmData"] * 1024 + available()
        if hard == resource.RLIM_INFINITY or limit < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


@contextmanager
def weights_fit() -> Iterator[None]:
    """Inside, modules are built; UserError as soon as they have more weights than could be trained here."""
    from torch import Tensor
    from torch.nn.modules.module import register_module_parameter_registration_hook

    limit = available() if sys.platform == "linux" else None
    needed = 0

    def count(module: object, name: str, weights: Tensor | None) -> None:
        nonlocal needed
        needed += TRAINING * weights.numel() * weights.element_size() if weights is not None else 0
        if limit is not None and needed > limit:
            raise UserError(
                f"the model is too large: it takes more than {needed / 1e9:,.0f} GB to train, and {limit / 1e9:,.1f} GB are free",
                hint="narrower layers, or fewer of them: model.*",
            )

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def check_fits(needed: int, what: str, hint: str) -> None:
    """UserError where `what` needs more bytes than there are."""
    if sys.platform == "linux" and needed > (limit := available()):
        raise UserError(f"{what}: takes about {needed / 1e9:,.0f} GB, and {limit / 1e9:,.1f} GB are free", hint=hint)


def available() -> int:
    """Bytes that could still be had: of this machine, or of the container that this is."""
    machine = _kilobytes("/proc/meminfo")
    free = (machine["MemAvailable"] + machine.get("SwapFree", 0)) * 1024
    with suppress(OSError, ValueError):
        most, used = (int(Path(CONTAINER, name).read_text()) for name in ("memory.max", "memory.current"))
        free = min(free, max(most - used + _given_back(), 0))
    return free


def _given_back() -> int:
    """Bytes of files, read and not looked at since, that count as used and are given back before anything is refused."""
    with suppress(OSError, ValueError):
        lines = dict(line.split() for line in Path(CONTAINER, "memory.stat").read_text().splitlines())
        return int(lines.get("inactive_file", 0))
    return 0


def _kilobytes(path: str) -> dict[str, int]:
    """The numbers of a file of lines like `MemAvailable:  123 kB`."""
    lines = [line.split() for line in Path(path).read_text().splitlines()]
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}
