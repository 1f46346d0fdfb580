"""Likelihoods p(x|z) of an example given what the decoder says of it. All in nats, summed over the example.

Shapes: examples x (n, *shape); decoder outputs `raw` (…, n, *shape), with any number of leading axes.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genexp.data.base import DataSpec, Kind
from genexp.errors import UserError
from genexp.machine.device import all_digits
from genexp.registry import Registry
from genexp.settings import Scale

ANY_NUMBERS = "model/likelihood=gaussian takes any numbers"
_VALUES = 12_000_000  # in float64 at a time: 100 MB


class Likelihood(nn.Module):
    """p(x|z), unless a member says otherwise with independent pixels.

    Told when built: the `DataSpec` of the examples. `levels`: how many greys a pixel can have.
    `has_pairs` says whether `pairs` is there; `logits`, whether `raw` are logits: else the decoder gives the mean of x itself.
    `independent`: whether the pixels are, given z: then `raw` says all of p(x|z).
    `kinds` are the kinds of values that it is a likelihood of, and `within` is where they lie.

    Raises:
        UserError: values of a kind that it is no likelihood of.
    """

    has_pairs: ClassVar[bool] = True
    logits: ClassVar[bool] = False
    independent: ClassVar[bool] = True
    kinds: ClassVar[tuple[Kind, ...]]
    within: ClassVar[tuple[float, float]] = (-math.inf, math.inf)

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        spec.check_kind(self.kinds, f"model/likelihood={likelihoods.name_of(self)}", self._hint())
        self.binary = spec.kind == "bits"
        self.levels = spec.greys

    def check(self, x: Tensor) -> None:
        """UserError unless all values of x are finite numbers that this is a likelihood of."""
        low, high = (float(value) for value in x.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise UserError("the training data have values that are no finite numbers")
        if low < self.within[0] or high > self.within[1]:
            raise UserError(
                f"model/likelihood={likelihoods.name_of(self)} needs numbers in [{self.within[0]:g}, {self.within[1]:g}]; "
                f"the training data lie in [{low:.4g}, {high:.4g}]",
                hint=self._hint(),
            )

    def initialise(self, x: Tensor, reconstruct: Callable[[Tensor], Tensor]) -> None:
        """Look once at training examples and at what the decoder makes of them before any training. Most need not."""

    def _hint(self) -> str | None:
        return None if "real" in self.kinds else ANY_NUMBERS

    def mean(self, raw: Tensor) -> Tensor:
        """E[x|z], of the shape of `raw`."""
        raise NotImplementedError

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        """ln p(x|z), (…, n)."""
        raise NotImplementedError

    def sample(self, raw: Tensor) -> Tensor:
        """x ~ p(x|z), of the shape of `raw`."""
        raise NotImplementedError

    def example(self, raw: Tensor) -> Tensor:
        """What is shown and compared as an example: x ~ p(x|z) of zeros and ones, else E[x|z], without the pixels' noise."""
        return self.sample(raw) if self.binary else self.mean(raw)

    def pairs(self, x: Tensor, raw: Tensor) -> Tensor:
        """ln p(x_i|z_j) of every example with every decoder output: x (n, *shape), raw (m, *shape) → (n, m). One product."""
        raise NotImplementedError

    def floor(self, x: Tensor) -> float | None:
        """What −ln p(x|z) cannot fall below, whatever z: the mean over examples, or None where there is no such bound.

        It bounds the reconstruction term alone. Of −ln p(x), `genexp.measures.floors` knows a higher one.
        """
        return None

    @property
    def variance(self) -> Tensor | None:
        """σ² of all values, where p(x|z) = N(raw, σ²I); None of any other."""
        return None

    def from_mean(self, mean: Tensor) -> Tensor:
        """The decoder output whose mean is `mean`."""
        raise NotImplementedError

    def bits_per_dim(self, nats: float, size: int) -> float | None:
        """Bits per value of greys whose −ln p is `nats`; None where p is no probability of greys.

        A density counts when x was greys made continuous, (k + u)/levels with u uniform: log₂ levels bits are then the bins'.
        """
        return None


likelihoods = Registry("likelihood", "genexp.latent", Likelihood)


@likelihoods.register("bernoulli")
class Bernoulli(Likelihood):
    """x in [0, 1] under logits l: ln p = x·l − ln(1 + e^l), the negative cross-entropy. `raw` are the logits.

    On grey values this is no normalised density but the usual objective; its floor is the pixels' own entropy.
    """

    logits = True
    kinds: ClassVar[tuple[Kind, ...]] = ("unit", "bits")
    within = (0.0, 1.0)

    def mean(self, raw: Tensor) -> Tensor:
        return torch.sigmoid(raw.float())

    def sample(self, raw: Tensor) -> Tensor:
        return torch.bernoulli(self.mean(raw))

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        raw = raw.float()
        losses = F.binary_cross_entropy_with_logits(raw, x.expand_as(raw), reduction="none")
        return -losses.flatten(raw.dim() - x.dim() + 1).sum(-1)

    def pairs(self, x: Tensor, raw: Tensor) -> Tensor:
        logits = raw.float().flatten(1)
        with all_digits(x.device):  # a likelihood needs all its digits
            return torch.addmm(-F.softplus(logits).sum(1), x.flatten(1), logits.T)

    def floor(self, x: Tensor) -> float:
        total = 0.0
        for part in x.split(max(1, _VALUES // x[0].numel())):
            part = part.double()
            total -= float((torch.xlogy(part, part) + torch.xlogy(1 - part, 1 - part)).sum())
        return total / len(x)

    def from_mean(self, mean: Tensor) -> Tensor:
        return torch.logit(mean, eps=1e-3)


@likelihoods.register("gaussian")
class Gaussian(Likelihood):
    """x under N(raw, σ²) with one σ for all pixels: ln p = −|x − raw|²/2σ² − D ln σ − ½ D ln 2π.

    Args:
        sigma: the standard deviation; where it is learnt, what it begins at.
        learn_sigma: whether it is learnt, by its logarithm.
    """

    kinds = ("real", "unit", "bits")

    def __init__(self, spec: DataSpec, *, sigma: Scale = 0.1, learn_sigma: bool = True) -> None:
        super().__init__(spec)
        self.size = math.prod(spec.shape)
        self.log_sigma = nn.Parameter(torch.tensor(math.log(sigma)), requires_grad=learn_sigma)

    @property
    def variance(self) -> Tensor:
        return torch.exp(2 * self.log_sigma)

    def mean(self, raw: Tensor) -> Tensor:
        return raw.float()

    def sample(self, raw: Tensor) -> Tensor:
        return raw.float() + self.log_sigma.exp() * torch.randn_like(raw.float())

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        return self.from_squares((x - raw.float()).square().flatten(raw.dim() - x.dim() + 1).sum(-1))

    def pairs(self, x: Tensor, raw: Tensor) -> Tensor:
        return self.from_squares(squared_distances(x.flatten(1), raw.float().flatten(1)))

    def from_mean(self, mean: Tensor) -> Tensor:
        return mean

    def bits_per_dim(self, nats: float, size: int) -> float:
        return nats / size / math.log(2) + math.log2(self.levels)

    def from_squares(self, squares: Tensor) -> Tensor:
        """ln p(x|z) of squared distances |x − raw|², of their shape."""
        return -0.5 * squares * torch.exp(-2 * self.log_sigma) - self.size * (self.log_sigma + 0.5 * math.log(2 * math.pi))


@likelihoods.register("logistic")
class DiscretisedLogistic(Likelihood):
    """Greys x = k/(K−1), k = 0 … K−1, each with a probability: that of its bin under a logistic of mean raw and scale s.

        p(k|z) = σ((x + δ − raw)/s) − σ((x − δ − raw)/s),   δ = ½/(K−1); the outermost bins take the tails.

    K is 256 unless the data say otherwise, and 2 of zeros and ones. A true probability of greys: no noise need be added, and
    what is always white costs nothing.
    Source: Salimans et al., PixelCNN++ (2017).

    Args:
        sigma: the standard deviation to begin with; s = σ√3/π. Every pixel and channel has a scale of its own.
        learn_sigma: whether the scales are learnt, by their logarithm.
    """

    has_pairs = False
    kinds = ("unit", "bits")
    within = (0.0, 1.0)

    def __init__(self, spec: DataSpec, *, sigma: Scale = 0.1, learn_sigma: bool = True) -> None:
        super().__init__(spec)
        start = torch.full(spec.shape, math.log(sigma * math.sqrt(3) / math.pi))
        self.log_scale = nn.Parameter(start, requires_grad=learn_sigma)

    def mean(self, raw: Tensor) -> Tensor:
        return raw.float().clamp(0, 1)

    def sample(self, raw: Tensor) -> Tensor:
        noise = torch.logit(torch.rand_like(raw.float()).clamp(1e-6, 1 - 1e-6))
        x = raw.float() + self.log_scale.clamp(min=math.log(1e-4)).exp() * noise
        return ((self.levels - 1) * x).round().clamp(0, self.levels - 1) / (self.levels - 1)

    def log_prob(self, x: Tensor, raw: Tensor) -> Tensor:
        log_scale, last = self.log_scale.clamp(min=math.log(1e-4)), self.levels - 1
        distance, bin_width = (x - raw.float()) * torch.exp(-log_scale), torch.exp(-log_scale) / last
        upper, lower = distance + 0.5 * bin_width, distance - 0.5 * bin_width
        # ln(σ(b) − σ(a)) = ln σ(b) + ln σ(−a) + ln(1 − e^(a−b)), which no rounding can make −∞
        inside = F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-bin_width))
        log_p = torch.where(x < 0.5 / last, F.logsigmoid(upper), torch.where(x > 1 - 0.5 / last, F.logsigmoid(-lower), inside))
        return log_p.flatten(raw.dim() - x.dim() + 1).sum(-1)

    def from_mean(self, mean: Tensor) -> Tensor:
        return mean

    def bits_per_dim(self, nats: float, size: int) -> float:
        return nats / size / math.log(2)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """|x_i − y_j|² of all pairs, (n, d), (m, d) → (n, m), as one product: |x|² − 2 x·y + |y|², which nearly cancel.

    So they are found in float64, about the mean of y: a σ of 0.01 multiplies their rounding errors by 5,000.
    """
    kind = x.dtype if x.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    with all_digits(x.device):
        centre = y.detach().mean(0)
        x, y = (x - centre).to(kind), (y - centre).to(kind)
        squares = torch.addmm(y.square().sum(1), x, y.T, alpha=-2) + x.square().sum(1)[:, None]
        return squares.clamp(min=0).float()
