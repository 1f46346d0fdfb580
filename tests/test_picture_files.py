"""A picture is the same picture however it is stored, and whichever data set reads it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genexp.data.picture_files import grey_bytes, read_picture
from genexp.data.pictures import read_pictures
from genexp.data.qr import QR
from genexp.errors import UserError
from genexp.measures.barcode import draw_cells

CODE = QR(Path(), text="stored")
SIDE = 2 * draw_cells(CODE.density.mask.numpy()).shape[0]


def grey(dark: int = 0, light: int = 255) -> np.ndarray:
    """The code (side, side) in two greys, two pixels a module."""
    drawn = np.kron(draw_cells(CODE.density.mask.numpy()), np.ones((2, 2), np.uint8))
    return np.where(drawn > 128, light, dark).astype(np.float64)


def see_through(picture: np.ndarray) -> Image.Image:
    """Black ink on glass: all of the picture is in its alpha."""
    glass = Image.new("LA", picture.shape[::-1], 0)
    glass.putalpha(Image.fromarray((255 - picture).astype(np.uint8)))
    return glass


def black_ink(picture: np.ndarray) -> Image.Image:
    inks = np.zeros((*picture.shape, 4), np.uint8)
    inks[..., 3] = 255 - picture
    return Image.fromarray(inks, "CMYK")


STORED: dict[str, tuple[str, Callable[[np.ndarray], Image.Image]]] = {
    "8 bits": ("png", lambda g: Image.fromarray(g.astype(np.uint8))),
    "1 bit": ("png", lambda g: Image.fromarray(g > 128)),
    "palette": ("gif", lambda g: Image.fromarray(g.astype(np.uint8)).convert("P")),
    "colour": ("webp", lambda g: Image.fromarray(g.astype(np.uint8)).convert("RGB")),
    "alpha": ("png", see_through),
    "colour and alpha": ("png", lambda g: see_through(g).convert("RGBA")),
    "inks": ("tif", black_ink),
    "16 bits": ("png", lambda g: Image.fromarray((257 * g).astype(np.uint16))),
    "16 bits, TIFF": ("tif", lambda g: Image.fromarray((257 * g).astype(np.uint16))),
    "bytes in 16 bits": ("tif", lambda g: Image.fromarray(g.astype(np.uint16))),
    "bytes in 32 bits": ("tif", lambda g: Image.fromarray(g.astype(np.int32))),
    "16 of 32 bits": ("tif", lambda g: Image.fromarray((257 * g).astype(np.int32))),
    "zeros and ones": ("tif", lambda g: Image.fromarray((g / 255).astype(np.int32))),
    "floats to 1": ("tif", lambda g: Image.fromarray((g / 255).astype(np.float32))),
    "floats to 255": ("tif", lambda g: Image.fromarray(g.astype(np.float32))),
    "floats to 65,535": ("tif", lambda g: Image.fromarray((257 * g).astype(np.float32))),
    "floats around 0": ("tif", lambda g: Image.fromarray((g / 100 - 1).astype(np.float32))),
    "large integers": ("tif", lambda g: Image.fromarray((g * 1_000_000).astype(np.int32))),
}


@pytest.mark.parametrize(("ending", "store"), STORED.values(), ids=STORED.keys())
def test_both_readers_see_the_same_picture_however_it_is_stored(tmp_path: Path, ending: str, store) -> None:
    path = tmp_path / f"code.{ending}"
    store(grey()).save(path, **({"lossless": True} if ending == "webp" else {}))
    assert np.array_equal(np.asarray(read_picture(path).convert("L")), grey())
    assert np.array_equal(read_pictures([path], SIDE, 1).x[0, 0].numpy(), grey())
    assert np.array_equal(QR(Path(), image=str(path)).density.mask, CODE.density.mask)


CORNERS = ((0, 0), (0, -1), (-1, -1), (-1, 0))  # clockwise from the upper left
TURNED = {1: 0, 2: 1, 3: 2, 4: 3, 5: 0, 6: 1, 7: 2, 8: 3}  # EXIF orientation: where the upper left of what is stored has to be


@pytest.mark.parametrize("ending", ["png", "jpg", "jfif", "tif"])
@pytest.mark.parametrize(("orientation", "corner"), TURNED.items())
def test_a_picture_lies_as_its_camera_says(tmp_path: Path, ending: str, orientation: int, corner: int) -> None:
    stored, exif = np.zeros((160, 240), np.uint8), Image.Exif()
    stored[:40, :80], exif[0x0112] = 255, orientation
    Image.fromarray(stored).save(tmp_path / f"x.{ending}", exif=exif)
    seen = np.asarray(read_picture(tmp_path / f"x.{ending}").convert("L"))
    assert seen.shape == (stored.shape if orientation < 5 else stored.shape[::-1])
    square = read_pictures([tmp_path / f"x.{ending}"], 40, 1).x[0, 0].numpy()
    assert [[at for at, where in enumerate(CORNERS) if picture[where] > 128] for picture in (seen, square)] == [[corner]] * 2


def test_white_is_told_by_the_values() -> None:
    assert grey_bytes(np.array([[0.0, 0.5, 1.0]])).tolist() == [[0, 128, 255]]
    assert grey_bytes(np.array([[0.0, 100.0, 200.0]])).tolist() == [[0, 100, 200]]
    assert grey_bytes(np.array([[257, 25_700, 60_000]], np.uint16)).tolist() == [[1, 100, 233]]
    assert grey_bytes(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[0, 128, 255]]
    assert grey_bytes(np.array([[0.0, 1.0, np.nan]])).tolist() == [[0, 255, 255]]
    assert grey_bytes(np.array([[7e9, 7e9]])).tolist() == [[0, 0]]


def test_a_picture_without_a_number_is_none(tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 9), np.nan, np.float32)).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match=r"x\.tif: not a readable picture"):
        read_picture(tmp_path / "x.tif")


def test_a_turn_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    Image.fromarray(grey().astype(np.uint8)).save(path, exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x05broken", quality=100)
    assert abs(np.asarray(read_picture(path).convert("L")).astype(float) - grey()).max() < 8
