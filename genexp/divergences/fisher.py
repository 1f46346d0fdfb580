"""The Fisher divergence F(p ‖ q) = E_p |∇ln p − ∇ln q|², what score matching makes small, in 1 / (units of x)².

It sees no normalisation, and so next to nothing of how much mass is in each of two modes that are far apart.
"""

import math

import torch
from torch import Tensor

from genexp.divergences.base import ALONE, KNOWN, Clouds, Divergence, Gaussian, Line, add


def on_line(line: Line) -> float:
    """With gradients by differences of neighbours on the grid; NaN of a density that ends."""
    p = line.log_p.exp()
    slope_p, slope_q = (torch.gradient(each, spacing=line.step, edge_order=2)[0] for each in (line.log_p, line.log_q))
    return float((line.weights * torch.where(p > 0, p * (slope_p - slope_q).square(), 0.0)).sum())


def of_gaussians(p: Gaussian, q: Gaussian) -> float:
    """Σ_i [(μ_p − μ_q)²/σ_q⁴ + σ_p² (1/σ_q² − 1/σ_p²)²]."""
    precision_p, precision_q = (each.std.square().reciprocal() for each in (p, q))
    moved = ((p.mean - q.mean) * precision_q).square()
    return float((moved + p.std.square() * (precision_q - precision_p).square()).sum())


def by_kernels(clouds: Clouds) -> float:
    """With the gradients of kernel density estimates at the points of p, each left out of its own; bandwidths by Silverman."""
    gap = _score(clouds.x, clouds.x, same=True) - _score(clouds.x, clouds.y, same=False)
    return float(gap.square().sum(1).mean())


def _score(at: Tensor, points: Tensor, same: bool) -> Tensor:
    """∇ln Σ_j exp(−|x − x_j|²/2h²) at x (n, dim):   Σ_j w_j (x_j − x)/h²,  w = softmax(−|x − x_j|²/2h²)."""
    n, dim = points.shape
    h = float(points.std(0).mean()) * (4 / ((dim + 2) * n)) ** (1 / (dim + 4))
    squares = torch.cdist(at, points, compute_mode="donot_use_mm_for_euclid_dist").square()
    if same:
        squares.fill_diagonal_(math.inf)
    return ((-0.5 * squares / h**2).softmax(1) @ points - at) / h**2


add(
    Divergence(
        "fisher",
        "Fisher",
        "1/x²",
        7,
        on_line,
        of_gaussians,
        {ALONE: by_kernels, KNOWN: lambda clouds: float(clouds.score_gap_x.square().sum(1).mean())},
    )
)
