"""The noise that flows begin from."""

import math

import torch
from torch import Tensor

from genexp.bijections.base import Base, bases
from genexp.settings import Scale


def log_standard(z: Tensor) -> Tensor:
    """ln N(z; 0, I) in nats, (…, dim) → (…)."""
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


class _Noise(Base):
    """Of `dim` numbers, drawn where `like` lies and as precise as it is."""

    like: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("like", torch.empty(0), persistent=False)

    def uniform(self, n: int) -> Tensor:
        """Uniform on [0, 1), (n, dim)."""
        return torch.rand(n, self.dim, device=self.like.device, dtype=self.like.dtype)


@bases.register("normal")
class Normal(_Noise):
    """N(0, I)."""

    def log_prob(self, z: Tensor) -> Tensor:
        return log_standard(z)

    def sample(self, n: int) -> Tensor:
        return torch.randn(n, self.dim, device=self.like.device, dtype=self.like.dtype)


@bases.register("uniform")
class Uniform(_Noise):
    """Uniform on [−bound, bound]^dim.

    Args:
        bound: half a side, in the units of the data.
    """

    bounded = True

    def __init__(self, dim: int, *, bound: Scale = 5.0) -> None:
        super().__init__(dim)
        self.bound = bound

    def log_prob(self, z: Tensor) -> Tensor:
        inside = (z.abs() <= self.bound).all(1)
        return torch.where(inside, z.new_tensor(-self.dim * math.log(2 * self.bound)), -math.inf)

    def sample(self, n: int) -> Tensor:
        return self.bound * (2 * self.uniform(n) - 1)


@bases.register("logistic")
class Logistic(_Noise):
    """p(z) = Π e^(−z_i) / (1 + e^(−z_i))²: a bell with heavier tails than N(0, 1), of variance π²/3.

    Source: Dinh et al., NICE (2015), section 3.4.
    """

    def log_prob(self, z: Tensor) -> Tensor:
        return (torch.nn.functional.logsigmoid(z) + torch.nn.functional.logsigmoid(-z)).sum(-1)

    def sample(self, n: int) -> Tensor:
        u = self.uniform(n)
        return u.clamp(torch.finfo(u.dtype).tiny, 1 - torch.finfo(u.dtype).eps).logit()


class Interval(_Noise):
    """Uniform on [low, high] in each feature, whose ends belong to it as far as rounding can tell."""

    bounded = True

    def __init__(self, dim: int, low: float, high: float) -> None:
        super().__init__(dim)
        self.low, self.high = low, high

    def log_prob(self, z: Tensor) -> Tensor:
        room = 4 * torch.finfo(z.dtype).eps * max(abs(self.low), abs(self.high))
        inside = ((z >= self.low - room) & (z <= self.high + room)).all(1)
        return torch.where(inside, z.new_tensor(-self.dim * math.log(self.high - self.low)), -math.inf)

    def sample(self, n: int) -> Tensor:
        share = self.uniform(n)
        return self.low + (self.high - self.low) * share
