"""Pictures of random bits and of what is made of them."""

import numpy as np
from matplotlib.figure import Figure

from genexp.figures import randomness
from genexp.measures.randomness import waves
from genexp.measures.record import Film, film, picture
from genexp.samplers.lattice import planes
from genexp.subject import Subject

SHOWN = 20_000  # points of the cube


def cube(subject: Subject) -> tuple[np.ndarray, np.ndarray, str] | None:
    """Triples (n, 3), the direction in which their planes are widest apart, and how many these are; None of other dimensions."""
    if subject.data.spec.shape != (3,):
        return None
    wave = waves(subject).get(3)
    said = "no planes" if wave is None else f"{planes(wave):,} planes"
    normal = np.array([1.0, 0, 0]) if wave is None else np.array(wave, dtype=float)
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
