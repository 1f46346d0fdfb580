"""How far a held-out objective is above the best possible, where that is known."""

from typing import Any

import torch
from torch import Tensor

from genexp.data.base import Batch
from genexp.data.cells import UniformCells
from genexp.fit.validation import heldout_batch, same_noise
from genexp.measures.record import Value, cannot_see, heldout_term, measure
from genexp.models.base import GenerativeModel, Terms
from genexp.subject import Subject, once
from genexp.velocity.path import flow_matching_loss


@heldout_term("excess_loss", data={"density"}, objective="nll")
def excess_of_likelihood(subject: Subject, model: GenerativeModel, batch: Batch, own: Terms) -> Tensor:
    """E[ln p − ln q] on the same points: the divergence, nearly without their noise."""
    return own["loss"] - surprisal(subject, batch.x)


@heldout_term("excess_loss", data={"log_z"}, objective="reverse_kl")
def excess_of_reverse_kl(subject: Subject, model: GenerativeModel, batch: Batch, own: Terms) -> Tensor:
    """KL(model ‖ target) by the model's own samples."""
    return own["loss"] + subject.log_z


@heldout_term("excess_loss", model={"velocity"}, data={"cells"}, objective="flow_matching")
def excess_of_velocity(subject: Subject, model: GenerativeModel, batch: Batch, own: Terms) -> Tensor:
    """E|v − v*|², which is free of the loss's own noise."""
    return torch.tensor(excess_of_field(model, subject.density, len(batch.x), subject.device, seed=1))  # type: ignore[arg-type]


@measure(
    "excess_loss",
    "the objective above the best possible; of flow matching E|v − v*|² against the optimal velocity",
    better="lower",
    unit="(units of x)²",
    headline=45,
    model={"velocity"},
    data={"cells"},
    objective="flow_matching",
)
@cannot_see("what the solver adds when samples are drawn")
def excess_loss(subject: Subject) -> Value:
    count = subject.settings.evaluation.num_points
    return Value(excess_of_field(subject.model, subject.density, count, subject.device), floor=0.0)


@measure(
    "irreducible_loss",
    "the loss of the optimal velocity itself",
    unit="(units of x)²",
    data={"cells"},
    objective="flow_matching",
)
def irreducible_loss(subject: Subject) -> Value:
    return Value(subject.density.irreducible_loss(subject.settings.evaluation.num_points))


@once
def heldout_floor(subject: Subject) -> float | None:
    """What the best model there is would get for a held-out loss, on the very points and noise that the run was measured on."""
    settings = subject.settings
    batch = heldout_batch(subject.data, settings.trainer.eval_size, settings.seed)
    if subject.objective == "nll" and "density" in subject.knows:
        return float(surprisal(subject, batch.x))
    if subject.objective == "flow_matching" and "cells" in subject.knows:
        with same_noise(subject.device):
            return float(flow_matching_loss(subject.density.optimal_velocity, batch.x))
    if subject.objective == "reverse_kl" and "log_z" in subject.knows:
        return 0.0 - subject.log_z
    if subject.objective == "alpha":
        return 0.0
    return None


def surprisal(subject: Subject, x: Tensor) -> Tensor | float:
    """−mean ln p(x) under the data's own density: on these points no model is expected to be below it. Where the density is
    uniform, −ln p is the same at each of them.
    """
    density = subject.data.density
    return density.entropy if "cells" in subject.knows else -density.log_prob(x).mean()


@torch.no_grad()
def excess_of_field(model: Any, density: UniformCells, n: int, device: torch.device, seed: int = 0) -> float:
    """E|v − v*|² per element over t ~ U(0, 1) and x_t: what the flow-matching loss has above its floor, without its noise.

    E|v − (y − x₀)|² = E|v − v*|² + E|v* − (y − x₀)|², because v* is the conditional mean; the second term is the floor.
    """
    x_t, t = density.path_points(n, torch.Generator(density.device).manual_seed(seed))
    x_t, t = x_t.float(), t.float().clamp(max=1 - 1e-6)
    learnt = model.velocity(x_t.to(device), t.to(device)).to(x_t)
    return float((learnt.double() - density.optimal_velocity(x_t.double(), t)).square().mean())
