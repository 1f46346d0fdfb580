"""A target: a density known up to its integral, without a single example."""

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import FreshData


class Target(FreshData):
    """Base of targets: what is left to say is `spec`, `describe` and `log_density`, and `log_z` where it is known.

    Where others give examples it gives *probes*: points of N(0, scale² I), that a model may look at before its first step to
    learn how wide the target is, and whose number says how many samples of its own a batch asks for.
    """

    knows: frozenset[Known] = frozenset({"target", "log_density"})
    scale = 1.0  # about how far the mass lies from the origin

    def log_density(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """ln p(x) up to a constant, in nats: (n, *shape) → (n,), differentiable."""
        raise NotImplementedError

    def describe(self) -> str:
        raise NotImplementedError

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n probes."""
        return self.scale * torch.randn(n, *self.spec.shape, generator=generator, device=self.device)
