"""On request: what an encoder loses against posteriors that are optimised for each example alone, and what these lose.

    ln p(x) − ELBO = [ln p(x) − max_q ELBO(q)] + [max_q ELBO(q) − ELBO(q(z|x))],      q of the same kind:

the family's gap and the encoder's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.latent.importance import HasPosterior
from genexp.machine.device import all_digits
from genexp.measures.bounds import bounds
from genexp.measures.latent_quadrature import integrated_nll
from genexp.measures.record import Value, cannot_see, measure
from genexp.optim.adam import Adam
from genexp.optim.schedule import Rate
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

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


@dataclass(frozen=True)
class Gaps:
    """Of the first few test examples: their ln p(x), or a bound of it, and the ELBOs of posteriors that are fitted to each of
    them alone and of the encoder's, each a mean in nats; and the parameters of the fitted ones.
    """

    evidence: float
    fitted: float
    encoder: float
    parameters: Tensor


@once
def gaps(subject: Subject) -> Gaps:
    """ln p(x) by quadrature, where the latent space is a plane; else the highest of the bounds by weighted samples."""
    settings, model = subject.settings.evaluation, subject.model
    few, k = subject.test[: settings.amortization_images], settings.importance_samples
    with (
        torch.enable_grad(),
        seeded(seed_for(subject.settings.seed, "amortization"), subject.device),
        all_digits(subject.device),
    ):
        parameters = fitted_posteriors(model, few)
        encoder, fitted = bounds(model, few, k), bounds(model, few, k, parameters)
        evidence = -torch.minimum(encoder.iwae_nll, fitted.iwae_nll)
        if "pairs" in subject.can:
            evidence = -integrated_nll(model, few.x, settings.quadrature_side)
    highest, best, own = (float(values.double().mean()) for values in (evidence, -fitted.neg_elbo, -encoder.neg_elbo))
    return Gaps(highest, best, own, parameters)


@measure(
    "amortization_gap",
    "what the ELBO gains when each posterior is optimised for its own example, nats",
    better="lower",
    model=MODEL,
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
@cannot_see("what a richer family would gain: see family_gap")
def amortization_gap(subject: Subject) -> Value:
    """Over the first few test examples."""
    found = gaps(subject)
    return Value(found.fitted - found.encoder)


@measure(
    "family_gap",
    "KL(q ‖ p(z|x)) that is left when each posterior is optimised for its own example, nats; a bound from below but in the plane",
    better="lower",
    model=MODEL,
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
@cannot_see("what the encoder loses: see amortization_gap")
def family_gap(subject: Subject) -> Value:
    """What posteriors of this kind cannot say, whatever the encoder; the two gaps add up to ln p(x) − ELBO."""
    found = gaps(subject)
    return Value(found.evidence - found.fitted, floor=0.0)


@measure(
    "amortization_images",
    "test examples that amortization_gap is over",
    model=MODEL,
    asked=lambda evaluation: evaluation.amortization_images > 0,
)
def amortization_images(subject: Subject) -> Value:
    return Value(len(subject.test[: subject.settings.evaluation.amortization_images].x))
