"""The samples as one picture: samples/samples.png of a run, and what `genexp sample --out F.png` writes."""

import numpy as np
from PIL import Image

from genexp.figures import coordinates, images, points
from genexp.measures import barcode
from genexp.subject import Subject

CAPTION = "Samples, as the run kept them"
SIDE, COLUMNS, ENLARGED = 720, 10, 3


def samples_picture(subject: Subject) -> Image.Image | None:
    """What a reader of codes was given; else dots, or the first samples side by side; None of what is neither."""
    x = subject.samples.numpy()
    if "code" in subject.knows:
        code = Image.fromarray(barcode.picture(subject))
        return code.resize((code.width * ENLARGED, code.height * ENLARGED), Image.Resampling.NEAREST)
    if "pictures" in subject.knows:
        return images.sheet(x[: COLUMNS**2], COLUMNS)
    return dots(x, SIDE) if "points" in subject.knows else None


def dots(x: np.ndarray, side: int) -> Image.Image:
    """Points (n, dim) as dots in a square picture of `side` pixels."""
    flat = coordinates.in_plane(x)
    return points.flow_frames(flat[None], side, coordinates.reach(flat))[0].convert("L")
