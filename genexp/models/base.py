"""What a model is to the rest of genexp."""

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch
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


@dataclass(frozen=True)
class Importance:
    """k posterior samples z (k, n, latent) of n examples with ln p(x|z), ln p(z) and ln q(z|x), each (k, n), in nats."""

    z: Tensor
    log_likelihood: Tensor
    log_prior: Tensor
    log_posterior: Tensor

    def log_weights(self) -> Tensor:
        """ln w = ln p(x, z) − ln q(z|x), (k, n): unbiased estimates w of p(x)."""
        return self.log_likelihood + self.log_prior - self.log_posterior

    def log_evidence(self) -> Tensor:
        """ln 1/k Σ w, (n,): a lower bound of ln p(x) on average, the tighter the more samples."""
        return self.log_weights().logsumexp(0) - math.log(len(self.z))

    @classmethod
    def join(cls, parts: "list[Importance]") -> "Importance":
        """The samples of all parts, of the same examples, as if they had been drawn at once."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class HasLatent(Protocol):
    """A latent-variable model, p(x) = ∫ p(x|z) p(z) dz: example → latent point and back, and p(x_i|z_j) for all pairs."""

    latent: int

    def encode(self, x: Tensor, label: Tensor | None = None) -> Tensor: ...

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor: ...

    def draw_posterior(self, x: Tensor, label: Tensor | None = None) -> Tensor: ...

    def log_likelihoods(self, x: Tensor, z: Tensor) -> Tensor: ...


class HasPosterior(Protocol):
    """A latent-variable model with an approximate posterior q(z|x), given by parameters that `infer` finds."""

    def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor: ...

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor: ...

    def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance: ...
