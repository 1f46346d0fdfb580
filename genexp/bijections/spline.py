"""The monotone rational-quadratic spline.

Source: Durkan et al., Neural Spline Flows (2019), after Gregory & Delbourgo (1982).
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

SHORT = 16  # numbers that a vector of the processor holds


def rational_quadratic_spline(
    x: Tensor, raw: Tensor, bound: float, inverse: bool = False, minimum: float = 1e-4
) -> tuple[Tensor, Tensor]:
    """A monotone map of [−bound, bound] onto itself, the identity outside, and the logarithm of its slope.

    In the bin with corners (x₀, y₀), (x₁, y₁) and slopes d₀, d₁ there, with s = (y₁−y₀)/(x₁−x₀), t = (x−x₀)/(x₁−x₀):

        y     = y₀ + (y₁−y₀) (s t² + d₀ t(1−t)) / m,      m = s + (d₀ + d₁ − 2s) t(1−t)
        dy/dx = s² (d₁ t² + 2s t(1−t) + d₀ (1−t)²) / m²

    The inverse is the root t = −2c / (b + √(b² − 4ac)) of the quadratic in t, the one that is stable as a → 0.
    Points outside are moved to 0 before the spline and their result is dropped, so no NaN reaches a gradient through `where`.

    Args:
        x: (n, d).
        raw: (n, d, 3·bins − 1): scores of widths, of heights, and of the interior slopes; all zero is the identity.
        minimum: of a bin's share of the interval, and of a slope. The outermost slopes are 1, as outside.

    Returns:
        The image and the logarithm of the slope of the map that was applied (forward or inverse), both (n, d).
    """
    bins = (raw.shape[-1] + 1) // 3
    shares, slopes = raw.split([2 * bins, bins - 1], dim=-1)
    knots = spline_knots(shares.unflatten(-1, (2, bins)), bound, minimum)
    inside = x.abs() < bound
    v = torch.where(inside, x, 0.0)
    interior = knots.detach()[..., 1 if inverse else 0, 1:-1].contiguous()
    left = torch.searchsorted(interior, v.detach()[..., None], right=True)  # the bin: how many interior knots lie below
    ends = torch.cat([left, left + 1], dim=-1)
    corners = knots.gather(-1, ends[..., None, :].expand(*ends.shape[:-1], 2, 2))
    (x0, x1), (y0, y1) = (ends.unbind(-1) for ends in corners.unbind(-2))
    one = math.log(math.expm1(1 - minimum))  # softplus(one) + minimum = 1, the slope of a zero score
    scores = F.pad(slopes, (1, 1)).gather(-1, ends)
    d0, d1 = (F.softplus(scores + one) + minimum).unbind(-1)

    width, height = x1 - x0, y1 - y0
    s = height / width
    bend = d0 + d1 - 2 * s
    if inverse:
        rise = v - y0
        a, b, c = height * (s - d0) + rise * bend, height * d0 - rise * bend, -s * rise
        t = -2 * c / (b + (b * b - 4 * a * c).clamp_min(0.0).sqrt())
    else:
        t = (v - x0) / width
    r = 1 - t
    m = s + bend * t * r
    log_slope = torch.log(d1 * t * t + 2 * s * t * r + d0 * r * r) + 2 * torch.log(s / m)
    if inverse:
        image, log_slope = x0 + t * width, -log_slope
    else:
        image = y0 + height * (s * t * t + d0 * t * r) / m
    return torch.where(inside, image, x), torch.where(inside, log_slope, 0.0)


def spline_knots(scores: Tensor, bound: float, minimum: float) -> Tensor:
    """Scores (…, bins) → bins + 1 increasing knots from −bound to bound.

    A bin's share is minimum + (1 − bins·minimum) softmax(scores). The running sum, its scale and its shift are one matrix
    product, which is cheaper than cumsum, pad and two affine maps. Torch's softmax over a last dimension of less than SHORT is
    many times slower than over the first one of a copy.
    """
    bins = scores.shape[-1]
    steps = torch.arange(bins + 1, device=scores.device)
    below = steps[None, :] > torch.arange(bins, device=scores.device)[:, None]
    summing = below.to(scores.dtype) * (2 * bound * (1 - bins * minimum))
    offset = steps.to(scores.dtype) * (2 * bound * minimum) - bound
    rows = scores.reshape(-1, bins)
    shares = torch.softmax(rows, dim=1) if bins >= SHORT else torch.softmax(rows.T.contiguous(), dim=0).T
    return torch.addmm(offset, shares, summing).view(*scores.shape[:-1], bins + 1)
