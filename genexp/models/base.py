"""What a model is to the rest of genexp."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from genexp.data.base import Batch

Terms = dict[str, Tensor]


class GenerativeModel(nn.Module):
    """A model owns its objective: the trainer minimises `loss(batch)["loss"]` and asks no further questions.

    Where they exist, a model also offers `log_prob(x)`, `encode(x)` and `decode(z)`.
    """

    def initialise(self, batch: Batch) -> None:
        """Look at some training data once, before the first step. Most models need not."""

    def loss(self, batch: Batch) -> Terms:
        """The training objective under "loss", and any terms of it worth logging. Scalars."""
        raise NotImplementedError

    def validate(self, batch: Batch) -> Terms:
        """The objective in its textbook form on held-out data: what is comparable between settings."""
        return self.loss(batch)

    def sample(self, n: int) -> Tensor:
        """n new examples, shape (n, *shape)."""
        raise NotImplementedError


@runtime_checkable
class HasLogProb(Protocol):
    """A model with an exact likelihood: ln p(x) in nats, shape (n,)."""

    def log_prob(self, x: Tensor) -> Tensor: ...


@runtime_checkable
class HasLayers(Protocol):
    """A bijection in layers: noise (n, dim) and where every layer takes it, (layers, n, dim); and both directions."""

    def sample_base(self, n: int) -> Tensor: ...

    def layers(self, z: Tensor) -> Tensor: ...

    def transform(self, x: Tensor) -> tuple[Tensor, Tensor]: ...

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]: ...


@runtime_checkable
class HasVelocity(Protocol):
    """A model that moves noise into data along dx/dt = v(x, t), t from 0 to 1."""

    def velocity(self, x: Tensor, t: Tensor) -> Tensor: ...

    def trajectory(self, x0: Tensor, frames: int) -> Tensor: ...
