"""A study turns a trained model and its data into numbers and pictures."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.machine.distributed import sharded
from genexp.seeds import seed_for, seeded
from genexp.settings import RunSettings
from genexp.training.validation import Watch

Metric = float | int | str | None


@dataclass(frozen=True)
class Subject:
    """What is studied: a trained model, the data it was trained on, and the run's settings."""

    model: Any  # a GenerativeModel, and what else it offers
    data: Any
    settings: RunSettings
    device: torch.device


@dataclass
class Evaluation:
    """What a study found: metrics by name (with `floor/<name>` where a floor is known) and arrays worth keeping.

    `picture` is what a reader of barcodes was given; `scores` is −ln p(x), or its bound, of each example, by data set.
    `notes` say why a number is missing.
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    picture: np.ndarray | None = None
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Study(Watch):
    """Watches a training, measures what came out, and draws it."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    def evaluate(self) -> Evaluation:
        """Every number there is, and the samples."""
        raise NotImplementedError

    def draw(self, evaluation: Evaluation, folder: RunFolder) -> None:
        """Every picture there is, into the run's folder."""
        raise NotImplementedError

    def picture(self, evaluation: Evaluation) -> Image.Image:
        """The samples as one picture."""
        raise NotImplementedError


def draw_samples(subject: Subject) -> torch.Tensor:
    """The run's samples from its model, on the CPU: the same ones every time, however many processes draw them."""
    settings = subject.settings.evaluation
    chunks = sample_chunks(settings.num_samples, settings.batch_size)
    return torch.cat(sharded(chunks, lambda chunk: draw_chunk(subject.model, chunk, subject.settings.seed, subject.device)))


@dataclass(frozen=True)
class Chunk:
    """`size` samples that are drawn at once, from a seed that their place in the sequence decides."""

    index: int
    size: int


def sample_chunks(n: int, batch_size: int) -> list[Chunk]:
    """n samples, `batch_size` at a time."""
    return [Chunk(start // batch_size, min(batch_size, n - start)) for start in range(0, n, batch_size)]


def draw_chunk(model: Any, chunk: Chunk, seed: int, device: torch.device) -> torch.Tensor:
    """The samples of one chunk of a sequence that `seed` decides, on the CPU."""
    with seeded(seed_for(seed, f"samples/{chunk.index}"), device):
        return model.sample(chunk.size).float().cpu()
