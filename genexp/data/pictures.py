"""Picture files of any size and kind as one array of bytes: squares of one size, resized once and then remembered."""

import hashlib
import os
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from genexp.data.picture_files import read_picture
from genexp.errors import UserError

ENDINGS = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


@dataclass(frozen=True)
class Pictures:
    """What could be read: bytes (n, channels, size, size) and where in the list each came from; and what could not."""

    x: Tensor
    index: list[int]
    unreadable: list[str]


def find_pictures(folder: Path) -> list[Path]:
    """The picture files in a folder, in order of name; hidden ones, and what is no file, are left out."""
    named = (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
    return sorted(path for path in named if path.is_file())


def read_pictures(paths: Sequence[Path], size: int, channels: int, cache: Path | None = None) -> Pictures:
    """Every picture as a square of `size` pixels: its middle, resized, transparency over white.

    The result is kept in the folder `cache` under a name that depends on every byte read, where that can be written.
    """
    remembered = None if cache is None else cache / f"{_key(paths, size, channels)}.npz"
    if remembered is not None:
        kept = _recall(remembered, len(paths), (channels, size, size))
        if kept is not None:
            return Pictures(torch.from_numpy(kept[0]), kept[1], _others(paths, kept[1]))
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
        picture = read_picture(path, 2 * size).convert("RGB" if channels == 3 else "L")
    except UserError:
        return None
    array = np.asarray(ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR))
    return array.reshape(size, size, channels).transpose(2, 0, 1).copy()


def _key(paths: Sequence[Path], size: int, channels: int) -> str:
    """A name that depends on the size and on every byte of every file."""
    key = hashlib.sha256(f"{size} {channels}".encode())
    for path in paths:
        with suppress(OSError):
            key.update(hashlib.sha256(path.read_bytes()).digest())
        key.update(b"/")
    return key.hexdigest()[:32]


def _recall(path: Path, files: int, shape: tuple[int, ...]) -> tuple[np.ndarray, list[int]] | None:
    """What `_remember` wrote; None where it is not there, or not what it should be."""
    with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            x, index = kept["x"], kept["index"].tolist()
        fits = x.dtype == np.uint8 and x.shape == (len(index), *shape) and 0 < len(index) <= files
        if fits and all(isinstance(at, int) and 0 <= at < files for at in index) and index == sorted(set(index)):
            return x, index
    return None


def _remember(path: Path, x: np.ndarray, index: list[int]) -> None:
    """Write beside its place and rename, so that another process never reads half of it."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, x=x, index=np.array(index))
    os.replace(temporary, path)
