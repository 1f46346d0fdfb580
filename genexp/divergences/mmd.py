"""The squared maximum mean discrepancy,   MMD²(p, q) = E k(x, x') − 2 E k(x, y) + E k(y, y'),   x, x' ~ p,  y, y' ~ q.

k is the mean of kernels of three lengths, ℓ² = 2·dim·{¼, 1, 4} variances of p: exp(−r²/2ℓ²), or ℓ²/(ℓ² + r²).
Source: Gretton et al., A Kernel Two-Sample Test (2012).
"""

from typing import Literal

import torch
from torch import Tensor

from genexp.divergences.base import ALONE, Clouds, Divergence, Gaussian, Line, add

Kernel = Literal["gaussian", "inverse_multiquadratic"]
SCALES = (0.25, 1.0, 4.0)  # the squared lengths, in units of the mean squared distance, 2·dim of unit variances


def lengths(dim: int, scales: tuple[float, ...] = SCALES, variance: float = 1.0) -> list[float]:
    """ℓ² of each kernel."""
    return [2 * dim * scale * variance for scale in scales]


def squared_discrepancy(
    z: Tensor, y: Tensor, kernel: Kernel, scales: tuple[float, ...] = SCALES, variance: float = 1.0
) -> Tensor:
    """MMD² of points z (n, dim) and y (m, dim), estimated without bias: no point is its own partner. It may be negative.

    One point alone has no partner, and its mean is 0.
    """
    squares_of = lengths(z.shape[1], scales, variance)

    def mean(one: Tensor, other: Tensor, same: bool) -> Tensor:
        squares = squared_distances(one, other)
        of_each = [torch.exp(-0.5 * squares / l2) if kernel == "gaussian" else l2 / (l2 + squares) for l2 in squares_of]
        values = torch.stack(of_each).mean(0)
        if not same:
            return values.mean()
        return (values.sum() - values.diagonal().sum()) / max(1, len(one) * (len(one) - 1))

    return mean(z, z, True) + mean(y, y, True) - 2 * mean(z, y, False)


def squared_distances(one: Tensor, other: Tensor) -> Tensor:
    """|x_i − y_j|² of all pairs, (n, dim), (m, dim) → (n, m)."""
    products = torch.addmm(other.square().sum(1), one, other.T, alpha=-2)
    return (products + one.square().sum(1)[:, None]).clamp(min=0)


def on_line(line: Line) -> float:
    """∬ k(x − y) (p − q)(x) (p − q)(y): a convolution on the grid, by fast Fourier transforms."""
    n, gap = len(line.x), (line.log_p.exp() - line.log_q.exp()) * line.step
    r = line.step * torch.arange(1 - n, n, dtype=torch.float64)
    kernel = torch.stack([torch.exp(-0.5 * r.square() / l2) for l2 in lengths(1, variance=line.variance)]).mean(0)
    size = 4 * n
    blurred = torch.fft.irfft(torch.fft.rfft(gap, size) * torch.fft.rfft(kernel, size), size)[n - 1 : 2 * n - 1]
    return max(0.0, float((gap * blurred).sum()))


def of_gaussians(p: Gaussian, q: Gaussian) -> float:
    """E k of a difference N(δ, V):   Π_i (1 + V_i/ℓ²)^−½ exp(−½ δ_i²/(ℓ² + V_i))."""

    def mean(one: Gaussian, other: Gaussian, l2: float) -> Tensor:
        wide = l2 + one.std.square() + other.std.square()
        return (-0.5 * ((one.mean - other.mean).square() / wide + (wide / l2).log())).sum().exp()

    squares_of = lengths(len(p.mean), variance=float(p.std.square().mean()))
    each = [mean(p, p, l2) + mean(q, q, l2) - 2 * mean(p, q, l2) for l2 in squares_of]
    return float(torch.stack(each).mean())


def estimated(clouds: Clouds) -> float:
    return float(squared_discrepancy(clouds.x, clouds.y, "gaussian", variance=clouds.variance))


add(Divergence("mmd2", "MMD²", "", 6, on_line, of_gaussians, {ALONE: estimated}))
