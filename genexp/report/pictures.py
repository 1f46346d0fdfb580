"""Pictures and films of a run folder, verified by Pillow and packed into the page.

Only pixels get through: every picture is decoded and written anew.
"""

import base64
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from genexp.report.folder import MEGABYTE, Folder, Unreadable

MOST_PIXELS = 40_000_000  # of one picture, and of all frames of a film
MOST_FRAMES = 240
LARGEST_FILE = 32 * MEGABYTE


@dataclass(frozen=True)
class Still:
    """A picture: its name without folder and ending, its size in pixels, and itself as a data URI."""

    name: str
    width: int
    height: int
    uri: str

    @property
    def wide(self) -> bool:
        return self.width > 1.9 * self.height


@dataclass(frozen=True)
class Film:
    """A moving picture: its frames as data URIs and how long each stays, in milliseconds."""

    name: str
    width: int
    height: int
    frames: list[str]
    milliseconds: list[int]

    def data(self) -> dict[str, Any]:
        return {"width": self.width, "height": self.height, "frames": self.frames, "milliseconds": self.milliseconds}


def stills(folder: Folder, only: tuple[str, ...] = ()) -> list[Still]:
    """Every PNG in figures/, and the picture of the samples; or only the figures of some names."""
    found = []
    for name in [f"figures/{name}.png" for name in only] or [*folder.names("figures", ".png"), "samples/samples.png"]:
        try:
            image = _open(folder, name, "PNG")
            uri = _data_uri(image)
        except Unreadable as why:
            if str(why) != "missing":
                folder.leave_out(name, str(why))
            continue
        label = "samples_picture" if name.startswith("samples/") else name.rpartition("/")[2].removesuffix(".png")
        found.append(Still(label[:80], image.width, image.height, uri))
    return found


def films(folder: Folder) -> list[Film]:
    """Every GIF in figures/, frame by frame."""
    found = []
    for name in folder.names("figures", ".gif"):
        try:
            image = _open(folder, name, "GIF")
            frames, durations = _frames(image)
        except Unreadable as why:
            folder.leave_out(name, str(why))
            continue
        label = name.rpartition("/")[2].removesuffix(".gif")
        found.append(Film(label[:80], image.width, image.height, frames, durations))
    return found


def _frames(image: Image.Image) -> tuple[list[str], list[int]]:
    count = getattr(image, "n_frames", 1)
    if count > MOST_FRAMES or count * image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"{count} frames of {image.width} × {image.height} are too many")
    frames, durations = [], []
    try:
        for frame in ImageSequence.Iterator(image):
            durations.append(max(10, min(10_000, int(frame.info.get("duration", 50)))))
            frames.append(_data_uri(frame))
    except (OSError, ValueError, SyntaxError, EOFError):
        raise Unreadable("a damaged film") from None
    return frames, durations


def _open(folder: Folder, name: str, kind: str) -> Image.Image:
    """The picture in a file, wholly decoded (a film: its first frame)."""
    content = folder.read(name, LARGEST_FILE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=[kind])
            if image.width * image.height > MOST_PIXELS:
                raise Unreadable(f"{image.width} × {image.height} pixels are too many")
            image.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("not a picture, or a damaged one") from None
    return image


def _data_uri(image: Image.Image) -> str:
    """The pixels, on white, as a PNG: with a palette where 256 colours are enough."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.asarray(image.convert("RGB")).astype(np.uint32)
    colours, index = np.unique(pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2], return_inverse=True)
    if len(colours) <= 256:
        clean = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), "P")
        clean.putpalette(np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8).tobytes())
    else:
        clean = Image.fromarray(pixels.astype(np.uint8))
    file = io.BytesIO()
    clean.save(file, "PNG", compress_level=6)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
