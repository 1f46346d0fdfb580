"""Grey pictures made into zeros and ones: p(bit = 1) is the grey, each pixel by itself."""

from typing import Any, Literal

import torch
from torch import Tensor

from genexp.data.base import Batch, EpochStream, Kind
from genexp.errors import UserError

Binarise = Literal["none", "dynamic", "static"]
SAID: dict[Binarise, str] = {
    "dynamic": "zeros and ones drawn by the greys, afresh each time in training, and once for validation and test",
    "static": "zeros and ones drawn once by the greys (our own draw, not Larochelle's file)",
}
_PART = 4_096  # pictures that random numbers are held for at a time


def kind_of(binarise: Binarise) -> Kind:
    """What the values of the pictures then are."""
    return "unit" if binarise == "none" else "bits"


def check_grey(channels: int) -> None:
    """UserError where the pictures are in colour."""
    if channels != 1:
        raise UserError("dataset.binarise draws zeros and ones by greys, and these are in colour", hint="dataset.channels=1")


def bits_of(greys: Tensor, seed: int) -> Tensor:
    """Bytes 0 and 255 drawn once by the greys, bytes k of any shape (n, …) on the CPU: 255 with probability k/255, exactly."""
    generator = torch.Generator().manual_seed(seed)
    below = (torch.randint(255, part.shape, dtype=torch.uint8, generator=generator) < part for part in greys.split(_PART))
    return 255 * torch.cat([*below]).byte()


class BinarisedStream:
    """Another stream's batches, greys in [0, 1], made into zeros and ones anew."""

    def __init__(self, stream: EpochStream, seed: int, device: torch.device) -> None:
        self.stream, self.steps_per_epoch = stream, stream.steps_per_epoch
        self.generator = torch.Generator(device).manual_seed(seed)

    def next(self) -> Batch:
        batch = self.stream.next()
        return Batch(torch.bernoulli(batch.x.clamp(0, 1), generator=self.generator), batch.label)

    def state_dict(self) -> dict[str, Any]:
        return {"stream": self.stream.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.stream.load_state_dict(state["stream"])
        self.generator.set_state(state["generator"].cpu())
