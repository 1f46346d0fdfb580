"""On request: does a model find pictures of other data sets, or altered ones, more surprising than test pictures?"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from genexp.data.base import Batch
from genexp.data.images import ImageSet
from genexp.errors import UserError
from genexp.measures import bounds
from genexp.measures import latent_quadrature as integral
from genexp.measures.altered import MADE, made
from genexp.measures.record import Value, measure
from genexp.registry import datasets
from genexp.subject import Subject, once

MEANING = "AUROC of telling other pictures from test pictures by this score: 0.5 tells nothing apart"
DATA = {"examples", "pictures"}


@dataclass(frozen=True)
class Scores:
    """What a model says of n examples, in nats, (n,) each: bounds of −ln p(x), and −ln p(x) itself; None where it cannot."""

    neg_elbo: np.ndarray | None = None
    iwae_nll: np.ndarray | None = None
    quadrature_nll: np.ndarray | None = None

    @property
    def surprise(self) -> np.ndarray:
        """The one that stands for all."""
        surprise = self.quadrature_nll if self.neg_elbo is None else self.neg_elbo
        assert surprise is not None
        return surprise


def check(subject: Subject) -> None:
    """UserError, before anything is trained, where the data sets that `evaluation.anomalies` names cannot be scored."""
    if subject.settings.evaluation.anomalies and "classes" in subject.can:
        raise UserError("evaluation.anomalies: a conditional model has no score for pictures that are of none of its classes")
    if "examples" in subject.knows:
        others(subject)


@once
def others(subject: Subject) -> dict[str, ImageSet]:
    """Their test parts, by name; and what is made of our own test pictures."""
    found = {}
    for name in subject.settings.evaluation.anomalies:
        if name in MADE:
            found[name] = made(subject.test_part, MADE[name])
            continue
        data = datasets.build({"name": name}, Path(subject.settings.data_dir))
        if data.spec.shape != subject.data.spec.shape:
            ours, theirs = ("×".join(map(str, spec.shape)) for spec in (subject.data.spec, data.spec))
            raise UserError(f"evaluation.anomalies: the pictures of {name} are {theirs}, not {ours}")
        if data.spec.kind != subject.data.spec.kind:
            raise UserError(f"evaluation.anomalies: the values of {name} are of another kind")
        found[name] = data.to(subject.device).test[: subject.settings.evaluation.num_points]
    return found


def scores(subject: Subject, batch: Batch | None = None) -> Scores:
    """Of the test examples, or of others."""
    found: list[Tensor | None] = [None, None, None]
    if "posterior" in subject.can:
        bound = bounds.of_test(subject) if batch is None else bounds.bounds_of(subject, batch)
        found[:2] = bound.neg_elbo, bound.iwae_nll
    if "pairs" in subject.can:
        found[2] = integral.of_test(subject) if batch is None else integral.nll_of(subject, batch)
    return Scores(*(None if values is None else values.double().cpu().numpy() for values in found))


@once
def scores_of_others(subject: Subject) -> dict[str, Scores]:
    return {name: scores(subject, test.batch()) for name, test in others(subject).items()}


def told_apart(usual: Scores, others: dict[str, Scores], by: Callable[[Scores], Any]) -> dict[str, Value]:
    """The AUROC for each of the others, by one score."""
    return {name: Value(auroc(by(usual), by(found))) for name, found in others.items()}


def asked(evaluation: Any) -> bool:
    return bool(evaluation.anomalies)


@measure("auroc_neg_elbo", MEANING, better="higher", model={"latents", "posterior"}, data=DATA, asked=asked)
def auroc_neg_elbo(subject: Subject) -> dict[str, Value]:
    return told_apart(scores(subject), scores_of_others(subject), lambda found: found.neg_elbo)


@measure("auroc_iwae_nll", MEANING, better="higher", model={"latents", "posterior"}, data=DATA, asked=asked)
def auroc_iwae_nll(subject: Subject) -> dict[str, Value]:
    return told_apart(scores(subject), scores_of_others(subject), lambda found: found.iwae_nll)


@measure("auroc_quadrature_nll", MEANING, better="higher", model={"latents", "pairs"}, data=DATA, asked=asked)
def auroc_quadrature_nll(subject: Subject) -> dict[str, Value]:
    return told_apart(scores(subject), scores_of_others(subject), lambda found: found.quadrature_nll)


def auroc(usual: np.ndarray, other: np.ndarray) -> float:
    """The chance that a random score of `other` is above one of `usual`: 0.5 tells nothing apart, 1 everything."""
    from sklearn.metrics import roc_auc_score

    truth = np.concatenate([np.zeros(len(usual)), np.ones(len(other))])
    return float(roc_auc_score(truth, np.concatenate([usual, other])))
