"""The numbers of generated pictures: are they like the data, do they cover it, are all classes there, are they new?"""

import dataclasses

import torch
from torch import Tensor

from genexp.data.images import ImageData
from genexp.metrics.classifier import Classifier, in_parts, train_classifier
from genexp.metrics.samples import first_of_equals, likeness, nearest_train_ratio
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Metric, Subject

PIXEL_COMPONENTS = 64  # the principal components of the pixels that pictures are compared in
COMPARED = 2_000  # pictures of each kind at most


def sample_numbers(subject: Subject, samples: Tensor) -> dict[str, Metric]:
    """Precision, recall, density and coverage (k = 5) of samples against one half of the training pictures.

    In two spaces: principal components of the pixels and, where there are classes, the features of a small classifier that is
    trained here (names that end in /classifier). `real_vs_real/…` is what the other half gets: the best that can be asked.
    """
    data: ImageData = subject.data
    samples = samples.to(subject.device)
    with seeded(seed_for(subject.settings.seed, "likeness"), subject.device), torch.autocast(subject.device.type, enabled=False):
        order = torch.randperm(len(data.train))
        half = min(len(order) // 2, COMPARED, len(samples))  # as many of each: the numbers depend on it
        if half < 8:
            return {}
        real, other = (data.train[part].batch().x for part in (order[:half], order[half : 2 * half]))
        fake = samples[:half]
        equals = first_of_equals(real, other, fake)
        metrics = _compare("", _principal(real, other, fake)[equals])
        metrics["nearest_train_ratio"] = nearest_train_ratio(fake, data.test.few(COMPARED).batch().x, data.train.x)
        if data.spec.classes:
            model = train_classifier(data.train, len(data.spec.classes), subject.settings.evaluation.classifier_steps)
            features = torch.cat([in_parts(model.features, x) for x in (real, other, fake)])  # type: ignore[arg-type]
            metrics |= _compare("/classifier", features[equals])
            metrics |= class_shares(model, samples, data)
    return metrics


def class_shares(model: Classifier, samples: Tensor, data: ImageData) -> dict[str, Metric]:
    """The share of the samples in each class as the classifier sees it; and how often it is right on test pictures."""
    called = in_parts(model, samples).argmax(1)
    test = data.test.few(COMPARED)
    assert test.label is not None
    right = (in_parts(model, test.batch().x).argmax(1) == test.label).double().mean()
    shares: dict[str, Metric] = {
        f"share/{name}": float((called == index).double().mean()) for index, name in enumerate(data.spec.classes)
    }
    return {"classifier_accuracy": float(right), **shares}


def _compare(ending: str, features: Tensor) -> dict[str, Metric]:
    """Of features (3n, d): the real pictures', the other half's, the fakes'."""
    real, other, fake = features.chunk(3)
    found, best = dataclasses.asdict(likeness(real, fake)), dataclasses.asdict(likeness(real, other))
    return {f"{name}{ending}": value for name, value in found.items()} | {
        f"real_vs_real/{name}{ending}": value for name, value in best.items()
    }


def _principal(*sets: Tensor) -> Tensor:
    """All pictures of all sets, one after another, in the leading principal components of the first set's pixels."""
    real = sets[0].flatten(1)
    mean = real.mean(0)
    count = min(PIXEL_COMPONENTS, len(real) - 1, real.shape[1])
    _, _, directions = torch.pca_lowrank(real - mean, count, center=False, niter=3)
    return torch.cat([(x.flatten(1) - mean) @ directions for x in sets])
