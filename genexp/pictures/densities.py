"""Pictures of learnt densities in the plane."""

import torch
from matplotlib.figure import Figure

from genexp.figures import densities, points
from genexp.measures.quadrature import ODE_GRID_SIDE, in_float64, in_parts
from genexp.measures.record import picture
from genexp.pictures.points import limit_of
from genexp.quadrature import midpoints
from genexp.subject import Subject

PICTURE_SIDE = 240
PART = 16_384  # points whose densities are found at once


@picture("density", "The true density, the learnt one and their difference", model={"exact"}, data={"plane", "box"})
def density(subject: Subject) -> Figure:
    limit, side = limit_of(subject), ODE_GRID_SIDE if "refined" in subject.can else PICTURE_SIDE
    grid = midpoints(torch.full((2,), -limit), torch.full((2,), limit), side)
    log_p, log_q = (in_parts(known.log_prob, grid.points, PART) for known in (subject.density, in_float64(subject.model)))
    true, learnt = (log_density.exp().reshape(side, side).numpy() for log_density in (log_p, log_q))
    return densities.side_by_side(true, learnt, limit)


@picture("density", "Density of the samples", data={"cells"})
def density_of_samples(subject: Subject) -> Figure:
    return points.density(subject.samples.numpy(), 1 / subject.density.area)


@picture("log_density", "The learnt log density", model={"exact"}, data={"cells"})
def log_density(subject: Subject) -> Figure:
    """Over the square in which the cells lie, [−1, 1]²."""
    side, corner = subject.settings.figures.log_density_side, torch.ones(2)
    parts = midpoints(-corner, corner, side).points.float().to(subject.device).split(subject.settings.evaluation.batch_size)
    log_p = torch.cat([subject.model.log_prob(part).float().cpu() for part in parts]).reshape(side, side)
    return densities.log_density(log_p.numpy(), -subject.density.entropy)
