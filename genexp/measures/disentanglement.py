"""Of models with latents, on data whose factors are known: whether each factor is what one latent says.

Two numbers, each by one definition that is fixed here, and both 1 where the latents are the factors themselves:

    MIG = mean_k (I(z_j1; v_k) − I(z_j2; v_k)) / H(v_k),   j1, j2 the two latents that say most of factor k,

with one z ~ q(z|x) of each test example, each latent cut into 20 parts of as many examples, and I of the table of counts; and the
FactorVAE score: of 64 examples alike in one factor, which latent varies least for its variance over all examples? The share of
such questions in which that latent tells the factor, by what most of as many other questions said.

What shuffled factors give stands beside them: I of a table of counts is never 0.

Sources: Chen et al., Isolating Sources of Disentanglement in VAEs (2018); Kim & Mnih, Disentangling by Factorising (2018).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.measures.latents import drawn_latents, test_latents
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.subject import Subject, once

BINS = 20
QUESTIONS, ALIKE = 2_000, 64
COLLAPSED = 0.05  # variance of the posterior means, of a latent that is not asked
PARTS = 10  # of the examples, for a standard error
MODEL, DATA = {"latents"}, {"examples", "pictures", "factors"}


@dataclass(frozen=True)
class Information:
    """I(z_j; v_k), (latent, factors), and H(v_k), (factors,), in nats."""

    mutual: Tensor
    entropy: Tensor

    @property
    def shares(self) -> Tensor:
        """I/H, (latent, factors), between 0 and 1."""
        return self.mutual / self.entropy.clamp(min=1e-12)

    @property
    def gaps(self) -> Tensor:
        """What the first latent says of each factor more than the second, as a share of all there is to say; (factors,)."""
        two = torch.cat([self.shares, torch.zeros(1, self.shares.shape[1])]).topk(2, dim=0).values
        return two[0] - two[1]


def information(z: Tensor, values: Tensor) -> Information:
    """Of latents z (n, latent) and factors (n, factors), by counts."""
    levels, n = int(values.max()) + 1, len(z)
    edges = torch.quantile(z.double(), torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1], dim=0).T.contiguous()
    bins = torch.searchsorted(edges, z.double().T.contiguous(), right=True)  # (latent, n)
    tables = [
        [torch.bincount(row * levels + v, minlength=BINS * levels).view(BINS, levels) / n for v in values.T] for row in bins
    ]
    joint = torch.stack([torch.stack(row) for row in tables]).double()  # (latent, factors, bins, levels)
    of_values = _entropy(joint.sum(2), 1)
    return Information(of_values + _entropy(joint.sum(3), 1) - _entropy(joint, 2), of_values[0])


def _entropy(p: Tensor, axes: int) -> Tensor:
    """In nats, of distributions over the last axes."""
    return torch.special.entr(p).flatten(-axes).sum(-1)


def factor_score(z: Tensor, values: Tensor) -> float:
    """The FactorVAE score of latents z (n, latent) and factors (n, factors). Random numbers are those of the moment."""
    asked = z.double()[:, z.var(0) > COLLAPSED]
    if asked.shape[1] == 0:
        asked = torch.zeros(len(z), 1, dtype=torch.float64)
    answers, factors = _answers(asked, values), values.shape[1]
    (latent, factor), (new_latent, new_factor) = (tuple(half.T) for half in answers.split(QUESTIONS))
    votes = torch.bincount(latent * factors + factor, minlength=asked.shape[1] * factors).view(-1, factors)
    return float((votes.argmax(1)[new_latent] == new_factor).double().mean())


def _answers(z: Tensor, values: Tensor) -> Tensor:
    """Twice as many questions: the latent that varies least and the factor that does not vary, (2·questions, 2)."""
    n, factors = values.shape
    factor, example = torch.randint(factors, (2 * QUESTIONS,)), torch.randint(n, (2 * QUESTIONS,))
    order = values.argsort(0)
    first = torch.stack([torch.searchsorted(v.sort().values, v) for v in values.T.contiguous()], dim=1)
    last = torch.stack([torch.searchsorted(v.sort().values, v, right=True) for v in values.T.contiguous()], dim=1)
    start, end = first[example, factor], last[example, factor]  # of all examples that are like this one
    at = start[:, None] + (torch.rand(2 * QUESTIONS, ALIKE) * (end - start)[:, None]).long()
    alike = z[order[at, factor[:, None]]]  # (questions, alike, latent)
    least = (alike.var(1) / z.var(0).clamp(min=1e-12)).argmin(1)
    return torch.stack([least, factor], dim=1)


def factors_of(subject: Subject) -> Tensor:
    """Of the test examples that are used, (n, factors)."""
    values: Tensor = subject.data.test_factors[: len(subject.test_part)]
    return values


@once
def found(subject: Subject) -> Information:
    return information(drawn_latents(subject), factors_of(subject))


@measure(
    "mig",
    "mutual information gap: what one latent says of a factor and no other does, a share of its entropy; 1 at most",
    better="higher",
    headline=10,
    model=MODEL,
    data=DATA,
)
@cannot_see("latents that share a factor, which may be as good a description")
def mig(subject: Subject) -> Values:
    z, values = drawn_latents(subject), factors_of(subject)
    order = torch.randperm(len(z))
    chance = float(information(z, values[order]).gaps.mean())
    parts = [information(few, v).gaps.mean() for few, v in zip(order_split(z, order), order_split(values, order), strict=True)]
    error = float(torch.stack(parts).std() / len(parts) ** 0.5) if len(parts) > 1 else None
    gaps = dict(zip(subject.data.factors.names, found(subject).gaps.tolist(), strict=True))
    return {
        "": Value(float(found(subject).gaps.mean()), exact=1.0, baseline=chance, error=error),
        **{name: Value(gap) for name, gap in gaps.items()},
    }


def order_split(of_all: Tensor, order: Tensor) -> list[Tensor]:
    """Ten parts at random, or fewer of few examples, for the error of a number."""
    return [*of_all[order].chunk(min(PARTS, max(1, len(order) // 200)))]


@measure(
    "factor_score",
    "FactorVAE score: share of questions, which factor is fixed, that the steadiest latent answers; 1 at most",
    better="higher",
    headline=11,
    model=MODEL,
    data=DATA,
)
@cannot_see("how exactly a latent follows its factor")
def factor_score_of(subject: Subject) -> Value:
    z, values = test_latents(subject), factors_of(subject)
    score = factor_score(z, values)
    chance = factor_score(z, values[torch.randperm(len(values))])
    return Value(score, exact=1.0, baseline=chance, error=(score * (1 - score) / QUESTIONS) ** 0.5)
