"""Of latent-variable models whose pixels have a σ: squared error, bits per dimension, and what needs no learning.

The baseline of `squared_error` is coding by the nearest training picture; that of `bits_per_dim`, probabilistic PCA with fitted σ
and the number of dimensions that is likeliest on validation. (It sees 8,000 training pictures at most, the search sees all.)
"""

import math
from dataclasses import dataclass

import torch

from genexp.bijections.bases import log_standard
from genexp.bijections.dequantisation import continuous
from genexp.data.base import Batch
from genexp.latent.importance import HasPosterior
from genexp.machine.device import all_digits
from genexp.measures.bounds import VALUES, bounds
from genexp.measures.copies import nearest_distance, searched
from genexp.measures.probabilistic_pca import choose_ppca
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MOST = 2_000  # training pictures, times four, that a baseline is fitted to
MODEL, DATA = {"latents", "posterior"}, {"examples", "pictures"}


@dataclass(frozen=True)
class Reconstruction:
    """Of the test pictures: E_q |x − E[x|z]|², summed over a picture; KL(q(z|x) ‖ N(0, I)) in nats; −log₂ p of each grey, and
    what probabilistic PCA gets for that.
    """

    squared_error: float
    kl: float
    bits_per_dim: float | None
    bits_by_pca: float


@once
def reconstruction(subject: Subject) -> Reconstruction | None:
    """All of them, which share their random numbers; None of a model whose pixels have no σ."""
    model, data, batch = subject.model, subject.data, subject.test
    size, levels = batch.x[0].numel(), model.likelihood.levels
    if model.likelihood.bits_per_dim(0.0, size) is None:
        return None
    with seeded(seed_for(subject.settings.seed, "bits"), subject.device), all_digits(subject.device):
        error, kl = error_and_kl(model, batch)
        greys = dequantised(batch, levels) if "real" in model.likelihood.kinds else batch
        bits = model.likelihood.bits_per_dim(float(bounds(model, greys, 8).neg_elbo.double().mean()), size)
        parts = data.train.few(4 * MOST).batch(), data.validation.few(MOST).batch()
        fit, judge = (dequantised(part, levels).x.flatten(1) for part in parts)
        fitted = choose_ppca(fit, judge, min(256, len(fit) // 2))
        nats = -fitted.log_prob(dequantised(batch, levels).x.flatten(1)).mean()
    return Reconstruction(error, kl, bits, float(nats) / size / math.log(2) + math.log2(levels))


@torch.no_grad()
def error_and_kl(model: HasPosterior, batch: Batch, draws: int = 8) -> tuple[float, float]:
    """E_q |x − E[x|z]|², summed over an example, and KL(q(z|x) ‖ N(0, I)) in nats; averaged over examples and `draws` samples."""
    error, kl = 0.0, 0.0
    size = max(1, VALUES // batch.x[0].numel() // draws)
    for few in batch.split(size):
        drawn = model.importance(few.x, few.label, draws)
        decoded = model.decode(drawn.z.flatten(0, 1), None if few.label is None else few.label.repeat(draws))
        error += float((few.x - decoded.unflatten(0, (draws, len(few.x)))).square().sum())
        kl += float((drawn.log_posterior - log_standard(drawn.z)).sum())
    return error / draws / len(batch.x), kl / draws / len(batch.x)


def dequantised(batch: Batch, levels: int) -> Batch:
    """Greys k as numbers spread evenly over their bins, (k + u)/levels: what a density of greys is measured on."""
    return Batch(continuous(batch.x, torch.rand_like(batch.x), levels), batch.label)


@measure("squared_error", "of reconstructions, summed over a picture", better="lower", model=MODEL, data=DATA)
@cannot_see("whether samples are sharp: a mean of all that is possible has the least")
def squared_error(subject: Subject) -> Value | None:
    found, train, test = reconstruction(subject), subject.data.train.x, subject.test.x.flatten(1)
    if found is None:
        return None
    nearest = nearest_distance(test[: searched(len(test), train)], train)
    return Value(found.squared_error, baseline=float(nearest.mean()))


@measure("bits_per_dim", "bits for each grey of a picture", better="lower", headline=75, model=MODEL, data=DATA)
@cannot_see("whether samples look right: most bits are spent on fine detail, and little on what a picture shows")
def bits_per_dim(subject: Subject) -> Value | None:
    found = reconstruction(subject)
    return None if found is None else Value(found.bits_per_dim, baseline=found.bits_by_pca)


@suggests(32)
def learnt_noise(case: Case) -> Suggestion | None:
    """Pictures that cost more bits than by probabilistic PCA, which fits its σ, where the model's own was given to it."""
    bits, by_pca, sigma = (
        case.number("bits_per_dim"),
        case.beside("baseline", "bits_per_dim"),
        case.setting("model.likelihood.sigma"),
    )
    if bits is None or by_pca is None or bits <= by_pca or case.setting("model.likelihood.learn_sigma") is not False:
        return None
    said = f"A grey costs {bits:.3g} bits, and {by_pca:.3g} by PCA with a fitted σ: here σ is kept at {sigma:.3g}."
    weighed = case.setting("model.objective.beta") not in (None, 1)
    bound = ("model.objective.beta=1",) if weighed else ()  # bits are of the bound itself
    return Suggestion(said, ("model.likelihood.learn_sigma=true", *bound))
