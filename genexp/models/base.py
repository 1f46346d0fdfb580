"""What a model is to the rest of genexp."""

from collections.abc import Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import torch
from torch import Tensor, nn

from genexp.capabilities import Ability, Learns, Objective, known_of
from genexp.data.base import Batch
from genexp.data.base import Terms as Terms
from genexp.errors import UserError


class GenerativeModel(nn.Module):
    """A model owns its objective: the trainer minimises `loss(batch)["loss"]` and asks no further questions.

    It declares what else it can do, in the words of `genexp.capabilities`: what is measured, drawn and sampled follows from them.
    """

    fitter = "gradient"  # which comes to its weights: a name of `genexp.fit`
    learns: Learns = "examples"
    first_look = 16_384  # training examples that `initialise` is given, or as many as there are
    examples = 65_536  # so many are drawn, once, by a fitter that needs the same ones in each step, where a set has no end
    transitions = 0  # of Markov chains, all in all
    tolerance = 1e-6  # nats per example: a step of EM that gains less is the last

    @property
    def device(self) -> torch.device:
        """Where its numbers are; of a model without any, the CPU."""
        first = next(chain(self.parameters(), self.buffers()), None)
        return torch.device("cpu") if first is None else first.device

    @property
    def can(self) -> frozenset[Ability]:
        """What it can do, as it is now."""
        return frozenset({"sample"})

    @property
    def objective(self) -> Objective:
        """What its loss is: "nll" is −E[ln p(x)] itself; only of a known one is it said how far it is from the best possible."""
        return "other"

    @property
    def concludes(self) -> bool:
        """Whether `conclude` fits anything."""
        return type(self).conclude is not GenerativeModel.conclude

    def initialise(self, batch: Batch) -> None:
        """Look at some training data once, before the first step. Most models need not."""

    def conclude(self, batch: Batch) -> None:
        """Look at some training data once, after the last step, for what is fitted at one go. Most models need not."""

    def loss(self, batch: Batch) -> Terms:
        """The training objective under "loss", and any terms of it worth logging. Scalars."""
        raise NotImplementedError

    def reduce(self, x: Tensor) -> Tensor | None:
        """All that `loss` asks of examples x, where that is less than x and no weight changes it: `loss` takes it in place of
        x, so that it is found once where the same examples come again. None of most models: x itself.
        """
        return None

    def em_step(self, batch: Batch) -> Terms:
        """Of a model that is fitted by EM: one step on the whole training set; the terms before it."""
        raise NotImplementedError

    def transition(self, batch: Batch) -> Terms:
        """Of Markov chains: all of them move once under the batch's log density; the terms afterwards."""
        raise NotImplementedError

    def remembering(self) -> AbstractContextManager[None]:
        """Inside, where no weight changes, what is fitted to an example is found once. Most models fit nothing to examples."""
        return nullcontext()

    def remarks(self) -> list[str]:
        """What a reader has to be told of how the fit went, a line each. Most models have nothing to say."""
        return []

    def validate(self, batch: Batch) -> Terms:
        """The objective in its textbook form on held-out data: what is comparable between settings."""
        return self.loss(batch)

    def sample(self, n: int) -> Tensor:
        """n new examples, shape (n, *shape)."""
        raise NotImplementedError


@dataclass(frozen=True)
class Gaussians:
    """A mixture of k Gaussians: weights (k,), means (k, dim), covariances (k, dim, dim); how many numbers of it are free."""

    weights: Tensor
    means: Tensor
    covariances: Tensor
    free: int


class HasVelocity(Protocol):
    """A model that moves noise into data along dx/dt = v(x, t), t from 0 to 1."""

    def velocity(self, x: Tensor, t: Tensor) -> Tensor: ...

    def trajectory(self, x0: Tensor, frames: int) -> Tensor: ...


def check_learns(model: GenerativeModel, knows: Set[str]) -> None:
    """UserError where the model has nothing to learn, or the data, of which one `knows` so much, not what it learns from."""
    if model.fitter == "gradient" and not any(weights.requires_grad for weights in model.parameters()):
        raise UserError("the model has no weights, and so there is nothing to train")
    if model.learns != "density" and "target" in knows:
        raise UserError(
            "the model learns from examples, and these data are a density without any",
            hint="a flow learns a density by model/objective=reverse_kl",
        )
    if model.learns != "examples" and "log_density" not in known_of(knows):
        raise UserError(
            "the model needs the density of the data, and these have none that is known and smooth",
            hint="genexp list models --data NAME",
        )
