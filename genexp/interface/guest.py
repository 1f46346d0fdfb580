"""genexp in somebody else's interpreter: mistakes are exceptions, a signal is passed on, and what was set stays set."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch
from hydra.core.global_hydra import GlobalHydra

from genexp.errors import Interrupted, UserError, circumstance
from genexp.paths import expanded
from genexp.plugins import load_plugin
from genexp.printable import is_hostile

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # Windows

P = ParamSpec("P")
R = TypeVar("R")

Paths = str | Path | Sequence[str | Path]


def guest(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of everything that a user calls from Python.

    Raises:
        UserError: what was asked for cannot be done; a disk or a memory had not enough.
        KeyboardInterrupt: Ctrl-C, or TERM where its handler lets the program go on; what there was to save is saved.
    """

    @wraps(function)
    def as_a_guest(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            with _undisturbed():
                return function(*arguments, **named)
        except Interrupted as stop:
            signum = stop.exit_code - 128
        except (OSError, MemoryError, RuntimeError) as failure:
            mistake = circumstance(failure)
            if mistake is None:
                raise
            raise mistake from failure
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signum)  # for the handler that was there before a run began
        raise KeyboardInterrupt("stopped; genexp.resume(…) goes on from what was saved")

    return as_a_guest


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The user's random numbers go on as if nothing had been drawn; their Hydra, if they use one, what memory they may take and
    their smallest numbers, which a run flushes to zero, are as before.
    """
    hydra = GlobalHydra.instance().hydra
    memory = resource.getrlimit(resource.RLIMIT_DATA) if resource else None
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    flushed = bool(torch.tensor(1e-40) * 0.5 == 0)
    torch.set_flush_denormal(True)  # in every call, so that it does not depend on which one has opened the run
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        torch.set_flush_denormal(flushed)
        if not devices:  # seeds that are given before CUDA begins hold once it does
            torch.cuda.manual_seed_all(torch.initial_seed())
        GlobalHydra.instance().hydra = hydra
        if memory is not None:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_DATA, memory)


def as_words(overrides: Sequence[str]) -> list[str]:
    """Overrides as a user gives them, `key=value` each; UserError where they are something else than a list of texts."""
    if isinstance(overrides, str) or not all(isinstance(word, str) for word in overrides):
        raise UserError("overrides are a list of texts", hint='for example ["experiment=double_gaussian", "seed=1"]')
    for word in overrides:
        if is_hostile(word):
            raise UserError(f"{word!r} holds what is not text")
    return list(overrides)


def as_paths(given: Paths) -> list[Path]:
    """One path, or several."""
    return [expanded(path) for path in ([given] if isinstance(given, str | Path) else given)]


def load_plugins(given: Paths) -> list[Path]:
    """The user's own Python files, imported."""
    paths = as_paths(given)
    for path in paths:
        load_plugin(path)
    return paths
