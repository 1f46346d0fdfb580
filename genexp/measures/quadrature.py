"""A model's density against a known one on a line or in the plane, by quadrature in float64."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from genexp.data.known import LINE, LOST, PART
from genexp.divergences.kl import kl as kl_of
from genexp.divergences.total_variation import total_variation as variation
from genexp.machine.device import all_digits
from genexp.machine.distributed import sharded
from genexp.measures.likelihood import standard_error
from genexp.measures.record import LeftOut, Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.quadrature import Rule, frame, joined
from genexp.subject import Subject, once

NOTICEABLE = 0.01  # nats of a divergence that a larger model may be worth

GRID_SIDE, STRIP_SIDE = 480, 240  # of the quadratures, where a likelihood is one pass through a network
ODE_GRID_SIDE, ODE_STRIP_SIDE = 64, 24  # and where it is an ODE
COARSER = 6  # times as far from one another are points around the box in which the truth is
MODEL, DATA = {"exact"}, {"box"}


@dataclass(frozen=True)
class Densities:
    """ln p of the truth and ln q of a model at the points of a rule over a region that holds all of p: (n,), float64, in nats."""

    log_p: Tensor
    log_q: Tensor
    rule: Rule

    @property
    def mass(self) -> float:
        """∫ q over the region: 1 where q is normalised and nothing of it lies outside."""
        return self.rule.integral(self.log_q.exp())

    @property
    def kl(self) -> float:
        """KL(p ‖ q), p the truth."""
        return kl_of(self.log_p, self.log_q, self.rule.weights)

    @property
    def reverse_kl(self) -> float:
        """KL(q ‖ p) over the region."""
        return kl_of(self.log_q, self.log_p, self.rule.weights)

    @property
    def total_variation(self) -> float:
        """Between 0 and 1."""
        return variation(self.log_p, self.log_q, self.rule.weights)


def sides(subject: Subject) -> tuple[int, int]:
    """Points a side of the grid and of the strip: half as many where neither density has kinks, which is as exact."""
    if "refined" in subject.can:
        return ODE_GRID_SIDE, ODE_STRIP_SIDE
    if "smooth" in subject.can and "edges" not in subject.knows:
        return GRID_SIDE // 2, STRIP_SIDE // 2
    return GRID_SIDE, STRIP_SIDE


def in_float64(model: Any) -> Any:
    """A copy on the CPU."""
    return copy.deepcopy(model).cpu().double()


@torch.no_grad()
def in_parts(log_prob: Callable[[Tensor], Tensor], points: Tensor, batch_size: int) -> Tensor:
    """ln p at points (n, dim), found `batch_size` at a time: (n,), in float64 on the CPU."""
    return torch.cat(sharded(points.split(batch_size), lambda part: log_prob(part).double().cpu()))


def region(subject: Subject) -> tuple[Tensor, Tensor, int]:
    """Corners of what is integrated over, and points along a side of each of the boxes around the truth's own, of which there are
    none where p ends, and where each likelihood is an ODE: three times as wide, as q may have tails where p has next to nothing.
    """
    low, high = (corner.double() for corner in subject.density.box())
    if "refined" in subject.can or "edges" in subject.knows:
        return low, high, 0
    side = sides(subject)[0] // COARSER * (LINE if len(low) == 1 else 1)
    return low - (high - low), high + (high - low), side


@once
def densities(subject: Subject) -> Densities:
    """The truth's and the model's. LeftOut where the quadrature misses the truth's own mass, or would be too coarse."""
    density, size, side = subject.density, subject.settings.evaluation.batch_size, sides(subject)[0]
    if {"plane", "edges"} <= subject.knows and side < GRID_SIDE:
        few = f"{side}² points are too few for a density with jumps, and more likelihoods by an ODE take too long"
        raise LeftOut(f"{few}; nll less floor/nll is the KL on the test points")
    (low, high), around = density.box(), region(subject)[2]
    rule = density.quadrature(side, low, high)
    check_mass(density, rule, 1.0)
    if around:
        rule = joined(rule, frame(low, high, around))
    with all_digits(subject.device):
        log_p = in_parts(density.log_prob, rule.points, PART)
        return Densities(log_p, in_parts(in_float64(subject.model).log_prob, rule.points, size), rule)


@measure("kl", "KL(data ‖ model) by quadrature, nats", better="lower", headline=30, model=MODEL, data=DATA)
@cannot_see("where the model puts mass that the data have not: only what is missing elsewhere is charged")
def kl(subject: Subject) -> Value:
    """LeftOut where it is infinite."""
    found = densities(subject)
    check_finite(found.rule, found.log_p, found.log_q, "KL(data ‖ model)")
    return Value(found.kl, floor=0.0)


@measure("reverse_kl", "KL(model ‖ data), nats", better="lower", headline=31, model=MODEL, data=DATA)
@cannot_see("modes that the model has not: it is a mean over what the model draws")
def reverse_kl(subject: Subject) -> Value:
    """In the region by quadrature, beyond it by samples, with their standard error where there are any. LeftOut where it is
    infinite, or much of the model lies beyond.
    """
    found = densities(subject)
    check_finite(found.rule, found.log_q, found.log_p, "KL(model ‖ data)")
    check_within(found)
    ratios = beyond_region(subject) if "sample" in subject.can else None
    if ratios is None:
        return Value(found.reverse_kl, floor=0.0)
    if not bool(ratios.isfinite().all()):
        raise LeftOut("KL(model ‖ data) is infinite: the model has samples where the data have none")
    return Value(found.reverse_kl + float(ratios.mean()), floor=0.0, error=standard_error(ratios))


def check_within(found: Densities) -> None:
    """LeftOut where much of the model lies beyond the points."""
    if 1 - found.mass > LOST:
        outside = f"{1 - found.mass:.2g} of the model's mass lies where the data have next to nothing"
        raise LeftOut(f"{outside}, beyond the points of the quadrature")


def beyond_region(subject: Subject) -> Tensor | None:
    """ln q − ln p of the run's own samples beyond the region, and 0 of all others, (n,), whose mean is what KL(q ‖ p) has there:
    few samples, but where p falls steeply it may be most of it. None where there is no such sample.
    """
    density, (low, high, _) = subject.density, region(subject)
    samples = subject.samples.double()
    outside = ((samples < low) | (samples > high)).any(1)
    if not bool(outside.any()):
        return None
    far, ratios = samples[outside], torch.zeros(len(samples), dtype=torch.float64)
    with all_digits(subject.device):
        log_q = in_parts(in_float64(subject.model).log_prob, far, subject.settings.evaluation.batch_size)
        ratios[outside] = log_q - in_parts(density.log_prob, far, PART)
    return ratios


@suggests(30)
def larger_model(case: Case) -> Suggestion | None:
    """A divergence that is left where training no longer helps."""
    kl = left_over(case)
    if kl is None:
        return None
    said = f"KL(data ‖ model) is {kl:.3g} nats above zero, and the held-out loss no longer falls: the model is too small for it."
    return Suggestion(said, case.larger(), more=True)


def left_over(case: Case) -> float | None:
    """KL(data ‖ model) in nats, where it is worth a larger model and training no longer helps; else None."""
    kl = case.number("kl")
    return None if kl is None or kl < NOTICEABLE or case.beside("floor", "kl") is None or case.falling else kl


@measure(
    "total_variation",
    "½ ∫ |p − q|: by how much the probability of a region can differ at most, between data and model",
    better="lower",
    model=MODEL,
    data=DATA,
)
@cannot_see("how far off the missing mass lies, near or far")
def total_variation(subject: Subject) -> Value:
    return Value(densities(subject).total_variation, floor=0.0)


@measure("mass", "the integral of the model's density", better="exact", model=MODEL, data=DATA)
@cannot_see("where it is: a density of mass 1 may be anywhere")
def mass(subject: Subject) -> Value:
    return Value(densities(subject).mass, exact=1.0)


@measure(
    "bridge_mass", "the model's mass between the peaks", better="exact", headline=50, model={"exact"}, data={"box", "bridge"}
)
@cannot_see("everything outside the strip")
def bridge_mass(subject: Subject) -> Value:
    density, bridge, size = subject.density, subject.data.bridge, subject.settings.evaluation.batch_size
    exact, side, corners = density.strip_mass(*bridge), sides(subject)[1], strip_of(*density.box(), *bridge)
    strip = density.quadrature(side, *corners)
    if abs(density.mass(strip) - exact) > LOST:
        strip = density.quadrature(2 * side, *corners)
    check_mass(density, strip, exact)
    with all_digits(subject.device):
        log_q = in_parts(in_float64(subject.model).log_prob, strip.points, size)
    return Value(strip.integral(log_q.exp()), exact=exact)


@measure("bridge_share_of_samples", "share of the samples that lie between the peaks", data={"bridge"})
def bridge_share_of_samples(subject: Subject) -> Value:
    (low, high), x = subject.data.bridge, subject.samples[:, 0]
    return Value(float(((x > low) & (x < high)).double().mean()))


def strip_of(low: Tensor, high: Tensor, left: float, right: float) -> tuple[Tensor, Tensor]:
    """Corners of what the strip left < x < right has in common with the box from `low` to `high`; of all of it, if nothing."""
    within = max(left, float(low[0])), min(right, float(high[0]))
    across = within if within[0] < within[1] else (left, right)
    return torch.stack([low.new_tensor(across[0]), low[1]]), torch.stack([low.new_tensor(across[1]), high[1]])


def check_mass(density: Any, rule: Rule, mass: float) -> None:
    """LeftOut unless the points of `rule` find the truth's own mass: nothing else is then worth more."""
    found = density.mass(rule)
    if abs(found - mass) > LOST:
        count = f"{len(rule.points):,} points of the quadrature"
        raise LeftOut(f"the {count} find {found:.4g} of the truth's own mass {mass:.4g}; its components are too unlike")


def check_finite(rule: Rule, log_p: Tensor, log_q: Tensor, divergence: str) -> None:
    """LeftOut where p is positive and q is 0 in some place: KL(p ‖ q), the `divergence` in words, is infinite."""
    alone = rule.integral(torch.where(log_q.isneginf(), log_p.exp(), 0.0))
    if alone > 0:
        raise LeftOut(f"{divergence} is infinite: {alone:.2g} of the one's mass lies where the other has none")
