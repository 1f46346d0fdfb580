"""On request: what an encoder loses against posteriors that are optimised for each example alone."""

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.latent.importance import HasPosterior
from genexp.measures.bounds import bounds
from genexp.measures.record import Value, measure
from genexp.optim.adam import Adam
from genexp.optim.schedule import Rate
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject

MODEL = {"posterior", "latents"}


def fitted_posteriors(model: HasPosterior, batch: Batch, steps: int = 400, k: int = 16) -> Tensor:
    """Posterior parameters optimised for each example alone, from the encoder's: what they gain is the amortization gap.

    Source: Cremer, Li & Duvenaud, Inference Suboptimality in Variational Autoencoders (2018).
    """
    parameters = model.infer(batch.x, batch.label).detach().requires_grad_()
    optimizer = Adam([parameters], lr=0.05)
    for step in range(steps):
        optimizer.follow(Rate(1 - step / steps))
        loss = -model.importance(batch.x, batch.label, k, parameters).log_weights().mean(0).sum()
        (parameters.grad,) = torch.autograd.grad(loss, [parameters])
        optimizer.step()
    return parameters.detach()


@measure(
    "amortization_gap",
    "what the ELBO gains when each posterior is optimised for its own example, nats",
    better="lower",
    model=MODEL,
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
def amortization_gap(subject: Subject) -> Value:
    """Over the first few test examples."""
    settings = subject.settings.evaluation
    few, k = subject.test[: settings.amortization_images], settings.importance_samples
    with (
        torch.enable_grad(),
        seeded(seed_for(subject.settings.seed, "amortization"), subject.device),
        torch.autocast(subject.device.type, enabled=False),
    ):
        fitted = fitted_posteriors(subject.model, few)
        gain = bounds(subject.model, few, k).neg_elbo.mean() - bounds(subject.model, few, k, fitted).neg_elbo.mean()
    return Value(float(gain))


@measure(
    "amortization_images",
    "test examples that amortization_gap is over",
    model=MODEL,
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
def amortization_images(subject: Subject) -> Value:
    return Value(len(subject.test[: subject.settings.evaluation.amortization_images].x))
