"""Importance samples of a posterior, and what a latent-variable model offers."""

import math
from dataclasses import dataclass, fields
from typing import Protocol

import torch
from torch import Tensor


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
