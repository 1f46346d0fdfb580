"""genexp: experiments with likelihood-based generative models, from the command line and from Python.

    run = genexp.run(["experiment=double_gaussian", "seed=1"])    train, evaluate, draw
    run = genexp.open("latest")                                   or a run's folder, or its id
    run = genexp.resume("latest", ["trainer.max_steps=9000"])     go on exactly where it stopped

What these need (torch above all) is imported when one of them is first asked for.
"""

from typing import TYPE_CHECKING, Any

from genexp.machine.threads import wait_politely

wait_politely()

if TYPE_CHECKING:
    from genexp.errors import UserError as UserError
    from genexp.interface.calls import open as open
    from genexp.interface.calls import resume as resume
    from genexp.interface.calls import run as run
    from genexp.interface.opened import Run as Run

_HOMES = {
    "run": "genexp.interface.calls",
    "resume": "genexp.interface.calls",
    "open": "genexp.interface.calls",
    "Run": "genexp.interface.opened",
    "UserError": "genexp.errors",
}  # no __all__: after `from genexp import *` everybody's open() would be another


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'genexp' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
