"""The numbers of a latent-variable model on the test pictures."""

import math
from typing import Any

import numpy as np
import torch

from genexp.data.base import Batch
from genexp.data.images import ImageSet
from genexp.latent.likelihoods import Bernoulli, Gaussian
from genexp.machine.distributed import sharded
from genexp.metrics.classify import auroc
from genexp.metrics.floors import picture_information
from genexp.metrics.latent import bounds, fitted_posteriors, quadrature_nll, squared_error
from genexp.metrics.linear import choose_ppca, fit_ppca
from genexp.metrics.samples import nearest_distance, searched
from genexp.models.base import HasLatent, HasPosterior
from genexp.seeds import seed_for, seeded
from genexp.studies.base import Metric, Subject

Scores = dict[str, np.ndarray]
MOST = 2_000  # training pictures, times four, that a baseline is fitted to


def scores(subject: Subject, batch: Batch) -> Scores:
    """What the model says of each picture, in nats, (n,) each: all the bounds that it can give."""
    model, settings = subject.model, subject.settings.evaluation
    found: dict[str, torch.Tensor] = {}
    with seeded(seed_for(subject.settings.seed, "test"), subject.device):
        if isinstance(model, HasPosterior):
            bound = bounds(model, batch, settings.importance_samples)
            found |= {"neg_elbo": bound.neg_elbo, "reconstruction": bound.reconstruction, "kl": bound.kl}
            found |= {"iwae_nll": bound.iwae_nll, "effective_samples": bound.effective_samples}
        if isinstance(model, HasLatent) and model.latent == 2 and can_be_integrated(model):
            with torch.autocast(subject.device.type, enabled=False):
                found["quadrature_nll"] = quadrature_nll(model, batch.x, settings.quadrature_side)
    return {name: values.double().cpu().numpy() for name, values in found.items()}


def can_be_integrated(model: Any) -> bool:
    """Whether p(z) = N(0, I), p(x|z) depends on nothing else, and all pairs of it are one product: what the quadrature needs."""
    return bool(getattr(model, "standard_prior", False)) and model.likelihood.has_pairs


def likelihood_numbers(subject: Subject, batch: Batch, found: Scores) -> dict[str, Metric]:
    """The means of the scores, with their floors; and how far the quadrature is from having converged.

    What bounds ln p(x) has a higher floor than `reconstruction`: no model knows beforehand which picture will come.
    """
    model, settings = subject.model, subject.settings.evaluation
    metrics: dict[str, Metric] = {name: float(values.mean()) for name, values in found.items()}
    if "iwae_nll" in found:
        metrics["importance_samples"] = settings.importance_samples
    if "quadrature_nll" in found:
        with torch.autocast(subject.device.type, enabled=False):
            coarse = quadrature_nll(model, batch.x, settings.quadrature_side // 2)
        metrics["quadrature_error"] = abs(float(coarse.double().mean()) - float(found["quadrature_nll"].mean()))
    floor = model.likelihood.floor(batch.x)
    if floor is not None:
        if "reconstruction" in found:
            metrics["floor/reconstruction"] = floor
        with seeded(seed_for(subject.settings.seed, "floor"), subject.device):
            label = batch.label if getattr(model, "conditional", False) else None
            floor += picture_information(batch.x, label)
        metrics |= {f"floor/{name}": floor for name in ("neg_elbo", "iwae_nll", "quadrature_nll") if name in found}
        mean = sum(part.float().sum(0) for part in subject.data.train.x.split(4096)) / len(subject.data.train) / 255
        blind = model.likelihood.from_mean(mean).expand_as(batch.x)
        baseline = -float(model.likelihood.log_prob(batch.x, blind).mean())
        metrics |= {f"baseline/{name}": baseline for name in ("neg_elbo", "quadrature_nll") if name in found}
    return metrics


def reconstruction_numbers(subject: Subject, batch: Batch, found: Scores) -> dict[str, Metric]:
    """Of models whose pixels have a σ: squared error, the article's loss, bits per dimension; and what needs no learning.

    `article_loss` is squared error + ½ KL(q ‖ N(0, I)), whatever the model was trained on and whatever its prior. Its baseline
    is the best linear VAE of as many latent dimensions on that objective; that of `squared_error`, coding by the nearest
    training picture; that of `bits_per_dim`, probabilistic PCA with fitted σ and the number of dimensions that is likeliest on
    validation. (The fits see 8,000 training pictures at most, the search sees all.)
    """
    model, data, size = subject.model, subject.data, batch.x[0].numel()
    if isinstance(model.likelihood, Bernoulli):
        return {}
    metrics: dict[str, Metric] = {}
    with seeded(seed_for(subject.settings.seed, "bits"), subject.device), torch.autocast(subject.device.type, enabled=False):
        if "kl" in found:
            error, kl = squared_error(model, batch)
            metrics |= {"squared_error": error, "article_loss": error + 0.5 * kl}
            bytes_ = dequantised(batch) if isinstance(model.likelihood, Gaussian) else batch
            nats = bounds(model, bytes_, 8).neg_elbo.double().mean()
            metrics["bits_per_dim"] = model.likelihood.bits_per_dim(float(nats), size)
        some = data.train.few(4 * MOST).batch()
        train, test = some.x.flatten(1), batch.x.flatten(1)
        linear = fit_ppca(train, model.latent, noise=0.25)  # SE + ½ KL = −2σ²·ELBO + constant for σ² = ¼
        metrics["baseline/article_loss"] = float(-0.5 * linear.log_prob(test).mean()) - 0.25 * size * math.log(2 * math.pi * 0.25)
        nearest = nearest_distance(test[: searched(len(test), data.train.x)], data.train.x)
        metrics["baseline/squared_error"] = float(nearest.mean())
        fit, judge = (dequantised(part).x.flatten(1) for part in (some, data.validation.few(MOST).batch()))
        fitted = choose_ppca(fit, judge, min(256, len(fit) // 2))
        nats = -fitted.log_prob(dequantised(batch).x.flatten(1)).mean()
        metrics["baseline/bits_per_dim"] = float(nats) / size / math.log(2) + 8
    return metrics


def dequantised(batch: Batch) -> Batch:
    """Bytes k as numbers spread evenly over their bins, (k + u)/256: what a density of bytes is measured on."""
    return Batch((255 * batch.x + torch.rand_like(batch.x)) / 256, batch.label)


def amortization_gap(subject: Subject, batch: Batch) -> dict[str, Metric]:
    """What the ELBO gains when each posterior is optimised for its own picture, over the first few test pictures."""
    count, k = subject.settings.evaluation.amortization_images, subject.settings.evaluation.importance_samples
    if not count or not isinstance(subject.model, HasPosterior):
        return {}
    few = batch[:count]
    with (
        seeded(seed_for(subject.settings.seed, "amortization"), subject.device),
        torch.autocast(subject.device.type, enabled=False),
    ):
        fitted = fitted_posteriors(subject.model, few)
        gain = bounds(subject.model, few, k).neg_elbo.mean() - bounds(subject.model, few, k, fitted).neg_elbo.mean()
    return {"amortization_gap": float(gain), "amortization_images": len(few.x)}


def anomaly_numbers(usual: Scores, others: dict[str, Scores]) -> dict[str, Metric]:
    """AUROC of telling other data sets from the test pictures by each score."""
    return {
        f"auroc_{score}/{name}": auroc(usual[score], found[score])
        for name, found in others.items()
        for score in ("neg_elbo", "iwae_nll", "quadrature_nll")
        if score in usual
    }


def test_part(subject: Subject) -> ImageSet:
    """The test pictures that are used: `evaluation.num_points` at most."""
    return subject.data.test[: subject.settings.evaluation.num_points]


def latent_points(subject: Subject, pictures: ImageSet) -> torch.Tensor:
    """Where the model puts pictures, (n, latent), on the CPU; bytes become floats a part at a time."""

    def encode(start: int) -> torch.Tensor:
        part = pictures[start : start + 512].batch()
        return subject.model.encode(part.x, part.label).float().cpu()

    return torch.cat(sharded(range(0, len(pictures), 512), encode))
