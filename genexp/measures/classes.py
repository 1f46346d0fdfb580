"""How well a latent-variable model tells the classes of pictures: by neighbours, linearly, by Bayes' rule."""

import numpy as np
import torch

from genexp.data.base import Batch
from genexp.measures.bounds import bounds
from genexp.measures.latents import latent_points, test_latents
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL, DATA = {"latents"}, {"examples", "pictures", "classes"}


@once
def guesses(subject: Subject) -> dict[str, np.ndarray]:
    """The classes of the test pictures by each way, (n,); by Bayes' rule alone where the encoder is told the class."""
    if {"classes", "posterior"} <= subject.can:
        return {"bayes": by_bayes(subject, subject.test, len(subject.data.spec.classes))}
    train, label = latent_points(subject, subject.data.train).numpy(), subject.data.train.label.cpu().numpy()
    test = test_latents(subject).numpy()
    return {"knn": knn_classes(train, label, test), "linear": linear_classes(train, label, test)}


def by_bayes(subject: Subject, batch: Batch, classes: int, k: int = 16) -> np.ndarray:
    """The class c of the largest p(c|x) ∝ p(x|c), all classes alike; ln p(x|c) by the importance-weighted bound of k samples."""
    scores = []
    with seeded(seed_for(subject.settings.seed, "bayes"), subject.device):
        for index in range(classes):
            label = torch.full((len(batch.x),), index, device=batch.x.device)
            scores.append(bounds(subject.model, Batch(batch.x, label), k).iwae_nll)
    return torch.stack(scores).argmin(0).cpu().numpy()


def truth(subject: Subject) -> np.ndarray:
    return subject.test_part.label.cpu().numpy()  # type: ignore[union-attr]


def confusion(subject: Subject) -> np.ndarray:
    """Which class was taken for which, (classes, classes), by the first of the ways."""
    return confusion_counts(truth(subject), next(iter(guesses(subject).values())), len(subject.data.spec.classes))


def _accuracy(subject: Subject, way: str) -> Values:
    guess = guesses(subject).get(way)
    return None if guess is None else Value(float((guess == truth(subject)).mean()))


@measure(
    "knn_accuracy",
    "classes of test pictures from their neighbours in latent space",
    better="higher",
    headline=85,
    model=MODEL,
    data=DATA,
)
@cannot_see("everything but classes; classes were not used in training")
def knn_accuracy(subject: Subject) -> Values:
    return _accuracy(subject, "knn")


@measure("linear_accuracy", "classes of test pictures from latent points, linearly", better="higher", model=MODEL, data=DATA)
@cannot_see("classes that lie in several clusters")
def linear_accuracy(subject: Subject) -> Values:
    return _accuracy(subject, "linear")


@measure(
    "bayes_accuracy",
    "share of test pictures whose class Bayes' rule finds",
    better="higher",
    headline=86,
    model=MODEL | {"classes", "posterior"},
    data=DATA,
)
@cannot_see("everything but classes")
def bayes_accuracy(subject: Subject) -> Values:
    return _accuracy(subject, "bayes")


def knn_classes(train: np.ndarray, train_label: np.ndarray, test: np.ndarray, k: int = 10) -> np.ndarray:
    """The class of most of the k training points (n, d) nearest to each test point (m, d), (m,)."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(min(k, len(train))).fit(train, train_label).predict(test)


def linear_classes(train: np.ndarray, train_label: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The class that a multinomial logistic regression on the training points (n, d) gives each test point (m, d), (m,)."""
    if len(np.unique(train_label)) < 2:
        return np.full(len(test), train_label[0])
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train, train_label).predict(test)


def confusion_counts(truth: np.ndarray, guess: np.ndarray, classes: int) -> np.ndarray:
    """How often class i (rows) was taken for class j (columns), (classes, classes)."""
    return np.bincount(truth * classes + guess, minlength=classes**2).reshape(classes, classes)
