"""What a run is measured on while it trains."""

from contextlib import AbstractContextManager

import torch

from genexp.data.base import Batch, Dataset
from genexp.seeds import seed_for, seeded


def heldout_batch(data: Dataset, size: int, seed: int) -> Batch:
    """The examples that every held-out loss of a run is measured on."""
    return data.heldout(size, seed_for(seed, "held-out"))


def same_noise(device: torch.device) -> AbstractContextManager[None]:
    """Inside, the random numbers of every held-out loss: two of them then differ by the model alone."""
    return seeded(seed_for(0, "validation"), device)
