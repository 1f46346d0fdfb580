"""Many processes, one run: torchrun starts them, torch's DistributedDataParallel averages their gradients.

Every process (rank) runs the same program on the same global batches, of which each takes its share. In a single process
nothing of torch.distributed is touched, and every function here does what it would do without it.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from genexp.errors import UserError
from genexp.machine.launch import launch
from genexp.seeds import seed_for

P = TypeVar("P")
R = TypeVar("R")

LONGEST_WAIT = timedelta(hours=2)  # of one rank for another, which may be fitting or measuring something


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


@contextmanager
def processes() -> Iterator[None]:
    """Inside, the processes that torchrun started work together, until the end or until they `part`."""
    start = launch()
    if start.size == 1 or world().size > 1:
        yield
        return
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, torch.get_num_threads() // start.local_size))
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=LONGEST_WAIT)
    yield
    part()


def part() -> None:
    """From here on each process works alone."""
    if world().size > 1:
        dist.destroy_process_group()


# --- what the ranks tell each other ------------------------------------------------------------------------------


def gathered(value: R) -> list[R]:
    """What each rank gave, in order, on every rank. Plain values, and tensors on the CPU."""
    size = world().size
    if size == 1:
        return [value]
    found: list[Any] = [None] * size
    dist.all_gather_object(found, value)
    return found


def together(function: Callable[[], R]) -> R:
    """function(), on every rank; a UserError on one of them becomes the UserError of all."""
    if world().size == 1:
        return function()
    result, mistake = _attempt(function)
    for found in gathered(mistake):
        if found is not None:
            raise found
    return result  # type: ignore[return-value]


def first_of_each_machine_first(function: Callable[[], R]) -> R:
    """`together`, but where a machine has several processes the first one goes ahead: what it downloads, the others find."""
    if launch().local_rank == 0:
        result = together(function)
        together(lambda: None)
        return result
    together(lambda: None)
    return together(function)


def on_main(function: Callable[[], R]) -> R:
    """What `function` gives on the main rank, where alone it is called, on every rank; likewise a UserError."""
    if world().size == 1:
        return function()
    answer: list[Any] = [_attempt(function) if world().is_main else None]
    dist.broadcast_object_list(answer)
    result, mistake = answer[0]
    if mistake is not None:
        raise mistake
    return result


@contextmanager
def entered(context: AbstractContextManager[R]) -> Iterator[R]:
    """`with context:` on every rank, or, where one of them cannot enter it, on none."""
    with ExitStack() as stack:
        yield together(lambda: stack.enter_context(context))


@dataclass(frozen=True)
class Moment:
    """What decides whether training goes on: seconds so far, and a signal to stop."""

    seconds: float
    signum: int | None


def agreed(own: Moment) -> Moment:
    """The same moment for all ranks: the longest of their times, and a signal that any of them got."""
    if world().size == 1:
        return own
    told = torch.tensor([own.seconds, own.signum or 0], dtype=torch.float64)
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return Moment(float(told[0]), int(told[1]) or None)


def mean_over_ranks(values: Tensor) -> Tensor:
    """The mean of the ranks' tensors, of equal shapes, on every rank; the terms are added in the same order everywhere."""
    size = world().size
    if size == 1:
        return values
    found = [torch.empty_like(values) for _ in range(size)]
    dist.all_gather(found, values.contiguous())
    return torch.stack(found).mean(0)


# --- work that is dealt out --------------------------------------------------------------------------------------


def sharded(parts: Sequence[P], function: Callable[[P], R]) -> list[R]:
    """[function(part) for part in parts], dealt out among the ranks; every rank gets all the results, on the CPU.

    The results are the same for any number of ranks if each depends on its part alone: random numbers must come from a seed of
    the part's own.
    """
    here = world()
    if here.size == 1:
        return [function(part) for part in parts]
    own: list[R] | Exception
    try:
        own = [function(part) for part in parts[here.rank :: here.size]]
    except Exception as failure:  # the others wait for an answer
        own = failure
    dealt = []
    for found in gathered(own):
        if isinstance(found, Exception):
            raise found
        dealt.append(found)
    return [dealt[index % here.size][index // here.size] for index in range(len(parts))]


def noise_of_its_own(seed: int, step: int) -> None:
    """From here, `step`, on this rank's random numbers are like no other's; the main rank's go on as they would alone."""
    here = world()
    if not here.is_main:
        torch.manual_seed(seed_for(seed, f"rank {here.rank} from step {step}"))


def _attempt(function: Callable[[], R]) -> tuple[R | None, UserError | None]:
    try:
        return function(), None
    except UserError as mistake:
        return None, mistake
