"""Pictures of data of one dimension: noise, function and density; the learnt density over the true one."""

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from genexp.figures import line
from genexp.figures.line import Mapped, OnLine
from genexp.measures.quadrature import ODE_GRID_SIDE, in_float64, in_parts
from genexp.measures.record import picture
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

POINTS = 1_000  # at which a density is found
PART = 4_096
SHOWN = 20_000  # numbers of the data, and of the base
TENTHS = np.arange(1, 10) / 10
OUTSIDE, MARGIN = 5e-4, 0.1  # share of the numbers beyond either end of an axis; and its room, as a share of what they span


def span(x: Tensor) -> tuple[float, float]:
    """The ends of an axis for numbers x (n,)."""
    low, high = np.quantile(x.double().cpu().numpy(), [OUTSIDE, 1 - OUTSIDE]).tolist()
    room = MARGIN * max(high - low, 1e-9)
    return low - room, high + room


@once
def axis(subject: Subject) -> Tensor:
    """Where densities are found, (n, 1): as far as the data reach."""
    side = ODE_GRID_SIDE if "refined" in subject.can else POINTS
    return torch.linspace(*span(subject.target[:, 0]), side, dtype=torch.float64)[:, None]


def density_of(subject: Subject, model: Any) -> OnLine:
    """The density of `model`, in float64 on the CPU, beside that of the subject's data, in the user's own units."""
    x = axis(subject)
    truth = in_parts(subject.density.log_prob, x, PART).exp().numpy() if "density" in subject.knows else None
    learnt = in_parts(model.log_prob, x, PART).sub(subject.log_scale).exp().numpy()
    name = subject.data.units.columns[0] if "units" in subject.knows else "x"
    return OnLine(own(subject, x), learnt, own(subject, subject.target[:SHOWN]), truth, name)


def own(subject: Subject, x: Tensor) -> np.ndarray:
    """Numbers x (n, 1) in the user's own units, where the data have such."""
    numbers: Tensor = subject.data.units.own(x) if "units" in subject.knows else x
    return numbers[:, 0].numpy()


@once
def learnt_density(subject: Subject) -> OnLine:
    """That of the subject's own model."""
    return density_of(subject, in_float64(subject.model))


def mapped_by(subject: Subject, model: Any) -> Mapped:
    """How `model`, in float64 on the CPU, takes z to x. The base's density is that of x times |dx/dz|."""
    with seeded(seed_for(subject.settings.seed, "base"), subject.device):
        noise = model.sample_base(SHOWN)[:, 0].cpu()
    z = torch.linspace(*span(noise), POINTS, dtype=torch.float64)[:, None]
    marks = torch.as_tensor(np.quantile(noise.double().numpy(), TENTHS))[:, None]
    with torch.no_grad():
        x, log_slope = model.inverse(z)
        base = (model.log_prob(x) + log_slope).exp()
        marked, _ = model.inverse(marks)
    return Mapped(z[:, 0].numpy(), own(subject, x), base.numpy(), marks[:, 0].numpy(), own(subject, marked))


@picture(
    "change_of_variables",
    "The base, the function of z that x is, and the density of x: between two grey lines lies a tenth of the mass",
    lead=1,
    model={"layers", "exact"},
    data={"line", "drawn"},
)
def change_of_variables(subject: Subject) -> Figure:
    return line.change_of_variables(mapped_by(subject, in_float64(subject.model)), learnt_density(subject))


@picture("density", "The learnt density over the data and their true density", model={"exact"}, data={"line", "drawn"})
def density(subject: Subject) -> Figure:
    return line.learnt(learnt_density(subject))


@picture("components", "The Gaussians of the mixture, each with its weight", model={"gaussians", "exact"}, data={"line", "drawn"})
def components(subject: Subject) -> Figure:
    return line.components(learnt_density(subject), parts_of(subject, in_float64(subject.model)))


def parts_of(subject: Subject, model: Any) -> np.ndarray:
    """w_k N(x; μ_k, σ_k²) at the places of the axis, (components, n)."""
    found, x = model.gaussians(), axis(subject)[:, 0]
    each = torch.distributions.Normal(found.means, found.covariances[:, :, 0].sqrt())
    return (found.weights.log()[:, None] + each.log_prob(x) - subject.log_scale).exp().numpy()
