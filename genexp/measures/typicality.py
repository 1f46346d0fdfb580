"""On request: other pictures by the likelihood that a model gives them, and why that alone tells them apart badly.

A density is not a probability: pictures that are simpler than all of the data can have a higher one, as the middle of a Gaussian
in many dimensions has, where none of its samples is. Three scores, the higher the less a picture is like the training part:

    likelihood          −ln p(x)
    typicality          |−ln p(x) − H|,  H = −mean ln p of training pictures
    likelihood ratio    ln b(x) − ln p(x), b a background model that knows how neighbouring pixels are alike, and no shapes

b is a table of counts given five neighbours in eight shades, of training pictures a tenth of whose pixels have a random grey.
Sources: Nalisnick et al., Do Deep Generative Models Know What They Don't Know? (2019), and Detecting Out-of-Distribution Inputs
to Deep Generative Models Using Typicality (2019); Ren et al., Likelihood Ratios for Out-of-Distribution Detection (2019).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from genexp.data.images import ImageSet
from genexp.measures import anomalies
from genexp.measures.likelihood import likelihood, of_test
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.simple_bits import greys_of, table_of
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MOST = 1_000  # pictures of each set
MUTATED = 0.1  # share of the pixels that the background model sees a random grey of
MODEL, DATA = {"exact|estimate"}, {"examples", "pictures"}
HIGH = "AUROC of telling other pictures from test pictures"


@dataclass(frozen=True)
class Judged:
    """Of n pictures, in nats, (n,) each: ln p by the model and ln b by the background model; `typical`: H."""

    log_prob: np.ndarray
    background: np.ndarray
    typical: float

    @property
    def likelihood(self) -> np.ndarray:
        return -self.log_prob

    @property
    def typicality(self) -> np.ndarray:
        return np.abs(-self.log_prob - self.typical)

    @property
    def ratio(self) -> np.ndarray:
        return self.background - self.log_prob


@once
def judged(subject: Subject) -> dict[str, Judged]:
    """The test pictures under "test", and each of the other sets."""
    levels, train = getattr(getattr(subject.model, "head", subject.model), "levels", None) or 256, subject.data.train
    typical = likelihood(subject, subject.data.examples(MOST, seed_for(subject.settings.seed, "typical")).x).log_prob
    with seeded(seed_for(subject.settings.seed, "background"), subject.device):
        seen = greys_of(train, levels)
        mutated = torch.where(torch.rand(seen.shape, device=seen.device) < MUTATED, torch.randint_like(seen, levels), seen)
        background = table_of(mutated, levels)

    def judge(pictures: ImageSet, log_prob: torch.Tensor) -> Judged:
        log_b = background.log_prob(greys_of(pictures, levels)).view(len(pictures), -1).sum(1)
        return Judged(log_prob.cpu().numpy(), log_b.cpu().numpy(), -float(typical.mean()))

    parts = {name: part[:MOST] for name, part in anomalies.others(subject).items()}
    found = {name: judge(part, likelihood(subject, part.batch().x).log_prob) for name, part in parts.items()}
    return {"test": judge(subject.test_part[:MOST], of_test(subject).log_prob[:MOST]), **found}


def told_apart(subject: Subject, by: Callable[[Judged], np.ndarray]) -> dict[str, Value]:
    """The AUROC of each other set."""
    found = judged(subject)
    usual = by(found["test"])
    return {name: Value(anomalies.auroc(usual, by(each))) for name, each in found.items() if name != "test"}


@measure(
    "likelier", "share of other pictures that have a higher likelihood than half of the test pictures: a half would be chance",
    model=MODEL, data=DATA, asked=anomalies.asked,
)  # fmt: skip
@cannot_see("whether a threshold from both sides would tell them apart")
def likelier(subject: Subject) -> dict[str, Value]:
    found = judged(subject)
    middle = np.median(found["test"].log_prob)
    return {name: Value(float((each.log_prob > middle).mean())) for name, each in found.items() if name != "test"}


@measure(
    "auroc_nll",
    f"{HIGH} by −ln p(x): below 0.5 they are likelier",
    better="higher",
    model=MODEL,
    data=DATA,
    asked=anomalies.asked,
)
@cannot_see("other pictures that are likelier than the test pictures")
def auroc_nll(subject: Subject) -> dict[str, Value]:
    return told_apart(subject, lambda found: found.likelihood)


@measure(
    "auroc_typicality", f"{HIGH} by how far ln p(x) is from its mean over training pictures", better="higher", model=MODEL,
    data=DATA, asked=anomalies.asked,
)  # fmt: skip
@cannot_see("other pictures whose likelihood is the usual one")
def auroc_typicality(subject: Subject) -> dict[str, Value]:
    return told_apart(subject, lambda found: found.typicality)


@measure(
    "auroc_likelihood_ratio", f"{HIGH} by how much likelier a background model finds them", better="higher", model=MODEL,
    data=DATA, asked=anomalies.asked,
)  # fmt: skip
def auroc_likelihood_ratio(subject: Subject) -> dict[str, Value]:
    return told_apart(subject, lambda found: found.ratio)
