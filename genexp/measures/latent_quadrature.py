"""The likelihood of latent-variable models with a latent plane, p(x) = ∫ p(x|z) p(z) dz, in nats, by quadrature."""

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.latent.importance import HasLatent
from genexp.machine.device import all_digits
from genexp.machine.distributed import sharded
from genexp.measures.bounds import VALUES, mean
from genexp.measures.floors import known
from genexp.measures.record import Value, cannot_see, measure
from genexp.subject import Subject, once

MODEL = {"pairs", "latents"}


@torch.no_grad()
def integrated_nll(model: HasLatent, x: Tensor, side: int, spread: float = 1.5) -> Tensor:
    """−ln p(x), (n,), on the CPU, under the prior N(0, I) of a plane, by the midpoint rule with side² points.

    The points are even in the quantiles of N(0, spread²): dense where the prior is, and reaching beyond its tails.
    """
    z, log_weight = lattice(side, spread, x.device)
    size = max(1, min(2048, VALUES // x[0].numel()))

    def of_part(part: tuple[Tensor, Tensor]) -> Tensor:
        points, weights = part
        return (model.log_likelihoods(x, points).float() + weights).logsumexp(1).cpu()

    total = torch.full((len(x),), -torch.inf)
    for part in sharded([*zip(z.split(size), log_weight.split(size), strict=True)], of_part):
        total = torch.logaddexp(total, part)
    return -total


def lattice(side: int, spread: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Points z (side², 2) and ln of the quadrature weights (side²,) whose sum over f approximates ∫ f(z) N(z; 0, I) dz."""
    u = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    z = torch.cartesian_prod(*[spread * torch.special.ndtri(u)] * 2)
    log_weight = -0.5 * z.square().sum(1) * (1 - spread**-2)
    return z.float().to(device), (log_weight - log_weight.logsumexp(0)).float().to(device)


def nll_of(subject: Subject, batch: Batch) -> Tensor:
    """−ln p(x) of examples, (n,), by as many points as the settings say."""
    with all_digits(subject.device):
        return integrated_nll(subject.model, batch.x, subject.settings.evaluation.quadrature_side)


@once
def of_test(subject: Subject) -> Tensor:
    """Of the test examples."""
    return nll_of(subject, subject.test)


@measure(
    "quadrature_nll",
    "−ln p(x) itself, by quadrature over the latent plane, nats an example",
    better="lower",
    headline=60,
    model=MODEL,
    constraint="likelihood",
)
@cannot_see("latent points outside the window of the quadrature")
def quadrature_nll(subject: Subject) -> Value:
    about = known(subject)
    return Value(mean(of_test(subject)) + subject.log_scale, floor=about.examples, baseline=about.blind)


@measure("quadrature_error", "quadrature_nll against half as many points a side, nats", better="lower", model=MODEL)
def quadrature_error(subject: Subject) -> Value:
    with all_digits(subject.device):
        coarse = integrated_nll(subject.model, subject.test.x, subject.settings.evaluation.quadrature_side // 2)
    return Value(abs(float(coarse.double().mean()) - mean(of_test(subject))))
