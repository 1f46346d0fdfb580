"""Python's search for cyclic garbage, which costs start-up a tenth of its time and finds nothing: what is imported stays."""

import gc
import sys

USUAL = gc.get_threshold()
STARTING = (50_000, 20, 20)  # objects made before it looks for some


def starting() -> None:
    """Let it look rarely, at the beginning of a program: before torch, the most of what is imported."""
    if "torch" not in sys.modules:
        gc.set_threshold(*STARTING)


def started() -> None:
    """Let it look as usual, among what is made from now on, where `starting` was called."""
    if gc.get_threshold() == STARTING:
        gc.freeze()
        gc.set_threshold(*USUAL)
