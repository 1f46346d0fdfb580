"""QR codes from texts and from pictures."""

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from genexp.data.picture import find_modules
from genexp.data.qr import QR
from genexp.errors import UserError
from genexp.measures.barcode import decode, decode_opencv, draw_cells, draw_points, drawings
from genexp.measures.module_grid import agreement, fitted, modules_in

HERE = Path()
DATA = Path(os.environ.get("GENEXP_DATA", "data"))  # read here: inside a test it is the folder of small data sets
ARTICLE = "qr/SciML_QR.png"


def scan(data: QR) -> str | None:
    return decode(draw_cells(data.density.mask.numpy()))


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6, 20, 40])
def test_a_code_says_its_text_at_every_version(version: int) -> None:
    data = QR(HERE, text=f"version {version}", version=version, error_correction="L")
    assert data.density.mask.shape == (17 + 4 * version,) * 2
    assert scan(data) == f"version {version}"


@pytest.mark.parametrize("text", ["https://qrco.de/bg6AQE", "Zażółć gęślą jaźń, 生成モデル", "0123456789", "a 'b' \"c\" \\d"])
def test_any_text_survives(text: str) -> None:
    assert scan(QR(HERE, text=text)) == text


def test_true_samples_drawn_as_points_are_read(tmp_path: Path) -> None:
    data = QR(HERE, text="points are enough")
    import torch

    points = data.density.sample(100_000, torch.Generator().manual_seed(0)).numpy()
    assert decode(draw_points(points)) == "points are enough"
    blurred = points + 0.5 * data.density.cell * np.random.default_rng(0).standard_normal(points.shape)
    assert decode(draw_points(blurred)) is None  # the proof can fail


@pytest.mark.parametrize(("version", "count"), [(25, 379_000), (40, 561_000)])
def test_a_large_code_is_read_by_both_readers_in_one_of_the_drawings(version: int, count: int) -> None:
    """With 2 % of the points near its modules and 1 % anywhere; and the modules that are found in the drawing are the code's."""
    import torch

    data = QR(HERE, text="large", version=version)
    points = data.density.sample(count, torch.Generator().manual_seed(0)).numpy()
    random, share = np.random.default_rng(0), count // 100
    points[: 2 * share] += 0.5 * data.density.cell * random.standard_normal((2 * share, 2))
    points[-share:] = random.uniform(-1, 1, (share, 2))
    pictures = list(islice(drawings(points), 3))[1:]
    assert decode(pictures[0]) == "large"
    assert decode_opencv(pictures[1]) == "large"
    modules = modules_in(pictures[1])
    assert modules is not None
    assert modules.shape == data.density.mask.shape
    assert (modules == data.density.mask.numpy()).mean() > 0.99  # a quarter of a module off, thousands would be wrong
    assert (modules == data.density.mask.numpy().T).mean() < 0.7


def test_no_modules_in_noise_nor_in_an_empty_picture() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (20_000, 2))
    assert modules_in(draw_points(points)) is None
    assert modules_in(draw_points(np.zeros((0, 2)), 64)) is None


def test_modules_are_found_wherever_in_the_picture_the_code_lies() -> None:
    mask = QR(HERE, text="aside").density.mask.numpy()
    picture = np.full((160, 160), 255, dtype=np.uint8)
    picture[3 : 3 + 4 * len(mask), 50 : 50 + 4 * len(mask)] = np.kron(draw_cells(mask, border=0), np.ones((4, 4)))
    assert np.array_equal(modules_in(picture), mask)


def test_quiet_zone_is_part_of_the_square() -> None:
    wide, none = QR(HERE, text="x", quiet_zone=4).density, QR(HERE, text="x", quiet_zone=0).density
    assert none.left == pytest.approx(-1)
    assert none.top == pytest.approx(1)
    assert wide.cell == pytest.approx(2 / 29)
    assert wide.left == pytest.approx(-1 + 4 * wide.cell)


@pytest.mark.parametrize(("pixels", "mode"), [(1, "1"), (3, "L"), (10, "RGB"), (7, "RGBA")])
def test_the_module_grid_of_a_picture_is_found(tmp_path: Path, pixels: int, mode: str) -> None:
    code = QR(HERE, text="grid")
    drawn = np.kron(draw_cells(code.density.mask.numpy()), np.ones((pixels, pixels), dtype=np.uint8))
    Image.fromarray(drawn).convert(mode).save(tmp_path / "code.png")
    data = QR(HERE, image=str(tmp_path / "code.png"))
    assert data.is_code
    assert (data.density.mask == code.density.mask).all()
    assert data.density.left == pytest.approx(code.density.left)
    assert data.density.cell == pytest.approx(code.density.cell)


def test_a_transparent_background_is_paper(tmp_path: Path) -> None:
    code = QR(HERE, text="glass")
    alpha = Image.fromarray(255 - draw_cells(code.density.mask.numpy()))
    ink = Image.new("RGBA", alpha.size, (0, 0, 0, 255))
    ink.putalpha(alpha)
    ink.resize((330, 330), Image.Resampling.NEAREST).save(tmp_path / "glass.png")
    assert (QR(HERE, image=str(tmp_path / "glass.png")).density.mask == code.density.mask).all()


@pytest.mark.parametrize(("lightest", "is_code"), [(255, True), (120, True), (20, False)])
def test_a_code_is_told_from_its_paper_in_the_dusk_and_in_the_dark_all_is_black(
    tmp_path: Path, lightest: int, is_code: bool
) -> None:
    code = QR(HERE, text="dusk").density.mask.numpy()
    Image.fromarray((draw_cells(code) // 255 * lightest).repeat(5, 0).repeat(5, 1)).save(tmp_path / "dusk.png")
    data = QR(HERE, image=str(tmp_path / "dusk.png"))
    assert data.is_code == is_code
    assert is_code or data.density.area == pytest.approx(4)


def test_a_picture_without_a_grid_is_taken_as_area(tmp_path: Path) -> None:
    picture = Image.new("L", (300, 200), 255)
    ImageDraw.Draw(picture).ellipse((50, 20, 210, 180), fill=0)
    picture.save(tmp_path / "disc.png")
    data = QR(HERE, image=str(tmp_path / "disc.png"), raster=150)
    assert not data.is_code
    assert data.density.area == pytest.approx(np.pi * 80**2 * (2 / 300) ** 2, rel=0.02)
    x = data.density.sample(2000)
    centre, radius = np.array([(130 - 150) / 150, 0]), 81 / 150
    assert (np.linalg.norm(x.numpy() - centre, axis=1) < radius * 1.03).all()


def test_a_styled_code_is_taken_as_area(tmp_path: Path) -> None:
    code = QR(HERE, text="dots").density.mask.numpy()
    picture = Image.new("L", (len(code) * 20,) * 2, 255)
    for row, column in np.argwhere(code):
        ImageDraw.Draw(picture).ellipse((column * 20 + 2, row * 20 + 2, column * 20 + 17, row * 20 + 17), fill=0)
    picture.save(tmp_path / "dots.png")
    assert not QR(HERE, image=str(tmp_path / "dots.png")).is_code


def test_no_grid_in_noise() -> None:
    assert find_modules(np.random.default_rng(0).random((200, 200)) > 0.5) is None


def test_a_picture_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "code.png"
    for changed, text in enumerate(("before", "after")):
        code = QR(HERE, text=text)
        Image.fromarray(draw_cells(code.density.mask.numpy())).save(path)
        os.utime(path, (changed, changed))
        assert (QR(HERE, image=str(path)).density.mask == code.density.mask).all()


def test_images_are_also_looked_for_in_the_data_folder(tmp_path: Path) -> None:
    Image.fromarray(draw_cells(QR(HERE, text="x").density.mask.numpy())).save(tmp_path / "there.png")
    assert QR(tmp_path, image="there.png").is_code


@pytest.mark.skipif(not (DATA / ARTICLE).is_file(), reason="needs the article's picture in $GENEXP_DATA/qr")
def test_the_articles_picture_becomes_25_modules() -> None:
    data = QR(DATA, image=ARTICLE)
    assert data.density.mask.shape == (25, 25)
    assert int(data.density.mask.sum()) == 318
    assert data.density.entropy == pytest.approx(0.2643, abs=1e-4)
    assert data.density.irreducible_loss() == pytest.approx(0.7030, abs=1e-3)
    assert scan(data) == "https://qrco.de/bg6AQE"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"text": ""}, "empty"),
        ({"text": "   "}, "empty"),
        ({"text": None}, "empty"),
        ({"text": "x" * 3000}, "3000 bytes are too long for any QR code"),
        ({"text": "x" * 100, "version": 2}, "too long for version 2"),
        ({"image": "missing.png"}, "no such file"),
        ({"image": str(Path(__file__))}, "not a readable picture"),
        ({"image": "/"}, "a folder, and not a picture"),
    ],
)
def test_bad_input_gets_one_clear_line(keys: dict, words: str) -> None:
    with pytest.raises(UserError, match=words) as mistake:
        QR(HERE, **keys)
    assert "\n" not in mistake.value.message


def test_white_and_truncated_and_huge_pictures_are_refused(tmp_path: Path) -> None:
    Image.new("L", (40, 40), 250).save(tmp_path / "white.png")
    with pytest.raises(UserError, match="nothing in it is black"):
        QR(HERE, image=str(tmp_path / "white.png"))
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100), dtype=np.uint8)).save(whole)
    (tmp_path / "half.png").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UserError, match="not a readable picture"):
        QR(HERE, image=str(tmp_path / "half.png"))
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(UserError, match="at most 64 million"):
        QR(HERE, image=str(tmp_path / "huge.png"))


def test_the_grid_of_modules_is_found_to_a_fraction_of_a_pixel() -> None:
    """Modules of 6.4 pixels, in a picture whose black has grown by a pixel at the right."""
    mask = QR(HERE, text="between", version=25).density.mask.numpy()
    side = round(6.4 * len(mask))
    at = np.arange(side) * len(mask) // side
    picture = np.full((side + 60, side + 60), 255, dtype=np.uint8)
    picture[20 : 20 + side, 20 : 20 + side][mask[np.ix_(at, at)]] = 0
    picture[20 : 20 + side, 21 : 21 + side][mask[np.ix_(at, at)]] = 0
    ink = np.pad((picture < 128).cumsum(0).cumsum(1), ((1, 0), (1, 0))).astype(float)
    rough = np.array([22.0, 18.0 + side, 18.0, 22.0 + side])
    assert agreement(ink, rough, len(mask)) < 0.9
    assert np.abs(fitted(ink, rough, len(mask)) - [20, 20 + side, 20.5, 20.5 + side]).max() < 0.8
    assert np.array_equal(modules_in(picture), mask)
