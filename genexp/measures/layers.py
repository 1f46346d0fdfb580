"""Latents in layers: what each of them says of an example."""

import torch
from torch import Tensor

from genexp.machine.device import all_digits
from genexp.measures.record import Value, cannot_see, measure
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL = {"latent_layers"}
DRAWS = 8  # posterior samples of each example
PART = 2_048  # examples at a time


@once
@torch.no_grad()
def layer_kl(subject: Subject) -> Tensor:
    """KL(q(z_l|z_>l, x) ‖ p(z_l|z_>l)) of each layer, a mean over test examples and samples of what lies above; (layers,)."""
    model = subject.model
    seed = seed_for(subject.settings.seed, "layers")
    with seeded(seed, subject.device), all_digits(subject.device):
        total = torch.zeros((), dtype=torch.float64)
        for few in subject.test.split(PART):
            parameters = model.infer(few.x, few.label)
            drawn = model.posterior.draw(parameters, DRAWS)
            total = total + model.posterior.layer_kl(drawn.z, parameters).mean(0).double().sum(0).cpu()
    return total / len(subject.test.x)


@measure("layer_kl", "KL of each layer of latents given those above it, 1 the lowest, nats an example", model=MODEL)
@cannot_see("what each layer says")
def layer_kl_of_each(subject: Subject) -> dict[str, Value]:
    """They add up to `kl_to_prior`."""
    return {str(index): Value(float(nats)) for index, nats in enumerate(layer_kl(subject), start=1)}
