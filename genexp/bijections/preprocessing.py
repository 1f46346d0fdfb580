"""What greys in [0, 1] go through before a flow sees them: a fixed map of each number by itself, whose Jacobian counts."""

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from genexp.bijections.base import Bijection
from genexp.registry import Registry

TAIL = 1e-9  # of probability, at either end: what lies further out is brought to there


class Preprocessing(Bijection):
    """Told when built: `levels`, how many greys there are. Shapes: y and v are (n, dim)."""


preprocessings: Registry[Preprocessing] = Registry("preprocessing", "genexp.bijections", Preprocessing)


@preprocessings.register("none")
class Unchanged(Preprocessing):
    """v = y: greys as they are in [0, 1]. The flow's samples may lie outside, and are black or white there."""

    def __init__(self, levels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x.new_zeros(len(x))

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z.new_zeros(len(z))


@preprocessings.register("logit")
class Logit(Preprocessing):
    """v = (ln s/(1 − s) − mean)/deviation of s = α + (1 − 2α) y, so that a flow's samples stay between black and white.

        ln ∂v/∂y = ln (1 − 2α) − ln s − ln (1 − s) − ln deviation

    Mean and deviation are those of all numbers of the training pictures. α and this Jacobian decide what a likelihood means:
    papers differ in α (1e-6 for MNIST and 0.05 for colours in MAF's).

    Args:
        alpha: α, what keeps black and white from infinity.

    Sources: Dinh et al., Real NVP (2017), section 4.1; Papamakarios et al., Masked Autoregressive Flow (2017).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, levels: int, *, alpha: Annotated[float, Field(gt=0, lt=0.5)] = 1e-6) -> None:
        super().__init__()
        self.alpha = alpha
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        v = self._logit(x)[0].double()
        self.mean.copy_(v.mean())
        self.deviation.copy_(v.std(unbiased=False).clamp(min=1e-6))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        v, log_slope = self._logit(x)
        return (v - self.mean) / self.deviation, (log_slope - self.deviation.log()).sum(1)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        v = z * self.deviation + self.mean
        y = (torch.sigmoid(v) - self.alpha) / (1 - 2 * self.alpha)
        log_slope = torch.nn.functional.logsigmoid(v) + torch.nn.functional.logsigmoid(-v) - math.log1p(-2 * self.alpha)
        return y, (log_slope + self.deviation.log()).sum(1)

    def _logit(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """ln s/(1 − s) and ln of its slope, (n, dim)."""
        share = 1 - 2 * self.alpha
        below, above = (self.alpha + share * y).log(), (self.alpha + share * (1 - y)).log()
        return below - above, math.log(share) - below - above


@preprocessings.register("equalise")
class Equalise(Preprocessing):
    """v = Φ⁻¹(F(y)), where F is the distribution function of all numbers of the training pictures, linear in each grey's bin:
    histogram equalisation, and on to N(0, 1).

        ln ∂v/∂y = ln L p_k + v²/2 + ½ ln 2π,      p_k the frequency of grey k

    So a flow that does nothing yet costs no more bits than coding each pixel by the histogram of greys. Each grey counts one more
    time than it was seen, as one that no training picture has is not impossible.
    """

    frequency: Tensor
    edges: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("frequency", torch.full((levels,), 1 / levels, dtype=torch.float64))
        self.register_buffer("edges", torch.linspace(0, 1, levels + 1, dtype=torch.float64))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        counts = torch.bincount(self._bin(x.double()).flatten(), minlength=self.levels).double() + 1
        self.frequency.copy_(counts / counts.sum())
        self.edges[1:].copy_(self.frequency.cumsum(0))
        self.edges[-1] = 1.0

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.double()  # Φ⁻¹ near 1 needs the digits
        k = self._bin(y)
        share = (self.edges[k] + (y * self.levels - k) * self.frequency[k]).clamp(TAIL, 1 - TAIL)
        v = torch.special.ndtri(share)
        return v.to(x.dtype), self._log_slope(v, k).sum(1).to(x.dtype)

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        v = z.double()
        share = torch.special.ndtr(v)
        k = (torch.searchsorted(self.edges, share, right=True) - 1).clamp(0, self.levels - 1)
        y = (k + (share - self.edges[k]) / self.frequency[k]) / self.levels
        return y.to(z.dtype), -self._log_slope(v, k).sum(1).to(z.dtype)

    def _bin(self, y: Tensor) -> Tensor:
        return (y * self.levels).floor().long().clamp(0, self.levels - 1)

    def _log_slope(self, v: Tensor, k: Tensor) -> Tensor:
        return (self.levels * self.frequency[k]).log() + 0.5 * v.square() + 0.5 * math.log(2 * math.pi)
