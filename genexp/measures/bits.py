"""What an example with levels costs in bits."""

import math
from dataclasses import replace

import torch

from genexp.measures.likelihood import Likelihood, likelihood, of_likelihood, of_test
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject

DRAWS = 8
MOST_OF_EIGHT = 1_000  # pictures, as each costs eight times what it does for bits_per_dim


@measure(
    "bits_per_dim",
    "bits that each number of a held-out example costs, at most: nll of numbers with uniform noise, log₂ of their levels added",
    better="lower",
    headline=39,
    model={"exact|estimate"},
    data={"levels", "points", "drawn"},
    constraint="likelihood",
)
@cannot_see("whether samples look right: most bits are spent on fine detail, and little on what a picture shows")
def bits_per_dim(subject: Subject) -> Value:
    """Beside 0, as whole numbers have no probability above 1, and what equal probabilities would cost."""
    return of_levels(subject, subject.data.levels)


@measure(
    "bits_per_dim",
    "bits that each byte of a held-out picture costs, at most: nll of greys with one draw of noise, and 8",
    better="lower",
    headline=39,
    model={"dequantised"},
    data={"pictures", "drawn"},
    constraint="likelihood",
)
@cannot_see("whether samples look right: most bits are spent on fine detail, and little on what a picture shows")
def bits_of_pictures(subject: Subject) -> Value:
    """The same of a model that adds the noise itself."""
    return of_levels(subject, subject.model.levels)


@measure(
    "bits_per_dim_iw8",
    "the same bound, tighter: eight draws of the noise within the logarithm, of the first test pictures",
    better="lower",
    unit="bits",
    headline=39,
    model={"dequantised"},
    data={"pictures", "drawn"},
)
@torch.no_grad()
@cannot_see("the gap to the likelihood that is left")
def bits_of_eight_draws(subject: Subject) -> Value:
    """−log₂ 1/8 Σ_i p(y_i)/q(u_i|x) of MOST_OF_EIGHT pictures at most; its baseline is their bound by one draw."""
    x = subject.test.x[:MOST_OF_EIGHT]
    log_p = likelihood(subject, x.repeat_interleave(DRAWS, 0)).log_prob.view(len(x), DRAWS)
    bound = of_levels(subject, subject.model.levels, Likelihood(log_p.logsumexp(1) - math.log(DRAWS)))
    return replace(bound, baseline=float(of_levels(subject, subject.model.levels, Likelihood(log_p[:, 0])).value))  # type: ignore[arg-type]


def of_levels(subject: Subject, count: int, found: Likelihood | None = None) -> Value:
    """Of numbers in [0, 1] that have so many levels; of the test examples, unless others are `found`."""
    nll, bits = of_likelihood(found or of_test(subject)), math.prod(subject.data.spec.shape) * math.log(2)
    levels = math.log2(count)
    error = None if nll.error is None else nll.error / bits
    return Value(float(nll.value) / bits + levels, floor=0.0, baseline=levels, error=error)  # type: ignore[arg-type]
