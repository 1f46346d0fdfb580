"""A study turns a trained model and its data into numbers and pictures."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from genexp.artifacts import RunFolder
from genexp.seeds import seed_for, seeded
from genexp.settings import RunSettings
from genexp.validation import Watch

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
    """

    metrics: dict[str, Metric] = field(default_factory=dict)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    picture: np.ndarray | None = None
    scores: dict[str, np.ndarray] = field(default_factory=dict)


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
    """The run's samples from its model, `evaluation.batch_size` at a time, on the CPU: the same ones every time."""
    n, batch_size = subject.settings.evaluation.num_samples, subject.settings.evaluation.batch_size
    sizes = [batch_size] * (n // batch_size) + ([n % batch_size] if n % batch_size else [])
    with seeded(seed_for(subject.settings.seed, "samples"), subject.device):
        return torch.cat([subject.model.sample(size).float().cpu() for size in sizes])
