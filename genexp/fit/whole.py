"""What a fitter learns from that looks at all the training data in every step."""

from typing import Any

from genexp.data.base import Batch, Dataset
from genexp.seeds import seed_for

MOST = 2**31  # examples of a finite set


class Whole:
    """A stream that gives the same batch for ever: the whole training set, each step an epoch."""

    steps_per_epoch: int | None = 1

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def next(self) -> Batch:
        return self.batch

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def whole(data: Dataset, drawn: int, seed: int) -> Whole:
    """All training examples of a finite set; of one that draws every example anew, as many as `drawn`, once and for all."""
    size = MOST if "examples" in data.knows else drawn
    return Whole(data.examples(size, seed_for(seed, "whole")))
