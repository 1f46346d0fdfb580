"""Diffusion: how near each sampler comes, with how many evaluations; and the bound of the likelihood."""

import math

import torch
from torch import Tensor

from genexp.diffusion.base import DiffusionSampler, samplers
from genexp.diffusion.exact import gaussian_std
from genexp.divergences.wasserstein import wasserstein
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL, DATA = {"diffusion"}, {"points", "drawn"}
EVALUATIONS = 20  # of the table
COMPARED = 1_000  # points of a cloud
BOUND_DRAWS = 32  # noise levels of each point


def every_sampler() -> dict[str, DiffusionSampler]:
    """Name → each of them, in its default settings; those along the ODE first."""
    found = {name: samplers.build({"name": name}) for name in samplers.names()}
    return dict(sorted(found.items(), key=lambda each: not each[1].ode))


@torch.no_grad()
def by_sampler(subject: Subject, sampler: DiffusionSampler, evaluations: int, n: int) -> Tensor:
    """n points that a sampler makes of the same noise with at most so many evaluations, (n, dim), on the CPU."""
    model = subject.model
    with seeded(seed_for(subject.settings.seed, "samplers"), subject.device):
        noise = torch.randn(n, model.dim, device=subject.device)
        return model.space.back(model.walk(noise, None, sampler, evaluations).m[-1]).float().cpu()


@once
def compared(subject: Subject) -> tuple[Tensor, float] | None:
    """Points of the data, (n, dim), and the distance of as many others; None where there are too few, or far too many numbers."""
    count = min(COMPARED, subject.settings.evaluation.num_samples)
    real = subject.data.heldout(2 * count, seed_for(subject.settings.seed, "samplers/data")).x.cpu()
    count = min(count, len(real) // 2)
    if count < 10:
        return None
    return real[:count], wasserstein(real[count : 2 * count], real[:count])


@measure(
    "wasserstein_at_20",
    "W₁ from samples to data by each sampler with at most 20 evaluations of the network, in the units of the data",
    better="lower",
    model=MODEL,
    data=DATA,
)
@cannot_see("how the samplers compare with more evaluations")
def wasserstein_at_20(subject: Subject) -> Values:
    """Beside what as many other points of the data get."""
    if (found := compared(subject)) is None:
        return None
    real, floor = found
    values = {
        name: wasserstein(by_sampler(subject, sampler, EVALUATIONS, len(real)), real) for name, sampler in every_sampler().items()
    }
    return {name: Value(value, real_vs_real=floor) for name, value in values.items()}


@measure(
    "neg_elbo",
    "−ELBO of diffusion in continuous time, a bound of −ln p(x) of the SDE's samples, nats, estimated",
    better="lower",
    headline=42,
    model=MODEL,
    data=DATA,
    constraint="likelihood",
)
@cannot_see("how far it is from the likelihood: a poor encoder and a poor decoder look alike")
def neg_elbo(subject: Subject) -> Value | None:
    """Beside its floor on the same points; the standard error is that of points and noise together."""
    model, test = subject.model, subject.test
    if not model.space.exact:
        return None
    label = test.label if "classes" in subject.can else None
    with seeded(seed_for(subject.settings.seed, "bound"), subject.device):
        found = torch.cat(
            [
                model.negative_bound(x, BOUND_DRAWS, None if label is None else label[start : start + len(x)])
                for start, x in zip(range(0, len(test.x), 2048), test.x.split(2048), strict=False)
            ]
        ).double()
    floor = None
    if "density" in subject.knows and "cells" not in subject.knows and label is None:
        floor = -float(subject.density.log_prob(test.x.cpu().double()).mean())
    error = float(found.std()) / math.sqrt(len(found)) if len(found) > 1 else None
    return Value(float(found.mean()) + subject.log_scale, floor=floor, error=error)


def bures(x: Tensor, covariance: Tensor) -> float:
    """W₂ between the Gaussian with the covariance of points x (n, dim) and N(0, Σ): √(tr S + tr Σ − 2 tr (Σ^½ S Σ^½)^½)."""
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.mT
    spread = x.double().mT.cov().reshape(covariance.shape)
    both = torch.linalg.eigvalsh(root @ spread @ root).clamp(min=0).sqrt().sum()
    return math.sqrt(max(0.0, float(spread.trace() + covariance.trace() - 2 * both)))


def exact_distance(sampler: DiffusionSampler, schedule: object, variances: Tensor, steps: int) -> float:
    """W₂ between N(0, Σ) with these eigenvalues, (dim,), and what a sampler makes of its exact scores, in closed form."""
    apart = [gaussian_std(sampler, schedule, std, steps) - std for std in variances.sqrt().tolist()]  # type: ignore[arg-type]
    return math.sqrt(sum(each**2 for each in apart))
