"""JS(p, q) = ½ KL(p ‖ m) + ½ KL(q ‖ m), m = ½(p + q): between 0 and ln 2, which it is where p and q do not overlap.

It is what a label tells of a point: ln 2 less the entropy of "of which of the two is x?".
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from genexp.divergences.base import ALONE, KNOWN, Clouds, Divergence, Line, add
from genexp.divergences.kl import kl


def on_line(line: Line) -> float:
    middle = torch.logaddexp(line.log_p, line.log_q) - math.log(2)
    return 0.5 * (kl(line.log_p, middle, line.weights) + kl(line.log_q, middle, line.weights))


def of_ratios(at_x: Tensor, at_y: Tensor) -> float:
    """ln 2 − ½ E_p ln(1 + q/p) − ½ E_q ln(1 + p/q), of ln p/q at points of p (n,) and of q (m,)."""
    return math.log(2) - 0.5 * float(softplus(-at_x).mean() + softplus(at_y).mean())


def nearest(clouds: Clouds) -> float:
    """With ln p/q by √n neighbours, so that at every point it tends to the true one; what noise it has may make it negative."""
    return of_ratios(*clouds.nearest_ratio(clouds.many))


add(
    Divergence(
        "jensen_shannon",
        "JS",
        "nats",
        2,
        on_line,
        lambda p, q: None,
        {ALONE: nearest, KNOWN: lambda clouds: of_ratios(clouds.log_ratio_x, clouds.log_ratio_y)},
        symmetric=True,
    )
)
