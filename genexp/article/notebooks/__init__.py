"""The article's case studies as the author of a notebook would write them: the yardstick of `genexp bench`.

Nothing of genexp's models or trainer is used. Each module has `train(data, gate)`, which trains until the gate stops it.
"""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn


class Gate(Protocol):
    """What a loop passes before each of its steps, and by which it is measured and ended."""

    def announce(self, model: nn.Module, batch_size: int, loss: Callable[[], Tensor]) -> None:
        """What is trained, before the first step: `loss` is that of one batch."""

    def restart(self) -> None:
        """The training begins now."""

    def step(self) -> None:
        """A step begins now."""

    @property
    def due(self) -> bool:
        """Whether the model is to be judged."""

    def judge(self, quality: Callable[[], tuple[float, bool]]) -> None:
        """How good the model is, and whether that is enough."""
