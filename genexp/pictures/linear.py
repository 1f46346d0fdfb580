"""Pictures of the linear VAE: which directions it learns, and how well samples estimate what is known in closed form."""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.data.base import Batch
from genexp.figures import images, linear
from genexp.measures.collapse import COLLAPSED
from genexp.measures.linear import found_on, trained
from genexp.measures.record import picture
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL = {"linear"}
SHOWN = 12  # principal directions
LARGEST_K = 1_024
EXAMPLES = 64
OUTLINED = 5  # examples whose posteriors are drawn


@picture("spectrum", "What the linear VAE learns, and what theory says of it", lead=1, model=MODEL)
def spectrum(subject: Subject) -> Figure:
    found = trained(subject)
    own = torch.linalg.svdvals(found.own.weight).square() + found.own.variance
    kl = found.kl.sort(descending=True).values
    parts = (found.eigenvalues, own)
    data, model = (part.numpy() for part in parts)
    return linear.spectrum(linear.Spectrum(data, model, found.best.noise, kl.numpy()), int((kl >= COLLAPSED).sum()))


@picture(
    "principal_directions",
    "The principal directions of the pictures, and the decoder's, in the order of their KL",
    lead=2,
    model=MODEL,
    data={"pictures"},
)
def principal_directions(subject: Subject) -> Figure:
    """Each from black over grey, where it is zero, to white; their signs mean nothing, and are made equal."""
    found = trained(subject)
    count = min(SHOWN, found.own.weight.shape[1])
    order = found.kl.argsort(descending=True)[:count]
    own, best = found.own.weight[:, order].T, found.best.directions[:, :count].double().T
    own = own * torch.sign((own * best).sum(1, keepdim=True) + 1e-30)
    named = {"PCA": _grey(best, subject), "decoder": _grey(own, subject)}
    return images.rows(named, f"the first {count} principal directions, and the {count} columns of W with the largest KL")


def _grey(directions: Tensor, subject: Subject) -> np.ndarray:
    """Directions (n, d) as pictures: zero is the middle grey."""
    scaled = 0.5 + 0.5 * directions / directions.abs().amax(1, keepdim=True).clamp(min=1e-12)
    return scaled.unflatten(1, subject.data.spec.shape).numpy()


@once
@torch.no_grad()
def estimates(subject: Subject) -> linear.Estimates:
    """Of a few test examples, each k times as often as there is room for."""
    few = Batch(subject.test.x[:EXAMPLES], None)
    found = found_on(subject, few.x)
    exact = found.own.elbo(found.x, found.parameters)
    with seeded(seed_for(subject.settings.seed, "estimates"), subject.device):
        drawn = subject.model.importance(few.x, None, 4 * LARGEST_K)
    log_weights = drawn.log_weights().double().cpu()
    ks = [2**power for power in range(11) if 2**power <= LARGEST_K]
    groups = [log_weights.unflatten(0, (-1, k)) for k in ks]  # (repeats, k, n)
    bounds = [group.logsumexp(1) - np.log(k) for group, k in zip(groups, ks, strict=True)]
    return linear.Estimates(
        np.array(ks),
        np.array([float(bound.mean()) for bound in bounds]),
        np.array([float(bound.mean(1).std() / len(bound) ** 0.5) for bound in bounds]),
        np.array([float((group.mean(1) - exact).square().mean().sqrt()) for group in groups]),
        float(found.own.log_prob(found.x).mean()),
        float(exact.mean()),
    )


@picture("estimates", "Samples against the formula: the ELBO's error, and the bound of many samples", lead=3, model=MODEL)
def estimates_picture(subject: Subject) -> Figure:
    return linear.estimates(estimates(subject))


@picture("posteriors", "The exact posterior p(z|x) and the encoder's q(z|x)", lead=4, model=MODEL | {"plane"})
def posteriors(subject: Subject) -> Figure:
    found = found_on(subject, subject.test.x[:EXAMPLES])
    mu, log_variance = found.parameters.chunk(2, dim=1)
    means, covariance = found.own.posterior_mean(found.x), torch.linalg.inv(found.own.precision)
    pairs = [
        (
            linear.Bell(means[i].numpy(), covariance.numpy()),
            linear.Bell(mu[i].numpy(), log_variance[i].exp().diag().numpy()),
        )
        for i in range(min(OUTLINED, len(mu)))
    ]
    gap = float(found.own.gap(found.x, found.parameters).mean())
    return linear.posteriors(pairs, gap)
