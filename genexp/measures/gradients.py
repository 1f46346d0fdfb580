"""On request: how much of a gradient of the importance-weighted bound is signal, against the number of samples k.

Of gradients g of the same examples with new noise each time, signal to noise is |E g| / √(tr Cov g). For the decoder's it rises
like √k. For the encoder's it falls like 1/√k, unless that is doubly reparameterised.

Source: Rainforth et al., Tighter Variational Bounds are Not Necessarily Better (2018).
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.latent.importance import Importance
from genexp.latent.objectives import doubly_reparameterised
from genexp.machine.device import all_digits
from genexp.measures.record import Value, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL = {"posterior", "latents"}
SAMPLES = (1, 2, 4, 8, 16, 32, 64)
REPEATS = 32
Loss = Callable[[Any, Batch, Importance, Tensor], Tensor]


@dataclass(frozen=True)
class Noise:
    """Of one estimator, by k: signal to noise of the encoder's and of the decoder's gradient, and tr Cov of both."""

    encoder: dict[int, float]
    decoder: dict[int, float]
    encoder_variance: dict[int, float]
    decoder_variance: dict[int, float]


def plain(model: Any, batch: Batch, drawn: Importance, parameters: Tensor) -> Tensor:
    return -drawn.log_evidence().mean()


def doubly(model: Any, batch: Batch, drawn: Importance, parameters: Tensor) -> Tensor:
    fixed = model.posterior.log_prob_along(drawn.z, parameters)
    return doubly_reparameterised(replace(drawn, log_posterior=fixed))


@once
def noise(subject: Subject) -> dict[str, Noise]:
    """By estimator: `plain`, and `doubly` where ln q is known at any z."""
    few = subject.test[: subject.settings.evaluation.gradient_images]
    model = copy.deepcopy(subject.model).requires_grad_(True)
    estimators: dict[str, Loss] = {"plain": plain, **({"doubly": doubly} if model.posterior.has_density else {})}
    seed = seed_for(subject.settings.seed, "gradients")
    with torch.enable_grad(), seeded(seed, subject.device), all_digits(subject.device):
        return {name: noise_of(model, few, loss) for name, loss in estimators.items()}


def noise_of(model: Any, batch: Batch, loss: Loss, samples: tuple[int, ...] = SAMPLES, repeats: int = REPEATS) -> Noise:
    """Of the gradients of a loss, a mean over the batch, by `repeats` of them at each k."""
    sides = (
        [*model.encoder.parameters(), *model.posterior.parameters()],
        [*model.decoder.parameters(), *model.likelihood.parameters()],
    )
    ratios: tuple[dict[int, float], dict[int, float]] = ({}, {})
    variances: tuple[dict[int, float], dict[int, float]] = ({}, {})
    for k in samples:
        sums, squares = [0.0, 0.0], [0.0, 0.0]
        total: list[Tensor | float] = [0.0, 0.0]
        for _ in range(repeats):
            parameters = model.infer(batch.x, batch.label)
            drawn = model.importance(batch.x, batch.label, k, parameters)
            value = loss(model, batch, drawn, parameters)
            flat = torch.autograd.grad(value, [*sides[0], *sides[1]], allow_unused=True, materialize_grads=True)
            split = flat[: len(sides[0])], flat[len(sides[0]) :]
            for side, found in enumerate(split):
                gradient = torch.cat([part.flatten() for part in found]).double()
                total[side] = total[side] + gradient
                squares[side] += float(gradient.square().sum())
        for side in (0, 1):
            sums[side] = float(torch.as_tensor(total[side]).square().sum()) / repeats**2
            variance = (squares[side] / repeats - sums[side]) * repeats / (repeats - 1)
            signal = max(sums[side] - variance / repeats, 0.0)  # |mean|² has that much of noise
            variances[side][k], ratios[side][k] = variance, math.sqrt(signal / variance) if variance > 0 else math.inf
    return Noise(*ratios, *variances)


@once
@torch.no_grad()
def effective_share(subject: Subject) -> dict[int, float]:
    """ESS/k of k weighted samples, (Σ w)²/(k Σ w²), a mean over the same examples."""
    few = subject.test[: subject.settings.evaluation.gradient_images]
    with seeded(seed_for(subject.settings.seed, "shares"), subject.device):
        log_weights = subject.model.importance(few.x, few.label, 8 * max(SAMPLES)).log_weights().double()
    found = {}
    for k in SAMPLES:
        groups = log_weights.unflatten(0, (-1, k))
        effective = torch.exp(2 * groups.logsumexp(1) - (2 * groups).logsumexp(1))
        found[k] = float(effective.mean()) / k
    return found


def asked(evaluation: Any) -> bool:
    return bool(evaluation.gradient_images > 0)


@measure("encoder_gradient", "signal to noise of the encoder's gradient, by estimator and k", model=MODEL, asked=asked)
def encoder_gradient(subject: Subject) -> dict[str, Value]:
    return {f"{name}/{k}": Value(ratio) for name, found in noise(subject).items() for k, ratio in found.encoder.items()}


@measure("decoder_gradient", "signal to noise of the decoder's gradient, by estimator and k", model=MODEL, asked=asked)
def decoder_gradient(subject: Subject) -> dict[str, Value]:
    return {f"{name}/{k}": Value(ratio) for name, found in noise(subject).items() for k, ratio in found.decoder.items()}


@measure("effective_share", "share of k weighted samples that count, ESS/k, by k", model=MODEL, asked=asked)
def effective_share_of_each(subject: Subject) -> dict[str, Value]:
    return {str(k): Value(share) for k, share in effective_share(subject).items()}
