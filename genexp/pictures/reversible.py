"""Pictures of what flows of pictures do: temperatures, ways between pictures, what each scale holds, the noise of greys."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from genexp.figures import images
from genexp.latent.paths import four_corners, linear, spherical
from genexp.machine.device import all_digits
from genexp.measures.record import Film, film, picture
from genexp.pictures.latent import array, between, endpoints, spread, there_and_back
from genexp.seeds import seed_for, seeded
from genexp.subject import Subject, once

MODEL, DATA = {"reversible"}, {"examples", "pictures"}
TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
SHOWN, STRIP, CORNERS, DRAWS = 12, 10, 9, 64  # pictures in a row, in a strip, a side of the square, draws of the noise
PART = 128  # pictures that are found from z at once


@torch.no_grad()
def found(subject: Subject, z: Tensor) -> np.ndarray:
    """z (n, dim) → pictures (n, *shape)."""
    with all_digits(subject.device):
        return np.concatenate([array(subject.model.pictures(part)) for part in z.split(PART)])


def drawn(subject: Subject, role: str, draw: Callable[[], Tensor]) -> Tensor:
    """Random numbers of one picture, the same ones every time."""
    with seeded(seed_for(subject.settings.seed, role), subject.device), torch.no_grad():
        return draw()


@once
def test_z(subject: Subject) -> tuple[Tensor, Tensor]:
    """The first test pictures of each class in turn, (n, *shape), and their z, (n, dim)."""
    x = subject.test_part[spread(subject.test_part, SHOWN)].batch().x
    return x, z_of(subject, x)


def z_of(subject: Subject, x: Tensor) -> Tensor:
    with all_digits(subject.device):
        return drawn(subject, "z", lambda: subject.model.transform(x)[0])  # type: ignore[no-any-return]


@picture("temperatures", "Samples from noise N(0, T²I)", lead=2, model=MODEL, data=DATA)
def temperatures(subject: Subject) -> Figure:
    """The same noise in each column: less of it gives what is more typical, none at all one picture."""
    z = drawn(subject, "temperatures", lambda: subject.model.sample_base(SHOWN))
    return images.rows({f"T = {t:g}": found(subject, t * z) for t in TEMPERATURES}, "samples from noise N(0, T²)")


@picture("interpolation", "From one test picture to another, in the flow's z", lead=4, model=MODEL, data=DATA)
def interpolation(subject: Subject) -> Figure:
    """Straight and along an arc, the two pictures themselves at the ends; above, the pictures themselves faded over."""
    x, rows = ways(subject, STRIP)
    share = np.linspace(0, 1, STRIP, dtype=np.float32)[:, None, None, None]
    return between(x, {"faded over": (1 - share) * x[0] + share * x[1], **rows})


@film("interpolation", "From one test picture to another, in the flow's z", lead=4, model=MODEL, data=DATA)
def interpolation_film(subject: Subject) -> Film:
    """There and back."""
    return there_and_back(subject, ways(subject, subject.settings.figures.gif_frames)[1])


def ways(subject: Subject, steps: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Two test pictures (2, *shape), and `steps` pictures on each way from one z to the other."""
    x = subject.test_part[endpoints(subject)].batch().x
    start, end = z_of(subject, x)
    paths = {"straight in z": linear, "along an arc in z": spherical}
    return array(x), {name: found(subject, way(start, end, steps)) for name, way in paths.items()}


@picture("four_corners", "A square between the z of four test pictures", model=MODEL, data=DATA)
def corners(subject: Subject) -> Image.Image:
    """z = cos φ (z₁ cos φ′ + z₂ sin φ′) + sin φ (z₃ cos φ′ + z₄ sin φ′), which keeps |z| where the four are at right angles."""
    square = four_corners(test_z(subject)[1][:4], CORNERS)
    return images.sheet(found(subject, square.flatten(0, 1)), CORNERS)


@picture("scales", "What each scale of z holds", lead=3, model=MODEL | {"scales"}, data=DATA)
def scales(subject: Subject) -> Figure:
    """z of test pictures with one scale drawn anew and the others kept; and with all finer ones at 0, where p(z) is highest."""
    x, z = test_z(subject)
    sizes = subject.model.sizes
    other = drawn(subject, "scales", lambda: subject.model.sample_base(len(x)))
    rows = {"test pictures": array(x)}
    ends = np.cumsum([0, *sizes])
    for number, (start, end) in enumerate(pairwise(ends), 1):
        mixed = z.clone()
        mixed[:, start:end] = other[:, start:end]
        rows[f"scale {number} drawn anew: {end - start} of z"] = found(subject, mixed)
    for number, end in enumerate(ends[1:-1], 1):
        alone = torch.zeros_like(z)
        alone[:, :end] = z[:, :end]
        rows[f"scales 1 to {number} alone" if number > 1 else "scale 1 alone"] = found(subject, alone)
    for number, end in enumerate(ends[1:], 1):
        stage = torch.zeros_like(other)
        stage[:, :end] = other[:, :end]
        rows["a sample, whole" if number == len(sizes) else f"a sample, scale {number}"] = found(subject, stage)
    return images.rows(rows, "scale 1 is the coarsest")


@picture("dequantisation", "The noise that makes greys continuous", model=MODEL, data=DATA)
def dequantisation(subject: Subject) -> Figure:
    """One draw, and the mean and the spread of many: of uniform noise ½ and 1/√12 = 0.289 everywhere."""
    x = test_z(subject)[0]
    draws = drawn(subject, "noise", lambda: torch.stack([subject.model.noise(x) for _ in range(DRAWS)]))
    rows = {"picture": x, "noise u": draws[0], f"mean of {DRAWS}": draws.mean(0), "deviation × 2": 2 * draws.std(0)}
    return images.rows(
        {name: array(part) for name, part in rows.items()},
        f"y = (k + u)/{subject.model.levels} of grey k: black is u = 0, white is 1",
    )
