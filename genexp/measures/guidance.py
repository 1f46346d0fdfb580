"""Guidance held against what it promises: the density p(u) p(y|u)^w / Z of each class y."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.diffusion.exact import NoisyMixture
from genexp.diffusion.flow import flow_samples, log_prob
from genexp.measures.record import Value, Values, cannot_see, measure
from genexp.quadrature import midpoints
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL, DATA = {"diffusion", "classes"}, {"plane", "gaussian_classes"}
WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)
POINTS = 80  # of each class
STEPS = 24  # of RK4
NEAREST, FARTHEST = 5e-3, 40.0  # noise levels, so far that the classes are not seen at the start
SIDE, REACH = 120, 8.0  # of the quadrature of Z, in the units of u


@dataclass(frozen=True)
class Guided:
    """At weight w: points u, (classes, n, 2), by learnt and by exact scores; and of both KL(samples ‖ tilted) in nats with its
    standard error.
    """

    weight: float
    learnt: Tensor
    exact: Tensor
    kl: tuple[float, float]
    exact_kl: tuple[float, float]


def mixture_of(subject: Subject) -> NoisyMixture:
    """The classes' Gaussians in the units of u."""
    density = subject.density
    mean, scale = (unit.double().cpu() for unit in subject.model.space.units)
    covariances = density.factors.double() @ density.factors.double().mT
    return NoisyMixture(density.weights.double(), (density.means.double() - mean) / scale, covariances / scale**2)


def log_tilted(mixture: NoisyMixture, u: Tensor, weight: float) -> Tensor:
    """ln p(u) + w ln p(y|u) of all classes y, (n, classes), without ln Z."""
    joint = mixture.log_joint(u, torch.zeros(len(u)))
    log_p = joint.logsumexp(1, keepdim=True)
    return log_p + weight * (joint - log_p)


def log_z(mixture: NoisyMixture, weight: float) -> Tensor:
    """ln ∫ p(u) p(y|u)^w du of each class, (classes,), by quadrature."""
    corner = torch.full((2,), REACH, dtype=torch.float64)
    grid = midpoints(-corner, corner, SIDE)
    return log_tilted(mixture, grid.points, weight).logsumexp(0) + math.log(grid.area)


@once
def guided(subject: Subject) -> list[Guided]:
    """At each weight, from the same noise."""
    model, mixture = subject.model, mixture_of(subject)
    ends, found = (NEAREST, FARTHEST), []
    label = torch.arange(len(mixture.weights)).repeat_interleave(POINTS)
    with seeded(seed_for(subject.settings.seed, "guidance"), subject.device), torch.autocast(subject.device.type, enabled=False):
        noise = torch.randn(len(label), 2)
        for weight in WEIGHTS:

            def learnt(m: Tensor, tau: Tensor, w: float = weight) -> Tensor:
                return model.denoised(m, tau, label.to(m.device), w)

            def exact(m: Tensor, tau: Tensor, w: float = weight) -> Tensor:
                return mixture.guided(m, tau, label, w)

            z = log_z(mixture, weight)
            clouds, divergences = [], []
            for denoised, start in ((learnt, noise.to(subject.device)), (exact, noise.double())):
                u = flow_samples(denoised, start, ends, STEPS)
                log_q = log_prob(denoised, u, ends, STEPS).double().cpu()
                u = u.double().cpu()
                gap = log_q - (log_tilted(mixture, u, weight) - z).gather(1, label[:, None])[:, 0]
                clouds.append(u.unflatten(0, (-1, POINTS)).float())
                divergences.append((float(gap.mean()), float(gap.std()) / math.sqrt(len(gap))))
            found.append(Guided(weight, clouds[0], clouds[1], divergences[0], divergences[1]))
    return found


@measure(
    "guidance_kl",
    "KL of guided samples to p(x) p(y|x)^w, by the exact density of their flow, nats, at each weight w",
    better="lower",
    headline=30,
    model=MODEL,
    data=DATA,
)
@cannot_see("weights that were not tried")
def guidance_kl(subject: Subject) -> Values:
    """Beside what exact scores get with the same guidance: no training makes it less."""
    return {f"{each.weight:g}": Value(each.kl[0], error=each.kl[1], baseline=each.exact_kl[0]) for each in guided(subject)}
