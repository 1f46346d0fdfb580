"""What a model is to the rest of genexp."""

from typing import Protocol

from torch import Tensor, nn

from genexp.capabilities import Ability, Objective
from genexp.data.base import Batch

Terms = dict[str, Tensor]


class GenerativeModel(nn.Module):
    """A model owns its objective: the trainer minimises `loss(batch)["loss"]` and asks no further questions.

    It declares what else it can do, in the words of `genexp.capabilities`: what is measured, drawn and sampled follows from them.
    """

    @property
    def can(self) -> frozenset[Ability]:
        """What it can do, as it is now."""
        return frozenset({"sample"})

    @property
    def objective(self) -> Objective:
        """What its loss is: "nll" is −E[ln p(x)] itself; only of a known one is it said how far it is from the best possible."""
        return "other"

    def initialise(self, batch: Batch) -> None:
        """Look at some training data once, before the first step. Most models need not."""

    def conclude(self, batch: Batch) -> None:
        """Look at some training data once, after the last step, for what is fitted at one go. Most models need not."""

    def loss(self, batch: Batch) -> Terms:
        """The training objective under "loss", and any terms of it worth logging. Scalars."""
        raise NotImplementedError

    def validate(self, batch: Batch) -> Terms:
        """The objective in its textbook form on held-out data: what is comparable between settings."""
        return self.loss(batch)

    def sample(self, n: int) -> Tensor:
        """n new examples, shape (n, *shape)."""
        raise NotImplementedError


class HasVelocity(Protocol):
    """A model that moves noise into data along dx/dt = v(x, t), t from 0 to 1."""

    def velocity(self, x: Tensor, t: Tensor) -> Tensor: ...

    def trajectory(self, x0: Tensor, frames: int) -> Tensor: ...
