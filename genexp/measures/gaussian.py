"""The best Gaussian: what any other model of points has to be better than."""

import torch

from genexp.data.base import DataSpec
from genexp.machine.device import all_digits
from genexp.models.normal import Normal
from genexp.seeds import seed_for
from genexp.subject import Subject, once

MOST_DIMENSIONS = 1_000
EXAMPLES = 65_536  # that it is fitted to


@once
@torch.no_grad()
def best_gaussian(subject: Subject) -> float | None:
    """−E ln N(x; μ, Σ) of the held-out points, in nats, μ and Σ those of training points: 65,536, or all of a smaller set.

    None of data that are no points of real numbers, or of a thousand dimensions.
    """
    shape = subject.data.spec.shape
    if "points" not in subject.knows or subject.data.spec.kind not in (None, "real", "unit") or shape[0] > MOST_DIMENSIONS:
        return None
    normal = Normal(DataSpec(shape, kind="real"), ridge=0.0).double().to(subject.device)
    normal.initialise(subject.data.examples(EXAMPLES, seed_for(subject.settings.seed, "best Gaussian")))
    with all_digits(subject.device):
        return -float(normal.log_prob(subject.test.x.double()).mean()) + subject.log_scale
