"""Guidance held against what it promises: the density p(u) p(y|u)^w / Z of each class y."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.known import LOST
from genexp.diffusion.exact import NoisyMixture
from genexp.diffusion.flow import flow_samples, log_prob
from genexp.machine.device import all_digits
from genexp.measures.record import LeftOut, Value, Values, cannot_see, measure
from genexp.quadrature import around
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL, DATA = {"diffusion", "classes"}, {"plane", "gaussian_classes"}
WEIGHTS = (0.0, 1.0, 2.0, 4.0, 8.0)
POINTS = 80  # of each class
STEPS = 24  # of RK4
NEAREST, FARTHEST = 5e-3, 40.0  # noise levels, so far that the classes are not seen at the start
NODES, REACH = 120**2, 8.0  # of the quadrature of Z, which reaches as many standard deviations beyond each class


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
    """ln ∫ p(u) p(y|u)^w du of each class, (classes,), by a quadrature as fine where a class is as that is narrow."""
    stds = mixture.covariances.diagonal(dim1=1, dim2=2).sqrt()
    low, high = (mixture.means - REACH * stds).amin(0), (mixture.means + REACH * stds).amax(0)
    rule = around(mixture.means, stds, low, high, NODES)
    return (log_tilted(mixture, rule.points, weight) + rule.weights.log()[:, None]).logsumexp(0)


@once
def guided(subject: Subject) -> list[Guided]:
    """At each weight, from the same noise. LeftOut where the quadrature of Z misses the mass of p(u)."""
    model, mixture = subject.model, mixture_of(subject)
    if float((missed := log_z(mixture, 0.0)).abs().max()) > LOST:
        raise LeftOut(f"{NODES:,} points of the quadrature find {float(missed[0].exp()):.4g} of the mass of the classes")
    ends, found = (NEAREST, FARTHEST), []
    label = torch.arange(len(mixture.weights)).repeat_interleave(POINTS)
    with seeded(seed_for(subject.settings.seed, "guidance"), subject.device), all_digits(subject.device):
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
