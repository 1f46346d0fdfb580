"""What a run is measured on while it trains."""

from contextlib import AbstractContextManager
from typing import Any

import torch

from genexp.data.base import Batch, Dataset
from genexp.models.base import GenerativeModel, Terms
from genexp.seeds import seed_for, seeded


def heldout_batch(data: Dataset, size: int, seed: int) -> Batch:
    """The examples that every held-out loss of a run is measured on."""
    return data.heldout(size, seed_for(seed, "held-out"))


def same_noise(device: torch.device) -> AbstractContextManager[None]:
    """Inside, the random numbers of every held-out loss: two of them then differ by the model alone."""
    return seeded(seed_for(0, "validation"), device)


class Watch:
    """What follows a training from one evaluation to the next. Its state is part of every checkpoint.

    `monitor` names the held-out term whose least value marks the best weights, unless the settings name another.
    """

    monitor = "loss"

    def validate(self, model: GenerativeModel, batch: Batch) -> Terms:
        """The held-out terms, "loss" and the monitored one among them."""
        return model.validate(batch)

    def observe(self, model: GenerativeModel, batch: Batch, step: int) -> None:
        """Take down what is wanted later of the model as it is after `step`."""

    def wants(self, step: int) -> bool:
        """Whether `keep` is to be called after `step`; after 0 steps before the first."""
        return False

    def keep(self, model: GenerativeModel, step: int) -> None:
        """Take down the weights as they are after `step`."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass
