"""A target: a density known up to its integral, without a single example."""

from typing import Self

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import Batch, DataSpec


class Target:
    """Base of targets: what is left to say is `spec`, `describe` and `log_density`, and `log_z` where it is known.

    Where others give examples it gives *probes*: points of N(0, scale² I), that a model may look at before its first step to
    learn how wide the target is, and whose number says how many samples of its own a batch asks for.
    """

    spec: DataSpec
    knows: frozenset[Known] = frozenset({"target", "log_density"})
    device = torch.device("cpu")
    scale = 1.0  # about how far the mass lies from the origin
    log_z: float  # ln ∫ exp(log_density), where it knows "log_z"

    def log_density(self, x: Tensor) -> Tensor:
        """ln p(x) up to a constant, in nats: (n, *shape) → (n,), differentiable."""
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError

    def to(self, device: torch.device) -> Self:
        self.device = device
        return self

    def probes(self, size: int, generator: torch.Generator) -> Batch:
        x = self.scale * torch.randn(size, *self.spec.shape, generator=generator, device=self.device)
        return Batch(x, log_density=self.log_density)

    def train_stream(self, batch_size: int, seed: int) -> "ProbeStream":
        return ProbeStream(self, batch_size, seed)

    def first_look(self, size: int, seed: int) -> Batch:
        return self.heldout(size, seed)

    def examples(self, size: int, seed: int) -> Batch:
        return self.heldout(size, seed)

    def heldout(self, size: int, seed: int) -> Batch:
        return self.probes(size, torch.Generator(self.device).manual_seed(seed))


class ProbeStream:
    """Batches of probes, without end."""

    steps_per_epoch = None

    def __init__(self, target: Target, batch_size: int, seed: int) -> None:
        self.target, self.batch_size = target, batch_size
        self.generator = torch.Generator(target.device).manual_seed(seed)

    def next(self) -> Batch:
        return self.target.probes(self.batch_size, self.generator)

    def state_dict(self) -> dict[str, Tensor]:
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.generator.set_state(state["generator"].cpu())
