"""One picture file, of whatever kind, as Pillow's bytes: the only reader of pictures that there is.

Which value is white is told by the values, not by how they are stored. Eight bits are what they are. Of grey values of any other
kind (16 or 32 bits, floats) black is 0 and white the least of 1, 255 and 65,535 that none exceeds; where some do, or are
negative, the least value is black and the largest white.
"""

import struct
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from genexp.errors import UserError

MAX_PIXELS = 64_000_000
WHITES = (1, 255, 65_535)
BROKEN = (OSError, EOFError, SyntaxError, ValueError, struct.error, LookupError, ArithmeticError, TypeError)  # of Pillow's


def read_picture(path: Path, about: int | None = None) -> Image.Image:
    """The picture in a file: upright (as its EXIF says), transparency over white, in mode L or RGB.

    Args:
        about: pixels a side that are enough; a large JPEG is then decoded at a fraction of its size.

    Raises:
        UserError: no picture, broken, or too large to be opened safely.
    """
    limit = f"at most {MAX_PIXELS // 10**6} million pixels are read"
    try:
        with warnings.catch_warnings(), path.open("rb") as file:  # by its name a turned TIFF would be mapped, and scrambled
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise UserError(f"{path}: {picture.width}×{picture.height}; {limit}")
                if about is not None:
                    picture.draft("RGB", (about, about))
                return _flat(_upright(picture))
    except Image.DecompressionBombError:
        raise UserError(f"{path}: far too large; {limit}") from None
    except BROKEN as failure:
        raise UserError(f"{path}: not a readable picture ({type(failure).__name__})") from None


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says; as it lies where that cannot be read."""
    picture.load()
    try:
        return ImageOps.exif_transpose(picture)
    except BROKEN:
        return picture


def _flat(picture: Image.Image) -> Image.Image:
    """Grey or colours of eight bits, transparency over white."""
    if picture.mode.startswith(("I", "F")):
        return Image.fromarray(grey_bytes(np.asarray(picture)))
    rgba = picture.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return flat.convert("L" if picture.mode in ("1", "L", "LA", "La") else "RGB")


def grey_bytes(values: np.ndarray) -> np.ndarray:
    """Grey values (height, width) of any range as bytes, by the rule above. What is not a number is white, as paper is."""
    values = values.astype(np.float64)
    known = np.isfinite(values)
    if not known.any():
        raise ValueError("no value is a number")
    low, high = float(values[known].min()), float(values[known].max())
    if low >= 0 and high <= WHITES[-1]:
        low, high = 0.0, float(next(white for white in WHITES if high <= white))
    with np.errstate(invalid="ignore"):
        shares = np.where(known, (values - low) / (high - low if high > low else 1.0), 1.0)
    return np.round(255 * shares).astype(np.uint8)
