"""What a failing sampler is made of, and where all of them are found."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from genexp.errors import unknown
from genexp.registry import Registry


@dataclass(frozen=True)
class Real:
    """True samples, of which a failing sampler makes its own.

    Args:
        fresh: m of them that nothing else has, in random order, (m, *shape).
        mode: the class of each or, where there are none, the cluster, 0 … modes − 1, (m,).
        log_density: ln p of each up to a constant: exactly, or by a Gaussian for each mode, (m,).
        train: the training examples (k, *shape), in random order.
        modes: how many there are.
        spread: standard deviation of a number within its mode.
    """

    fresh: Tensor
    mode: Tensor
    log_density: Tensor
    train: Tensor
    modes: int
    spread: float

    @property
    def pictures(self) -> bool:
        """Whether they are pictures, with greys in [0, 1]; else points."""
        return self.fresh.dim() == 4


Failure = Callable[[Real, int], Tensor]  # (n, *shape) samples; at most as many as there are fresh ones that it can use
failures: Registry[Tensor] = Registry("failure", "genexp.failures")
"""Of each its docstring's first line is the caption. Random numbers are those of the moment."""

TRUTH = "truth"  # the sampler that does not fail


def truth(real: Real, n: int) -> Tensor:
    """the truth itself"""
    return real.fresh[:n]


def samplers() -> list[str]:
    """The truth, and all that fail."""
    return [TRUTH, *failures.names()]


def sampler_on_trial(name: str) -> Failure:
    """UserError where there is none of that name."""
    if name not in samplers():
        raise unknown("sampler on trial", name, samplers())
    return truth if name == TRUTH else failures[name]


def within(real: Real, x: Tensor) -> Tensor:
    """Greys stay greys."""
    return x.clamp(0, 1) if real.pictures else x
