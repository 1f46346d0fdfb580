"""Picture files of any size and kind as one array of bytes: squares of one size, resized once and then remembered."""

import hashlib
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from genexp.errors import UserError

MAX_PIXELS = 64_000_000
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Pictures:
    """What could be read: bytes (n, channels, size, size) and where in the list each came from; and what could not."""

    x: Tensor
    index: list[int]
    unreadable: list[str]


def find_pictures(folder: Path) -> list[Path]:
    """The picture files in a folder, in order of name; hidden ones are left out."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith("."))


def read_pictures(paths: Sequence[Path], size: int, channels: int, cache: Path | None = None) -> Pictures:
    """Every picture as a square of `size` pixels: its middle, resized, transparency over white.

    The result is kept in the folder `cache` under a name that depends on every byte read, where that can be written.
    """
    contents = [_bytes(path) for path in paths]
    key = hashlib.sha256(f"{size} {channels}".encode())
    for content in contents:
        key.update(hashlib.sha256(content).digest())
    remembered = None if cache is None else cache / f"{key.hexdigest()[:32]}.npz"
    if remembered is not None:
        with suppress(OSError, ValueError, KeyError, EOFError):
            kept = np.load(remembered, allow_pickle=False)
            index = kept["index"].tolist()
            return Pictures(
                torch.from_numpy(kept["x"]), index, [paths[at].name for at in sorted({*range(len(paths))} - {*index})]
            )
    arrays = [_square(path, size, channels) for path in paths]
    index = [at for at, array in enumerate(arrays) if array is not None]
    if not index:
        raise UserError(f"none of the {len(paths)} pictures can be read: {', '.join(path.name for path in paths[:3])}, …")
    x = np.stack([array for array in arrays if array is not None])
    if remembered is not None:
        with suppress(OSError):
            _remember(remembered, x, index)
    return Pictures(torch.from_numpy(x), index, _others(paths, index))


def _others(paths: Sequence[Path], index: list[int]) -> list[str]:
    return [path.name for at, path in enumerate(paths) if at not in {*index}]


def _square(path: Path, size: int, channels: int) -> np.ndarray | None:
    """(channels, size, size) bytes, or None where the file is no picture, broken, or too large to open safely."""
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > MAX_PIXELS:
                return None
            picture.draft("RGB", (2 * size, 2 * size))
            upright = ImageOps.exif_transpose(picture).convert("RGBA")
            paper = Image.new("RGBA", upright.size, "white")
            flat = Image.alpha_composite(paper, upright).convert("RGB" if channels == 3 else "L")
            array = np.asarray(ImageOps.fit(flat, (size, size), Image.Resampling.BILINEAR))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    return array.reshape(size, size, channels).transpose(2, 0, 1).copy()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _remember(path: Path, x: np.ndarray, index: list[int]) -> None:
    """Write beside its place and rename, so that another process never reads half of it."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, x=x, index=np.array(index))
    os.replace(temporary, path)
