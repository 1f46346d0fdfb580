"""How far a density is from itself, altered: by every divergence, as it slides, widens and loses a mode."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from genexp.divergences.alterations import ALTERATIONS, Alteration, Shape
from genexp.divergences.base import Divergence, Gaussian, Line, divergences, units
from genexp.measures.record import LeftOut, Value, Values, measure
from genexp.subject import Subject, once

MODEL, DATA = {"altered"}, {"line", "box"}
PLACES = 25  # along each way
NODES = 8_192  # of the integrals, on an even grid
MISSED = 0.01  # of the mass, at most: a density with jumps loses up to a cell


@dataclass(frozen=True)
class Way:
    """One alteration: amounts (k,), the densities over x (n,) of p (n,) and of q (k, n), and each divergence, by name, (k,).

    Infinite where one density has mass that the other has none of; NaN where a divergence is not defined.
    """

    alteration: Alteration
    amounts: np.ndarray
    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    found: dict[str, np.ndarray]


@once
def shape(subject: Subject) -> Shape:
    """That of the data's density, by quadrature."""
    density = subject.density
    (low,), (high,) = (corner.double().tolist() for corner in density.box())
    x = middles(low, high)

    def log_prob(x: Tensor) -> Tensor:
        return density.log_prob(x[:, None])  # type: ignore[no-any-return]

    p = log_prob(x).exp()
    p = p / p.sum()
    mean = float((p * x).sum())
    return Shape(log_prob, mean, math.sqrt(float((p * (x - mean).square()).sum())), low, high)


def middles(low: float, high: float) -> Tensor:
    """Of `NODES` even cells."""
    return low + (high - low) * (torch.arange(NODES, dtype=torch.float64) + 0.5) / NODES


def line(of: Shape, alteration: Alteration, amount: float, end: float) -> Line:
    """The density and the altered one, on the grid that holds both to the end. LeftOut where that misses much of the mass."""
    low, high = alteration.reach(of, end)
    x = middles(min(low, of.low), max(high, of.high))
    step = float(x[1] - x[0])
    log_p, log_q = of.log_prob(x), alteration.altered(of, amount, x)
    mass = float(log_p.exp().sum()) * step
    if abs(mass - 1) > MISSED:
        raise LeftOut(f"{NODES:,} points of the quadrature find {mass:.4g} of the density's mass; its scales are too unlike")
    return Line(x, step, *(each - (each.logsumexp(0) + math.log(step)) for each in (log_p, log_q)))


@once
def ways(subject: Subject) -> list[Way]:
    """All of them, each from nothing to the end that the model's settings say."""
    of, found = shape(subject), []
    for alteration in ALTERATIONS:
        end = subject.model.ends[alteration.name]
        amounts = alteration.amounts(end, PLACES)
        lines = [line(of, alteration, amount, end) for amount in amounts]
        values = {each.name: np.array([each.on_line(one) for one in lines]) for each in divergences()}
        q = np.stack([one.log_q.exp().numpy() for one in lines])
        found.append(Way(alteration, np.array(amounts), lines[0].x.numpy(), lines[0].log_p.exp().numpy(), q, values))
    return found


def closed(subject: Subject, way: Way, divergence: Divergence) -> float | None:
    """The last value in closed form, of one Gaussian that is one again."""
    of, amount = shape(subject), float(way.amounts[-1])
    moved = {"slide": (amount * of.std, 1.0), "widen": (0.0, amount)}.get(way.alteration.name)
    if "covariance" not in subject.knows or moved is None:
        return None
    mean, std = torch.tensor([of.mean]).double(), torch.tensor([of.std]).double()
    return divergence.gaussians(Gaussian(mean, std), Gaussian(mean + moved[0], std * moved[1]))


@measure(
    "divergence",
    "from the data's density p to an altered one, q, by quadrature: nats, in units of x or of none; beside the closed form",
    headline=35,
    unit=units(),
    model=MODEL,
    data=DATA,
)
def divergence(subject: Subject) -> Values:
    """At the end of each way; null where it is infinite or not defined."""
    return {
        f"{way.alteration.name}/{each.name}": Value(
            value if math.isfinite(value := float(way.found[each.name][-1])) else None, exact=closed(subject, way, each)
        )
        for way in ways(subject)
        for each in divergences()
    }
