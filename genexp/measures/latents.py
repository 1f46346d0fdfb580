"""Where a latent-variable model puts pictures, and how many of its latent dimensions it uses."""

import torch
from torch import Tensor

from genexp.data.images import ImageSet
from genexp.machine.distributed import sharded
from genexp.measures.record import Value, cannot_see, measure
from genexp.measures.suggestion import Case, Suggestion, suggests
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

USED = 0.5  # share of the latent dimensions below which most are idle


def latent_points(subject: Subject, pictures: ImageSet) -> Tensor:
    """Where the model puts pictures, (n, latent), on the CPU; bytes become floats a part at a time."""

    def encode(start: int) -> Tensor:
        part = pictures[start : start + 512].batch()
        return subject.model.encode(part.x, part.label).float().cpu()

    return torch.cat(sharded(range(0, len(pictures), 512), encode))


@once
def test_latents(subject: Subject) -> Tensor:
    """Of the test pictures."""
    return latent_points(subject, subject.test_part)


@once
@torch.no_grad()
def drawn_latents(subject: Subject) -> Tensor:
    """One draw from the posterior of each test picture, (n, latent), on the CPU."""
    test = subject.test_part
    parts = [test[start : start + 2048].batch() for start in range(0, len(test), 2048)]
    with seeded(seed_for(subject.settings.seed, "latents"), subject.device):
        return torch.cat([subject.model.draw_posterior(part.x, part.label).float().cpu() for part in parts])


@measure("active_units", "latent dimensions that the encoder uses", model={"latents"}, data={"examples", "pictures"})
@cannot_see("how much a dimension says, or whether anybody can read it")
def active_units(subject: Subject) -> Value:
    return Value(count_active(test_latents(subject)))


@suggests(25)
def free_bits(case: Case) -> Suggestion | None:
    """Latent dimensions that the encoder leaves alone, where the objective can give each some information for nothing."""
    active, there = case.number("active_units"), case.setting("model.latent")
    if active is None or not isinstance(there, int) or active >= USED * there or case.setting("model.objective.free_bits") != 0:
        return None
    said = f"Of {there} latent dimensions {active:.0f} are used: free bits let each say something before the KL is charged."
    return Suggestion(said, ("model.objective.free_bits=0.1",))


def count_active(z: Tensor, threshold: float = 0.01) -> int:
    """Latent dimensions whose posterior mean, z (n, latent), varies over the data: variance above 0.01.

    Source: Burda et al., Importance Weighted Autoencoders (2016).
    """
    return int((z.var(0, correction=min(1, len(z) - 1)) > threshold).sum())
