"""Heuristics of sampling: samples are then no longer those of p, and none of them has a likelihood of its own here.

Source: Holtzman et al., The Curious Case of Neural Text Degeneration (2020), for the nucleus and what it compares with.
"""

import math
from typing import Annotated

from pydantic import Field
from torch import Tensor

from genexp.autoregressive.base import Heuristic, heuristics

Temperature = Annotated[float, Field(gt=0, le=100)]


@heuristics.register("none")
class Ancestral(Heuristic):
    """Samples of p itself."""

    plain = True

    def forward(self, log_p: Tensor) -> Tensor:
        return log_p


@heuristics.register("temperature")
class Tempered(Heuristic):
    """p^(1/T), normalised: below 1 what is probable becomes more so.

    Args:
        temperature: T.
    """

    def __init__(self, *, temperature: Temperature = 0.8) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, log_p: Tensor) -> Tensor:
        return log_p / self.temperature


@heuristics.register("top_k")
class TopK(Heuristic):
    """Only the k most probable values.

    Args:
        k: how many.
        temperature: of what is left.
    """

    def __init__(self, *, k: Annotated[int, Field(ge=1, le=4096)] = 10, temperature: Temperature = 1.0) -> None:
        super().__init__()
        self.k, self.temperature = k, temperature

    def forward(self, log_p: Tensor) -> Tensor:
        least = log_p.topk(min(self.k, log_p.shape[-1]), dim=-1).values[..., -1:]
        return (log_p / self.temperature).masked_fill(log_p < least, -math.inf)


@heuristics.register("nucleus")
class Nucleus(Heuristic):
    """Only the most probable values, as few as together have the probability `mass`.

    Args:
        mass: of what is kept.
        temperature: of what is left.
    """

    def __init__(self, *, mass: Annotated[float, Field(gt=0, le=1)] = 0.95, temperature: Temperature = 1.0) -> None:
        super().__init__()
        self.mass, self.temperature = mass, temperature

    def forward(self, log_p: Tensor) -> Tensor:
        order = log_p.argsort(-1, descending=True)
        p = log_p.gather(-1, order).softmax(-1)
        outside = p.cumsum(-1) - p >= self.mass  # of the values before it
        return (log_p / self.temperature).masked_fill(outside.gather(-1, order.argsort(-1)), -math.inf)
