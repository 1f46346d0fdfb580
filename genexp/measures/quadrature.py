"""A model's density against a known one in the plane, by quadrature in float64."""

import copy
from typing import Any

import torch
from torch import Tensor

from genexp.data.known import LOST, PART
from genexp.measures.densities import Comparison, compare, in_parts
from genexp.measures.record import LeftOut, Value, measure
from genexp.quadrature import Rule
from genexp.subject import Subject, once

GRID_SIDE, STRIP_SIDE = 480, 240  # of the quadratures, where a likelihood is one pass through a network
ODE_GRID_SIDE, ODE_STRIP_SIDE = 64, 24  # and where it is an ODE


def sides(subject: Subject) -> tuple[int, int]:
    """Points a side of the grid and of the strip."""
    return (ODE_GRID_SIDE, ODE_STRIP_SIDE) if "refined" in subject.can else (GRID_SIDE, STRIP_SIDE)


def in_float64(model: Any) -> Any:
    """A copy on the CPU."""
    return copy.deepcopy(model).cpu().double()


@once
def comparison(subject: Subject) -> Comparison:
    """KL(truth ‖ model) and the model's mass. LeftOut where the quadrature misses the truth's own mass."""
    density, size = subject.density, subject.settings.evaluation.batch_size
    rule = density.quadrature(sides(subject)[0], *density.box())
    check_mass(density, rule, 1.0)
    with torch.autocast(subject.device.type, enabled=False):
        log_p = in_parts(density.log_prob, rule.points, PART)
        return compare(log_p, in_parts(in_float64(subject.model).log_prob, rule.points, size), rule)


@measure("kl", "KL(data ‖ model) by quadrature, nats", better="lower", headline=30, model={"exact"}, data={"box"})
def kl(subject: Subject) -> Value:
    return Value(comparison(subject).kl, floor=0.0)


@measure("mass", "the integral of the model's density", better="exact", model={"exact"}, data={"box"})
def mass(subject: Subject) -> Value:
    return Value(comparison(subject).mass, exact=1.0)


@measure(
    "bridge_mass", "the model's mass between the peaks", better="exact", headline=50, model={"exact"}, data={"box", "bridge"}
)
def bridge_mass(subject: Subject) -> Value:
    density, bridge, size = subject.density, subject.data.bridge, subject.settings.evaluation.batch_size
    exact, side, corners = density.strip_mass(*bridge), sides(subject)[1], strip_of(*density.box(), *bridge)
    strip = density.quadrature(side, *corners)
    if abs(density.mass(strip) - exact) > LOST:
        strip = density.quadrature(2 * side, *corners)
    check_mass(density, strip, exact)
    with torch.autocast(subject.device.type, enabled=False):
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
