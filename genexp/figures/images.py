"""Pictures of pictures: sheets, rows with names, films."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import INK, drawn, panels

GAP = 2  # pixels between two pictures


def to_bytes(images: np.ndarray) -> np.ndarray:
    """(…, channels, height, width) in [0, 1] → (…, height, width, 3) bytes."""
    images = np.moveaxis(images, -3, -1)
    if images.shape[-1] == 1:
        images = np.repeat(images, 3, axis=-1)
    return np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)


def mosaic(images: np.ndarray, gap: int = GAP) -> np.ndarray:
    """(rows, columns, channels, height, width) in [0, 1] → one picture (height, width, 3) in bytes."""
    rows, columns, _, height, width = images.shape
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for row, line in enumerate(to_bytes(images)):
        for column, picture in enumerate(line):
            top, left = row * (height + gap), column * (width + gap)
            canvas[top : top + height, left : left + width] = picture
    return canvas


def sheet(images: np.ndarray, columns: int, pixels: int = 900) -> Image.Image:
    """The first whole rows of n pictures (n, channels, height, width), enlarged until the sheet is about `pixels` wide."""
    columns = min(columns, len(images))
    rows = len(images) // columns
    canvas = mosaic(images[: rows * columns].reshape(rows, columns, *images.shape[1:]))
    return enlarge(canvas, pixels)


def enlarge(canvas: np.ndarray, pixels: int) -> Image.Image:
    """Every pixel a square of whole pixels, so that nothing is smoothed that the model did not smooth."""
    scale = max(1, round(pixels / canvas.shape[1]))
    return Image.fromarray(canvas).resize((canvas.shape[1] * scale, canvas.shape[0] * scale), Image.Resampling.NEAREST)


@drawn
def rows(named: Mapping[str, np.ndarray], title: str = "", width: float = 11.0) -> Figure:
    """One row of pictures (n, channels, height, width) under another, each with its name on the left."""
    stacked = np.stack(list(named.values()))
    canvas = mosaic(stacked)
    figure, [[axes]] = panels(1, 1, width, width * canvas.shape[0] / canvas.shape[1] + 0.5)
    axes.imshow(canvas, interpolation="nearest")
    step = stacked.shape[3] + GAP
    axes.set_yticks([step * row + stacked.shape[3] / 2 for row in range(len(named))], list(named))
    axes.set(title=title, xticks=[])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def film(frames: np.ndarray, names: Sequence[str] = (), size: int = 480) -> list[Image.Image]:
    """Frames (time, panels, channels, height, width) as pictures: the panels side by side, a name over each."""
    pictures, head = [], 24 if names else 0
    font = ImageFont.load_default(14)
    for frame in frames:
        image = enlarge(mosaic(frame[None], gap=4), size * frame.shape[0] // 2)
        canvas = Image.new("RGB", (image.width, image.height + head), "white")
        canvas.paste(image, (0, head))
        for index, name in enumerate(names):
            at = (index + 0.5) * image.width / len(names), head / 2
            ImageDraw.Draw(canvas).text(at, name, fill=INK, font=font, anchor="mm")
        pictures.append(canvas.quantize(128, dither=Image.Dither.NONE))
    return pictures
