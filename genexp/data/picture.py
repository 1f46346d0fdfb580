"""A picture of a code, or of anything dark on light, as a grid of black and white cells in [−1, 1]²."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from genexp.data.picture_files import read_picture
from genexp.errors import UserError
from genexp.paths import not_there

CODE_SIDES = range(21, 178, 4)  # modules a side of QR versions 1 to 40
CONTRAST = 32  # greys that a dark picture has between its black and its white, if it has a white


@dataclass(frozen=True)
class CellGrid:
    """Black cells (rows, columns; row 0 on top) of side `cell`, the upper left corner at (left, top), y up."""

    black: np.ndarray
    left: float
    top: float
    cell: float
    is_code: bool


def read_grid(path: Path, raster: int) -> CellGrid:
    """The module grid of a square code where one is found, else the picture's dark area on `raster` cells a side."""
    if not path.is_file():
        raise UserError(f"dataset.image={path}: {not_there(path, 'picture')}")
    return _read_grid(path, raster, path.stat().st_mtime_ns)


@lru_cache(maxsize=8)  # a run asks more than once, and of a large picture it takes seconds
def _read_grid(path: Path, raster: int, changed: int) -> CellGrid:
    """The same of the file as it was when last `changed`."""
    black = _black_pixels(path)
    height, width = black.shape
    unit = 2 / max(height, width)  # of a pixel, when the longer side spans [−1, 1]
    rows, columns = (np.flatnonzero(black.any(axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    modules = find_modules(black[top:bottom, left:right])
    if modules is not None:
        cell = (bottom - top + right - left) / 2 / len(modules) * unit
        return CellGrid(modules, (left - width / 2) * unit, (height / 2 - top) * unit, cell, True)
    scale = min(1.0, raster / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    area = np.asarray(Image.fromarray(black.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)) >= 128
    if not area.any():
        raise UserError(f"{path}: its black parts are too thin for dataset.raster={raster}", hint="try a larger dataset.raster")
    cell = 2 / max(area.shape)
    return CellGrid(area, -area.shape[1] * cell / 2, area.shape[0] * cell / 2, cell, False)


def find_modules(black: np.ndarray, agreement: float = 0.97, drop: float = 0.03) -> np.ndarray | None:
    """The modules of a square code that fills `black`, or None.

    n modules a side are believed when nearly all pixels agree with the majority of their module, and markedly fewer do
    at the neighbouring n: on a picture without a grid the agreement only grows with n.
    """
    step = max(1, min(black.shape) // 2000)  # 11 pixels of each module are enough
    black = black[::step, ::step]
    height, width = black.shape
    if min(height, width) < CODE_SIDES[0] or abs(height - width) > 0.02 * max(height, width) + 1:
        return None
    agreed = {n: _majority(black, n) for n in CODE_SIDES if n <= min(height, width)}
    for n, (modules, share) in agreed.items():
        neighbours = [agreed[near][1] for near in (n - 4, n + 4) if near in agreed]
        if share >= agreement and all(other < share - drop for other in neighbours):
            return modules
    return None


def _majority(black: np.ndarray, n: int) -> tuple[np.ndarray, float]:
    """Black by majority in each of n × n modules, and the share of pixels that agree with it."""
    height, width = black.shape
    row = np.arange(height) * n // height
    column = np.arange(width) * n // width
    module = (row[:, None] * n + column).ravel()
    total = np.bincount(module, minlength=n * n)
    dark = np.bincount(module, weights=black.ravel(), minlength=n * n)
    return (2 * dark > total).reshape(n, n), float(np.maximum(dark, total - dark).sum() / black.size)


def _black_pixels(path: Path) -> np.ndarray:
    """(height, width) booleans: darker than half way between the picture's darkest and lightest grey; all of one dark grey."""
    grey = np.asarray(read_picture(path).convert("L"))
    darkest, lightest = int(grey.min()), int(grey.max())
    if darkest >= 128:
        raise UserError(f"{path}: nothing in it is black")
    plain = lightest < 128 and lightest - darkest < CONTRAST
    threshold = 128 if plain else (darkest + lightest + 1) // 2
    return grey < threshold
