"""Heads: of bits, of symbols and greys one by one, of ordered greys and of real numbers."""

import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.autoregressive.base import Head, Heuristic, heads, single
from genexp.data.base import DataSpec
from genexp.errors import UserError

MOST = 4_096  # values that each have a probability of their own
SHARPEST = 7.0  # a component's scale is not below e^−7 of the data's
FAR = 1e6  # the outermost greys reach as far, in standard deviations of the data: they take the tails


@heads.register("bernoulli")
class Bernoulli(Head):
    """Bits: p(1) = σ(raw)."""

    kinds = ("bits",)
    outputs = 1

    def marginals(self, x: Tensor) -> Tensor:
        return torch.logit((x.sum(0) + 0.5) / (len(x) + 1))[:, None]

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        raw = single(raw[..., 0])
        return -F.binary_cross_entropy_with_logits(raw, x.to(raw), reduction="none")

    def log_table(self, raw: Tensor) -> Tensor:
        raw = single(raw[..., 0])
        return torch.stack([F.logsigmoid(-raw), F.logsigmoid(raw)], dim=-1)


@heads.register("categorical")
class Categorical(Head):
    """Every value has a logit of its own, p(k) ∝ exp(raw_k): symbols, bits, greys.

    Raises:
        UserError: real numbers, or more than 4,096 values.
    """

    kinds = ("tokens", "unit", "bits", "bytes")

    def __init__(self, spec: DataSpec) -> None:
        super().__init__(spec)
        if self.levels is None:
            raise UserError(
                "model/head=categorical is of whole numbers; these data are real numbers", hint="model/head=logistic_mixture"
            )
        if self.levels > MOST:
            raise UserError(f"model/head=categorical takes {MOST:,} values at most, and these data have {self.levels:,}")
        self.outputs = self.levels

    def marginals(self, x: Tensor) -> Tensor:
        number, dim = self.number(x), x.shape[1]
        first = self.outputs * torch.arange(dim, device=x.device)
        counts = torch.bincount((first + number).flatten(), minlength=dim * self.outputs).view(dim, self.outputs)
        return ((counts + 0.5) / (len(x) + 0.5 * self.outputs)).log()

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        return self.log_table(raw).gather(-1, self.number(x)[..., None])[..., 0]

    def log_table(self, raw: Tensor) -> Tensor:
        return single(raw).log_softmax(-1)


@heads.register("logistic_mixture")
class LogisticMixture(Head):
    """p(x) = Σ_m w_m logistic(x; μ_m, s_m): the density of real numbers; of greys k the probability of each one's interval,

        P(k) = Σ_m w_m [σ((k + ½ − μ_m)/s_m) − σ((k − ½ − μ_m)/s_m)],   the outermost ones take the tails,

    in units in which the training data have mean 0 and standard deviation 1. Neighbouring greys share what is learnt.
    Source: Salimans et al., PixelCNN++ (2017).

    Args:
        components: how many.
    """

    kinds = ("real", "unit", "bits", "bytes")
    shift: Tensor
    scale: Tensor

    def __init__(self, spec: DataSpec, *, components: Annotated[int, Field(ge=1, le=1000)] = 5) -> None:
        super().__init__(spec)
        self.outputs, self.components = 3 * components, components
        middle, spread = (0.0, 1.0) if self.levels is None else ((self.levels - 1) / 2, (self.levels - 1) / 3)
        self.register_buffer("shift", torch.tensor(middle))
        self.register_buffer("scale", torch.tensor(spread))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Mean and standard deviation of all numbers together."""
        y = x.double() if self.levels is None else self.number(x).double()
        deviation = y.std(correction=0)
        self.shift.copy_(y.mean())
        self.scale.copy_(deviation if bool(deviation > 0) else deviation + 1)

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        if self.levels is not None:
            return self._of_intervals(self.number(x).to(single(raw))[..., None], raw)
        log_w, mu, log_s = self._logistics(raw)
        z = ((x[..., None] - self.shift) / self.scale - mu) * torch.exp(-log_s)
        return (log_w - z - log_s - 2 * F.softplus(-z)).logsumexp(-1) - self.scale.log()

    def log_table(self, raw: Tensor) -> Tensor:
        assert self.levels is not None
        k = torch.arange(self.levels, device=raw.device).to(single(raw))
        return self._of_intervals(k[:, None], raw[..., None, :])

    def draw(self, raw: Tensor, noise: Tensor, heuristic: Heuristic) -> Tensor:
        if self.levels is not None:
            return super().draw(raw, noise, heuristic)
        log_w, mu, log_s = self._logistics(raw)
        p = log_w.exp().cumsum(-1)
        which = (p <= noise[..., :1] * p[..., -1:]).sum(-1, keepdim=True)
        mu, log_s = mu.gather(-1, which)[..., 0], log_s.gather(-1, which)[..., 0]
        u = noise[..., 1].clamp(1e-7, 1 - 1e-7)
        return self.shift + self.scale * (mu + log_s.exp() * torch.logit(u))

    def _logistics(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ln w, μ and ln s of each component, (…, components)."""
        logits, mu, log_s = single(raw).unflatten(-1, (3, self.components)).unbind(-2)
        places = torch.linspace(-1, 1, self.components, device=raw.device, dtype=mu.dtype) if self.components > 1 else 0.0
        start = math.log(0.5 / self.components) if self.components > 1 else math.log(0.5)
        return logits.log_softmax(-1), mu + places, (log_s + start).clamp(min=-SHARPEST)

    def _of_intervals(self, k: Tensor, raw: Tensor) -> Tensor:
        """ln P(k). ln(σ(b) − σ(a)) = ln σ(b) + ln σ(−a) + ln(1 − e^(a−b)), which no rounding can make −∞."""
        assert self.levels is not None
        log_w, mu, log_s = self._logistics(raw)
        upper = torch.where(k >= self.levels - 1, FAR, (k + 0.5 - self.shift) / self.scale)
        lower = torch.where(k <= 0, -FAR, (k - 0.5 - self.shift) / self.scale)
        b, a = (upper - mu) * torch.exp(-log_s), (lower - mu) * torch.exp(-log_s)
        return (log_w + F.logsigmoid(b) + F.logsigmoid(-a) + torch.log(-torch.expm1(a - b))).logsumexp(-1)
