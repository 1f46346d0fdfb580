"""Rejection: what is proposed by a density q is kept with probability p(x) / (M q(x)), and is then distributed as p.

Source: von Neumann, Various techniques used in connection with random digits (1951).
"""

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.samplers.base import Drawn, Stream, transforms
from genexp.samplers.gaussians import PART, Gaussian, largest_kept

Rate = Annotated[float, Field(ge=0.1, le=3)]


def rejection(
    stream: Stream, n: int, propose: Callable[[Stream, int], Tensor], log_share: Callable[[Tensor], Tensor], likely: float
) -> Drawn:
    """n numbers, (n,), of any density.

    Args:
        propose: (stream, n) → n proposals, (n,).
        log_share: ln of the probability p(x) / (M q(x)) ≤ 1 with which a proposal x is kept.
        likely: about which share is kept.
    """
    found, have, proposed, kept = [], 0, 0, 0
    while have < n:
        x = propose(stream, round(1.05 * min(n - have, PART) / likely + 16))
        found.append(x[stream.positive(len(x)).log() <= log_share(x)])
        have, proposed, kept = have + len(found[-1]), proposed + len(x), kept + len(found[-1])
    return Drawn(torch.cat(found)[:n] if found else torch.empty(0), proposed, kept)


@transforms.register("rejection")
class Rejection(Gaussian):
    """N(0, 1) under a Laplace density, q(x) = λ/2 exp(−λ|x|): a share exp(−(|x| − λ)²/2) is kept, √(π/2) λ exp(−λ²/2) of all.

    Args:
        rate: λ; 1 is best.
    """

    def __init__(self, dim: int, *, rate: Rate = 1.0) -> None:
        super().__init__(dim)
        self.rate = rate
        self.acceptance = math.sqrt(math.pi / 2) * rate * math.exp(-(rate**2) / 2)

    def numbers(self, stream: Stream, n: int) -> Drawn:
        assert self.acceptance is not None
        return rejection(stream, n, self.propose, lambda x: -0.5 * (x.abs() - self.rate).square(), self.acceptance)

    def largest(self, bits: int) -> float:
        """Of the proposals −ln(k 2^−bits)/λ, k odd, the largest that the least number keeps, x ≤ λ + √(2 bits ln 2)."""
        limit = self.rate + math.sqrt(2 * bits * math.log(2))
        return largest_kept(bits, lambda u: -math.log(u) / self.rate, limit, first=1, step=2)

    def propose(self, stream: Stream, n: int) -> Tensor:
        """n numbers of the Laplace density, by the inverse of its distribution."""
        u = 2 * stream.inside(n) - 1
        return -u.sign() * (1 - u.abs()).clamp_min(2.0**-54).log() / self.rate
