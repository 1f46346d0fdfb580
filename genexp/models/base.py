"""What a model is to the rest of genexp."""

from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from genexp.data.base import Batch

Terms = dict[str, Tensor]


class GenerativeModel(nn.Module):
    """A model owns its objective: the trainer minimises `loss(batch)["loss"]` and asks no further questions.

    Where they exist, a model also offers `log_prob(x)`, `encode(x)` and `decode(z)`.
    """

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
class HasVelocity(Protocol):
    """A model that moves noise into data along dx/dt = v(x, t), t from 0 to 1."""

    def velocity(self, x: Tensor, t: Tensor) -> Tensor: ...

    def trajectory(self, x0: Tensor, frames: int) -> Tensor: ...
