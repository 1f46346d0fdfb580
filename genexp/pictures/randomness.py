"""Pictures of random bits and of what is made of them."""

import numpy as np
import torch
from matplotlib.figure import Figure

from genexp.figures import randomness
from genexp.measures.randomness import dual_vectors, sequence
from genexp.measures.record import Film, film, picture
from genexp.samplers.lattice import planes
from genexp.subject import Subject

SHOWN = 20_000  # points of the cube
FEW = 8_000  # points that are followed from step to step
ELLIPSE = "The circle, the ellipse, and the factor that makes one of the other"
CUBE = "Each three successive numbers as a point of the cube, and along its planes"


def cube(subject: Subject) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Triples (n, 3), the direction in which their planes are widest apart, and how many these are; None of other dimensions."""
    if subject.data.spec.shape != (3,) or "stages" in subject.can:
        return None
    dual = dual_vectors(subject).get(3)
    said = "no planes" if dual is None else f"{planes(dual):,} planes"
    normal = np.array([1.0, 0, 0]) if dual is None else np.array(dual, dtype=float)
    return subject.samples[:SHOWN].numpy(), randomness.edge_on(normal), said


@picture(
    "cube", "Each three successive numbers as a point of the cube, and along its planes", lead=-1, model={"bits"}, data={"points"}
)
def cube_still(subject: Subject) -> Figure | None:
    found = cube(subject)
    if found is None:
        return None
    points, view, said = found
    return randomness.cubes(points, [("from anywhere", randomness.turned(view, 0.9, 0.4)), (f"along the planes: {said}", view)])


@film(
    "cube", "Each three successive numbers as a point of the cube, and along its planes", lead=-1, model={"bits"}, data={"points"}
)
def cube_film(subject: Subject) -> Film | None:
    figures, found = subject.settings.figures, cube(subject)
    if found is None:
        return None
    points, view, said = found
    frames = randomness.cube_film(points[: figures.gif_points], view, figures.gif_size, figures.gif_frames, said)
    return Film(frames, figures.gif_fps, hold_last=3.0)


@picture("steps", "From uniform numbers to samples, step by step", lead=-1, model={"stages"}, data={"plane"})
def steps(subject: Subject) -> Figure:
    stages = subject.model.transform.stages(sequence(subject), FEW)
    clouds = [(each.name, each.x.numpy(), None if each.colour is None else each.colour.numpy()) for each in stages]
    return randomness.steps([randomness.Cloud(*cloud) for cloud in clouds])


@picture("cholesky", ELLIPSE, lead=-2, model={"stages"}, data={"plane"})
def cholesky(subject: Subject) -> Figure | None:
    """Of one Gaussian that is not round already."""
    covariance = subject.model.transform.covariance
    if covariance is None or torch.equal(covariance, torch.eye(2, dtype=covariance.dtype)):
        return None
    lower = torch.linalg.cholesky(covariance)
    x = subject.samples[:FEW].double()
    mean = subject.model.transform.mean.cpu()
    z = torch.linalg.solve_triangular(lower, (x - mean).mT, upper=False).mT
    return randomness.circle_and_ellipse(lower.numpy(), mean.numpy(), z.numpy())


@picture("distribution_function", "The distribution function read backwards", lead=-1, model={"stages"}, data={"line"})
def distribution_function(subject: Subject) -> Figure:
    stages = subject.model.transform.stages(sequence(subject), 10 * FEW)
    return randomness.distribution_function(stages[-1].uniformised[:, 0].numpy(), stages[-1].x[:, 0].numpy())
