"""Generated pictures: are they like the data, do they cover it, are all classes there?

Precision, recall, density and coverage (k = 5) are of samples against one half of the training pictures, in two spaces: principal
components of the pixels and, where there are classes, the features of a small classifier that is trained here (names that end in
/classifier). `real_vs_real/…` is what the other half gets: the best that can be asked.
"""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from genexp.data.images import ImageData
from genexp.machine.device import all_digits
from genexp.measures.classifier import Classifier, in_parts, train_classifier
from genexp.measures.copies import MOST, compared
from genexp.measures.distances import KERNEL, frechet, mmd, share_variation
from genexp.measures.neighbours import COVERAGE, DENSITY, PRECISION, RECALL, Likeness, first_of_equals, likeness
from genexp.measures.on_trial import Clouds, on_trial
from genexp.measures.record import Value, Values, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

PIXEL_COMPONENTS = 64  # the principal components of the pixels that pictures are compared in
FEW = 1_000  # of each, where all pairs are summed
DATA = {"examples", "pictures"}

Found = dict[str, dict[str, Value]]  # by name and ending


@once
def numbers(subject: Subject) -> Found:
    """All of them, which share their random numbers; none where there are too few pictures."""
    data, found = subject.data, Found()
    samples = subject.samples.to(subject.device)
    with seeded(seed_for(subject.settings.seed, "likeness"), subject.device), all_digits(subject.device):
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
    real, other, fake = (x[:FEW] for x in (real, other, fake))
    found.setdefault("mmd", {})[ending] = Value(mmd(fake, real), real_vs_real=mmd(other, real))
    found.setdefault("frechet", {})[ending] = Value(frechet(fake, real), real_vs_real=frechet(other, real))


def _class_shares(found: Found, model: Classifier, samples: Tensor, data: ImageData) -> None:
    """The share of the samples in each class as the classifier sees it; and how often it is right on test pictures."""
    test, train = (part.few(MOST) for part in (data.test, data.train))
    assert test.label is not None
    called, of_test, of_train = (in_parts(model, x).argmax(1) for x in (samples, test.batch().x, train.batch().x))
    found["classifier_accuracy"] = {"": Value(float((of_test == test.label).double().mean()))}
    ours, true, real = (F.one_hot(classes, len(data.spec.classes)) for classes in (called, of_test, of_train))
    found["share_variation"] = {"": Value(share_variation(ours, real), real_vs_real=share_variation(true, real))}
    found["share"] = {name: Value(float((called == index).double().mean())) for index, name in enumerate(data.spec.classes)}


def _principal(*sets: Tensor) -> Tensor:
    """All pictures of all sets, one after another, in the leading principal components of the first set's pixels."""
    return torch.cat([*map(principal(sets[0]), sets)])


def principal(real: Tensor) -> Callable[[Tensor], Tensor]:
    """Pictures (n, *shape) → (n, d), the leading principal components of the pixels of the `real` ones."""
    flat = real.flatten(1)
    mean = flat.mean(0)
    count = min(PIXEL_COMPONENTS, len(flat) - 1, flat.shape[1])
    _, _, directions = torch.pca_lowrank(flat - mean, count, center=False, niter=3)
    return lambda x: (x.flatten(1) - mean) @ directions


def _of(subject: Subject, name: str) -> Mapping[str, Value] | None:
    return numbers(subject).get(name)


@measure(
    "precision",
    PRECISION,
    better="higher",
    data=DATA,
    sees=("shift",),
    cannot_see=("copies", "lost_mode", "noisy_copies", "sharpened", "wrong_weight"),
    constraint="resemblance",
)
def precision(subject: Subject) -> Values:
    return _of(subject, "precision")


@measure(
    "recall",
    RECALL,
    better="higher",
    data=DATA,
    sees=("few_distinct", "lost_mode", "shift"),
    cannot_see=("copies", "noisy_copies", "outliers", "wrong_weight"),
)
def recall(subject: Subject) -> Values:
    return _of(subject, "recall")


@measure(
    "density",
    DENSITY,
    better="higher",
    data=DATA,
    sees=("shift",),
    cannot_see=("blur", "copies", "lost_mode", "noisy_copies", "outliers", "sharpened", "wrong_weight"),
)
def density(subject: Subject) -> Values:
    return _of(subject, "density")


@measure(
    "coverage",
    COVERAGE,
    better="higher",
    headline=80,
    data=DATA,
    sees=("few_distinct", "lost_mode", "shift"),
    cannot_see=("copies", "noisy_copies", "outliers", "wrong_weight"),
    constraint="coverage",
)
def coverage(subject: Subject) -> Values:
    return _of(subject, "coverage")


@measure(
    "classifier_accuracy",
    "of the small classifier whose features and opinions are used",
    better="higher",
    unit="0 to 1",
    data=DATA | {"classes"},
)
def classifier_accuracy(subject: Subject) -> Values:
    return _of(subject, "classifier_accuracy")


@measure("share", "share of the samples that are of this class, by the classifier", data=DATA | {"classes"})
def share(subject: Subject) -> Values:
    return _of(subject, "share")


@measure(
    "mmd",
    KERNEL,
    better="lower",
    data=DATA,
    sees=("few_distinct", "shift"),
    cannot_see=("copies", "noisy_copies", "outliers"),
)
def mmd_of_pictures(subject: Subject) -> Values:
    return _of(subject, "mmd")


@measure(
    "frechet",
    "Fréchet distance of features' means and covariances, by our own classifier: no published FID",
    better="lower",
    data=DATA,
    sees=("few_distinct", "lost_mode", "shift"),
    cannot_see=("copies", "noisy_copies"),
)
def frechet_of_pictures(subject: Subject) -> Values:
    return _of(subject, "frechet")


@measure(
    "share_variation",
    "half the sum of what class shares of samples differ from those of real pictures by, by the classifier",
    better="lower",
    unit="0 to 1",
    data=DATA | {"classes"},
    sees=("few_distinct", "lost_mode"),
    cannot_see=("blur", "copies", "noisy_copies", "outliers"),
)
def variation_of_shares(subject: Subject) -> Values:
    return _of(subject, "share_variation")


@on_trial("precision", "recall", "density", "coverage")
def neighbours(clouds: Clouds) -> list[float]:
    found = likeness(clouds.real, clouds.samples)
    return [getattr(found, name) for name in Likeness.__dataclass_fields__]


@on_trial("share_variation", space="classes")
def shares(clouds: Clouds) -> list[float]:
    return [share_variation(clouds.samples, clouds.real)]
