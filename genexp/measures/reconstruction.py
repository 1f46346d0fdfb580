"""Of latent-variable models whose pixels have a σ: squared error, the article's loss, bits per dimension; and what needs no
learning.

`article_loss` is squared error + ½ KL(q ‖ N(0, I)), whatever the model was trained on and whatever its prior. Its baseline is the
best linear VAE of as many latent dimensions on that objective; that of `squared_error`, coding by the nearest training picture;
that of `bits_per_dim`, probabilistic PCA with fitted σ and the number of dimensions that is likeliest on validation. (The fits
see 8,000 training pictures at most, the search sees all.)
"""

import math

import torch

from genexp.bijections.bases import log_standard
from genexp.data.base import Batch
from genexp.latent.importance import HasPosterior
from genexp.measures.bounds import VALUES, bounds
from genexp.measures.copies import nearest_distance, searched
from genexp.measures.probabilistic_pca import choose_ppca, fit_ppca
from genexp.measures.record import Value, Values, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MOST = 2_000  # training pictures, times four, that a baseline is fitted to
MODEL, DATA = {"latents"}, {"examples", "pictures"}


@once
def numbers(subject: Subject) -> dict[str, Value]:
    """All of them, which share their random numbers; none of a model whose pixels have no σ."""
    model, data, batch = subject.model, subject.data, subject.test
    size = batch.x[0].numel()
    if model.likelihood.bits_per_dim(0.0, size) is None:
        return {}
    found: dict[str, float | None] = {}
    with seeded(seed_for(subject.settings.seed, "bits"), subject.device), torch.autocast(subject.device.type, enabled=False):
        if "posterior" in subject.can:
            error, kl = error_and_kl(model, batch)
            found |= {"squared_error": error, "article_loss": error + 0.5 * kl}
            bytes_ = dequantised(batch) if "real" in model.likelihood.kinds else batch
            found["bits_per_dim"] = model.likelihood.bits_per_dim(float(bounds(model, bytes_, 8).neg_elbo.double().mean()), size)
        some = data.train.few(4 * MOST).batch()
        train, test = some.x.flatten(1), batch.x.flatten(1)
        linear = fit_ppca(train, model.latent, noise=0.25)  # SE + ½ KL = −2σ²·ELBO + constant for σ² = ¼
        best_linear = float(-0.5 * linear.log_prob(test).mean()) - 0.25 * size * math.log(2 * math.pi * 0.25)
        nearest = nearest_distance(test[: searched(len(test), data.train.x)], data.train.x)
        fit, judge = (dequantised(part).x.flatten(1) for part in (some, data.validation.few(MOST).batch()))
        fitted = choose_ppca(fit, judge, min(256, len(fit) // 2))
        nats = -fitted.log_prob(dequantised(batch).x.flatten(1)).mean()
    baselines = {
        "article_loss": best_linear,
        "squared_error": float(nearest.mean()),
        "bits_per_dim": float(nats) / size / math.log(2) + 8,
    }
    return {name: Value(found.get(name), baseline=baseline) for name, baseline in baselines.items()}


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


def dequantised(batch: Batch) -> Batch:
    """Bytes k as numbers spread evenly over their bins, (k + u)/256: what a density of bytes is measured on."""
    return Batch((255 * batch.x + torch.rand_like(batch.x)) / 256, batch.label)


@measure("squared_error", "of reconstructions, summed over a picture", better="lower", model=MODEL | {"posterior"}, data=DATA)
def squared_error(subject: Subject) -> Values:
    return numbers(subject).get("squared_error")


@measure(
    "article_loss",
    "squared error + ½ KL(q ‖ N(0, I)), the article's objective",
    better="lower",
    headline=70,
    model=MODEL | {"posterior"},
    data=DATA,
)
def article_loss(subject: Subject) -> Values:
    return numbers(subject).get("article_loss")


@measure("bits_per_dim", "bits for each byte of a picture", better="lower", headline=75, model=MODEL | {"posterior"}, data=DATA)
def bits_per_dim(subject: Subject) -> Values:
    return numbers(subject).get("bits_per_dim")
