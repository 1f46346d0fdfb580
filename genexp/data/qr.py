"""`dataset=qr`: the uniform density over the black area of a QR code, or of any picture black on white."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import qrcode
import torch
from pydantic import Field
from qrcode.exceptions import DataOverflowError

from genexp.capabilities import Known
from genexp.data.base import DataSpec, FreshData
from genexp.data.cells import UniformCells
from genexp.data.own_files import OwnFiles
from genexp.data.picture import CellGrid, read_grid
from genexp.errors import UserError
from genexp.paths import expanded
from genexp.registry import datasets

_LEVELS = {
    "L": qrcode.constants.ERROR_CORRECT_L,
    "M": qrcode.constants.ERROR_CORRECT_M,
    "Q": qrcode.constants.ERROR_CORRECT_Q,
    "H": qrcode.constants.ERROR_CORRECT_H,
}


@datasets.register("qr")
class QR(FreshData):
    """Points spread evenly over the black modules, in [−1, 1]² with y up; the quiet zone is part of the square.

    Args:
        data_dir: where `image` is looked for when it is not found from the working directory.
        text: what the code says. Not used when `image` is given.
        image: path of a picture: its module grid where one is found, else its dark area.
        error_correction: share of the code that may be lost: L 7 %, M 15 %, Q 25 %, H 30 %.
        version: size of the code, 17 + 4·version modules a side; null takes the smallest that fits.
        quiet_zone: width of the white border, in modules (the standard asks for 4).
        raster: cells a side for a picture without a module grid.

    Raises:
        UserError: empty or too long a text; a missing, unreadable or all-white picture.
    """

    knows: frozenset[Known] = frozenset({"density", "cells", "code"})

    def __init__(
        self,
        data_dir: Path,
        *,
        text: str | None = "I was sampled, not drawn.",
        image: str | None = None,
        error_correction: Literal["L", "M", "Q", "H"] = "M",
        version: Annotated[int, Field(ge=1, le=40)] | None = None,
        quiet_zone: Annotated[int, Field(ge=0, le=40)] = 4,
        raster: Annotated[int, Field(ge=8, le=512)] = 128,
    ) -> None:
        self.spec = DataSpec(shape=(2,), kind="real")
        if image is not None:
            grid = read_grid(find_image(image, data_dir), raster)
        else:
            grid = encode(text or "", error_correction, version, quiet_zone)
        self.payload = None if image is not None else text
        self.is_code = grid.is_code
        self.density = UniformCells(torch.from_numpy(grid.black.copy()), grid.left, grid.top, grid.cell)

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles | None:
        if settings.get("image") is None:
            return None
        path = find_image(settings["image"], data_dir)
        return OwnFiles([path], below=path)

    def to(self, device: torch.device) -> Self:
        self.density = self.density.to(device)
        return super().to(device)

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.density.sample(n, generator)

    def describe(self) -> str:
        rows, columns = self.density.mask.shape
        what = "QR code" if self.is_code else "picture"
        black = int(self.density.mask.sum())
        return f"{what} of {rows}×{columns} cells, {black} of them black; entropy {self.density.entropy:.4f} nats"


def find_image(image: str, data_dir: Path) -> Path:
    """Where the picture `image` is, if it is anywhere."""
    path = expanded(image)
    return next((there for there in (path, data_dir / path) if there.exists()), path)


@lru_cache(maxsize=8)  # a run asks twice, and a large code takes a second
def encode(text: str, error_correction: str, version: int | None, quiet_zone: int) -> CellGrid:
    """The module grid of a QR code that says `text`, quiet zone left out of the grid but not of the square."""
    if not text.strip():
        raise UserError("dataset.text is empty: there is nothing to encode", hint="for example: dataset.text='hello world'")
    code = qrcode.QRCode(version=version, error_correction=_LEVELS[error_correction], border=0)
    code.add_data(text)
    try:
        code.make(fit=version is None)
        black = np.array(code.get_matrix(), dtype=bool)
    except (DataOverflowError, ValueError):
        size = len(text.encode())
        room = "any QR code" if version is None else f"version {version}"
        raise UserError(
            f"dataset.text: {size} bytes are too long for {room} at error correction {error_correction}",
            hint="shorten it, take a lower dataset.error_correction, or a higher dataset.version (null chooses)",
        ) from None
    cell = 2 / (len(black) + 2 * quiet_zone)
    side = len(black) * cell / 2
    return CellGrid(black, -side, side, cell, True)
