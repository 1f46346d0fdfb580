"""Many processes, one run: who am I among them, and work that is dealt out. In a single process nothing here does anything.

Started by torchrun, every process (rank) runs the same program; torch.distributed carries what they tell each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch.distributed as dist

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class World:
    """The processes of a run: which of how many this one is."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0


def world() -> World:
    """All there are while they work together; otherwise this process alone."""
    return World(dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else World()


def gathered(value: R) -> list[R]:
    """What each rank gave, in order, on every rank. Plain values, and tensors on the CPU."""
    size = world().size
    if size == 1:
        return [value]
    found: list[Any] = [None] * size
    dist.all_gather_object(found, value)
    return found


def sharded(parts: Sequence[P], function: Callable[[P], R]) -> list[R]:
    """[function(part) for part in parts], dealt out among the ranks; every rank gets all the results, on the CPU.

    The results are the same for any number of ranks if each depends on its part alone: random numbers must come from a seed of
    the part's own.
    """
    here = world()
    own = [function(part) for part in parts[here.rank :: here.size]]
    dealt = gathered(own)
    return [dealt[index % here.size][index // here.size] for index in range(len(parts))]
