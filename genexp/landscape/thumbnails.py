"""What the samples of a run look like, small: points of the plane as a histogram, pictures side by side; as a data URI."""

import base64
import io
import math
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image

from genexp.figures.style import DENSITY
from genexp.folder.samples import kept_arrays

SIDE = 72  # cells of a histogram
ACROSS = 5  # pictures a side
CUT = 0.004  # share of the points left out at each end, when a window is chosen


def window(points: np.ndarray) -> tuple[float, float, float, float]:
    """Left, right, bottom, top of a square that holds nearly all of them; of points that are nowhere, one around the origin."""
    fine = points[np.isfinite(points).all(1)]
    low, high = (np.quantile(fine if len(fine) else np.zeros((1, 2)), share, axis=0) for share in (CUT, 1 - CUT))
    middle, half = (low + high) / 2, 0.62 * float((high - low).max()) + 1e-9
    return tuple(float(value) for value in (middle[0] - half, middle[0] + half, middle[1] - half, middle[1] + half))  # type: ignore[return-value]


def histogram(points: np.ndarray, ends: tuple[float, float, float, float], side: int = SIDE) -> np.ndarray:
    """The density of points (n, 2) in a window, (side, side), y upwards; smoothed as far as their number asks for."""
    left, right, bottom, top = ends
    fine = points[np.isfinite(points).all(1)]
    counts, _, _ = np.histogram2d(fine[:, 1], fine[:, 0], side, [[bottom, top], [left, right]])
    width = float(np.clip(5 * len(points) ** (-1 / 6), 0.6, 2.5))  # as Scott has it in the plane, half as wide for what is thin
    reach = np.arange(-6, 7)
    kernel = np.exp(-0.5 * (reach / width) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, kernel, "same")
    return np.asarray(counts / max(len(points), 1) * side**2 / ((right - left) * (top - bottom)))


def of_points(points: np.ndarray, ends: tuple[float, float, float, float]) -> str:
    """A histogram of points (n, 2), its square root in colours, so that what is thin is seen too."""
    density = np.sqrt(histogram(points, ends))
    shade = np.clip(density / max(float(np.quantile(density, 0.995)), 1e-12), 0, 1)
    return _png((colormaps[DENSITY](shade[::-1])[..., :3] * 255).round().astype(np.uint8))


def of_pictures(pictures: np.ndarray) -> str:
    """The first 25 pictures (n, channels, height, width) of numbers in [0, 1], side by side."""
    n, channels, height, width = pictures.shape
    across = min(ACROSS, math.isqrt(n))
    few = np.clip(np.nan_to_num(pictures[: across * across].astype(np.float32)), 0, 1)
    framed = np.pad(few, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.35)
    sheet = framed.reshape(across, across, channels, height + 2, width + 2).transpose(0, 3, 1, 4, 2)
    pixels = (sheet.reshape(across * (height + 2), across * (width + 2), channels) * 255).round().astype(np.uint8)
    return _png(np.repeat(pixels, 3, 2) if channels == 1 else pixels)


def of_run(path: Path, shape: tuple[int, ...], ends: tuple[float, float, float, float] | None = None) -> str | None:
    """The samples of a run on data of that shape; None of what is neither points in the plane nor pictures."""
    samples = kept_arrays(path, ("samples",)).get("samples")
    if samples is None or samples.ndim < 2 or not len(samples):
        return None
    if shape == (2,) and samples.shape[1:] == (2,):
        return of_points(samples, ends or window(samples))
    side = math.isqrt(math.prod(shape))
    if len(shape) == 1 and side * side == shape[0] and side >= 8 and samples.shape[1:] == shape:
        samples, shape = samples.reshape(-1, 1, side, side), (1, side, side)  # a picture that was laid out as a point
    if len(shape) == 3 and samples.shape[1:] == shape and shape[0] in (1, 3):
        return of_pictures(samples[: ACROSS * ACROSS])
    return None


def _png(pixels: np.ndarray) -> str:
    """With a palette of 64 colours, which nobody sees in so small a picture."""
    file = io.BytesIO()
    Image.fromarray(pixels).quantize(64, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
