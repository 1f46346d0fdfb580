"""How well a latent-variable model tells the classes of pictures."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.metrics.classify import confusion_counts, knn_classes, linear_classes
from genexp.metrics.latent import active_units, bounds
from genexp.models.base import HasPosterior
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Metric, Subject
from genexp.studies.latent import latent_points, test_part


@dataclass
class Classification:
    """Accuracies by name; and which class was taken for which, (classes, classes), by the first of the ways."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    confusion: np.ndarray | None = None


def classify(subject: Subject, test: Tensor) -> Classification:
    """The classes of test pictures from their latent points, test (n, latent): by neighbours, linearly, by Bayes' rule."""
    found = Classification({"active_units": active_units(test)})
    names, label = subject.data.spec.classes, test_part(subject).label
    if not names or label is None:
        return found
    truth = label.cpu().numpy()
    if getattr(subject.model, "conditional", False) and isinstance(subject.model, HasPosterior):  # its encoder is told the class
        guesses = {"bayes": by_bayes(subject, test_part(subject).batch(), len(names))}
    else:
        train, train_label = latent_points(subject, subject.data.train).numpy(), subject.data.train.label.cpu().numpy()
        guesses = {
            name: way(train, train_label, test.numpy()) for name, way in (("knn", knn_classes), ("linear", linear_classes))
        }
    found.metrics |= {f"{name}_accuracy": float((guess == truth).mean()) for name, guess in guesses.items()}
    found.confusion = confusion_counts(truth, next(iter(guesses.values())), len(names))
    return found


def by_bayes(subject: Subject, batch: Batch, classes: int, k: int = 16) -> np.ndarray:
    """The class c of the largest p(c|x) ∝ p(x|c), all classes alike; ln p(x|c) by the importance-weighted bound of k samples."""
    scores = []
    with seeded(seed_for(subject.settings.seed, "bayes"), subject.device):
        for index in range(classes):
            label = torch.full((len(batch.x),), index, device=batch.x.device)
            scores.append(bounds(subject.model, Batch(batch.x, label), k).iwae_nll)
    return torch.stack(scores).argmin(0).cpu().numpy()
