"""Generated pictures: are they like the data, do they cover it, are all classes there?

Precision, recall, density and coverage (k = 5) are of samples against one half of the training pictures, in two spaces: principal
components of the pixels and, where there are classes, the features of a small classifier that is trained here (names that end in
/classifier). `real_vs_real/…` is what the other half gets: the best that can be asked.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from genexp.data.images import ImageData
from genexp.measures.classifier import Classifier, in_parts, train_classifier
from genexp.measures.copies import MOST, compared
from genexp.measures.neighbours import Likeness, first_of_equals, likeness
from genexp.measures.record import Value, Values, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

PIXEL_COMPONENTS = 64  # the principal components of the pixels that pictures are compared in
DATA = {"examples", "pictures"}

Found = dict[str, dict[str, Value]]  # by name and ending


@once
def numbers(subject: Subject) -> Found:
    """All of them, which share their random numbers; none where there are too few pictures."""
    data, found = subject.data, Found()
    samples = subject.samples.to(subject.device)
    with seeded(seed_for(subject.settings.seed, "likeness"), subject.device), torch.autocast(subject.device.type, enabled=False):
        order = torch.randperm(len(data.train))
        half = compared(len(order), len(samples))  # as many of each: the numbers depend on it
        if not half:
            return found
        real, other = (data.train[part].batch().x for part in (order[:half], order[half : 2 * half]))
        fake = samples[:half]
        equals = first_of_equals(real, other, fake)
        _compare(found, "", _principal(real, other, fake)[equals])
        if data.spec.classes:
            model = train_classifier(data.train, len(data.spec.classes), subject.settings.evaluation.classifier_steps)
            features = torch.cat([in_parts(model.features, x) for x in (real, other, fake)])  # type: ignore[arg-type]
            _compare(found, "classifier", features[equals])
            _class_shares(found, model, samples, data)
    return found


def _compare(found: Found, ending: str, features: Tensor) -> None:
    """Of features (3n, d): the real pictures', the other half's, the fakes'."""
    real, other, fake = features.chunk(3)
    value, best = likeness(real, fake), likeness(real, other)
    for name in Likeness.__dataclass_fields__:
        found.setdefault(name, {})[ending] = Value(getattr(value, name), real_vs_real=getattr(best, name))


def _class_shares(found: Found, model: Classifier, samples: Tensor, data: ImageData) -> None:
    """The share of the samples in each class as the classifier sees it; and how often it is right on test pictures."""
    called = in_parts(model, samples).argmax(1)
    test = data.test.few(MOST)
    assert test.label is not None
    right = (in_parts(model, test.batch().x).argmax(1) == test.label).double().mean()
    found["classifier_accuracy"] = {"": Value(float(right))}
    found["share"] = {name: Value(float((called == index).double().mean())) for index, name in enumerate(data.spec.classes)}


def _principal(*sets: Tensor) -> Tensor:
    """All pictures of all sets, one after another, in the leading principal components of the first set's pixels."""
    real = sets[0].flatten(1)
    mean = real.mean(0)
    count = min(PIXEL_COMPONENTS, len(real) - 1, real.shape[1])
    _, _, directions = torch.pca_lowrank(real - mean, count, center=False, niter=3)
    return torch.cat([(x.flatten(1) - mean) @ directions for x in sets])


def _of(subject: Subject, name: str) -> Mapping[str, Value] | None:
    return numbers(subject).get(name)


@measure(
    "precision",
    "share of samples that lie among real pictures (k = 5)",
    better="higher",
    data=DATA,
    constraint="resemblance",
)
def precision(subject: Subject) -> Values:
    return _of(subject, "precision")


@measure("recall", "share of real pictures that lie among samples (k = 5)", better="higher", data=DATA)
def recall(subject: Subject) -> Values:
    return _of(subject, "recall")


@measure("density", "how densely samples lie among real pictures (k = 5)", better="higher", data=DATA)
def density(subject: Subject) -> Values:
    return _of(subject, "density")


@measure(
    "coverage",
    "share of real pictures with a sample nearby (k = 5)",
    better="higher",
    headline=80,
    data=DATA,
    constraint="coverage",
)
def coverage(subject: Subject) -> Values:
    return _of(subject, "coverage")


@measure(
    "classifier_accuracy",
    "of the small classifier whose features and opinions are used",
    better="higher",
    data=DATA | {"classes"},
)
def classifier_accuracy(subject: Subject) -> Values:
    return _of(subject, "classifier_accuracy")


@measure("share", "share of the samples that are of this class, by the classifier", data=DATA | {"classes"})
def share(subject: Subject) -> Values:
    return _of(subject, "share")
