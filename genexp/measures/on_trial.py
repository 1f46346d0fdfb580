"""Which numbers are put on trial, and of what they are computed there: the very functions by which runs are measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from genexp.capabilities import Known

Space = Literal["features", "raw", "classes", "log_density"]


@dataclass(frozen=True)
class Clouds:
    """Samples (n, d), held-out examples and training examples (n, d) each, in one space.

    `features`: of points themselves, of pictures principal components and, as a space of its own, what a classifier sees;
    `raw`: all their numbers; `classes`: a one in the place of the class; `log_density`: ln p of each under the data's density.
    """

    samples: Tensor
    real: Tensor
    train: Tensor


@dataclass(frozen=True)
class Tried:
    """Numbers that one function gives, by the names of their measures.

    `data`: what else has to be known of the data; `every`: an expensive one is found in one of so many repetitions.
    """

    names: tuple[str, ...]
    space: Space
    data: frozenset[Known]
    every: int
    function: Callable[[Clouds], Sequence[float]]


tried: list[Tried] = []


def on_trial(
    *names: str, space: Space = "features", data: Sequence[Known] = (), every: int = 1
) -> Callable[[Callable[[Clouds], Sequence[float]]], Callable[[Clouds], Sequence[float]]]:
    """Decorator: a function of the clouds gives these numbers. Random numbers are those of the moment."""

    def add(function: Callable[[Clouds], Sequence[float]]) -> Callable[[Clouds], Sequence[float]]:
        tried.append(Tried(names, space, frozenset(data), every, function))
        return function

    return add
