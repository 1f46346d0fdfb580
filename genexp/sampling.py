"""Samples of a trained model, a part at a time: those of a run, and those of `genexp sample`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genexp.data.base import DataSpec
from genexp.machine.device import autocast, choose_precision
from genexp.machine.distributed import sharded
from genexp.seeds import seed_for, seeded
from genexp.settings import RunSettings


@dataclass(frozen=True)
class Part:
    """Part `index` of a sequence of samples: `size` are drawn at once, of which the first `kept` belong to it."""

    index: int
    size: int
    kept: int


@dataclass(frozen=True)
class Drawn:
    """Samples x (n, *shape) and, of a conditional model, their classes (n,), on the CPU."""

    x: Tensor
    label: Tensor | None = None


@dataclass(frozen=True)
class Sampler:
    """A sequence of samples that its seed alone decides: the first n are the same however many are drawn, and by whom.

    `classes`: how many a conditional model knows, 0 of any other; they come in turn, or are all `label`.
    """

    model: Any
    settings: RunSettings
    device: torch.device
    classes: int = 0
    label: int | None = None

    @classmethod
    def of(cls, model: Any, spec: DataSpec, settings: RunSettings, device: torch.device, label: int | None = None) -> "Sampler":
        """What a run's own samples come from; all of one class, where a `label` is given."""
        return cls(model, settings, device, len(spec.classes) if "classes" in model.can else 0, label)

    def parts(self, n: int) -> list[Part]:
        """n samples, `evaluation.batch_size` at a time."""
        return list(self._parts(n))

    def _parts(self, n: int) -> Iterator[Part]:
        size = self.settings.evaluation.batch_size
        return (Part(index, size, min(size, n - start)) for index, start in enumerate(range(0, n, size)))

    @torch.no_grad()
    def draw(self, part: Part, seed: int) -> Drawn:
        """The samples of one part of the sequence that `seed` decides."""
        precision = choose_precision(self.settings.trainer.precision, self.device)
        with seeded(seed_for(seed, f"samples/{part.index}"), self.device), autocast(self.device, precision):
            label = self.labels(part.size, part.index * part.size)
            x = self.model.sample(part.size) if label is None else self.model.sample(part.size, label)
        x = x[: part.kept].float() if x.is_floating_point() else x[: part.kept]  # symbols stay whole
        return Drawn(x.cpu(), None if label is None else label[: part.kept].cpu())

    def labels(self, n: int, first: int = 0) -> Tensor | None:
        """The classes, which come in turn, of n samples from that of number `first` on; None where the model knows none."""
        if not self.classes:
            return None
        turn = torch.arange(first, first + n, device=self.device) % self.classes
        return turn if self.label is None else torch.full_like(turn, self.label)

    def draw_all(self, n: int, seed: int) -> Tensor:
        """n samples (n, *shape), the parts dealt out among the processes, every one of which gets all."""
        return torch.cat(sharded(self.parts(n), lambda part: self.draw(part, seed).x))

    def stream(self, n: int, seed: int) -> Iterator[Drawn]:
        """n samples, one part in memory at a time."""
        return (self.draw(part, seed) for part in self._parts(n))
