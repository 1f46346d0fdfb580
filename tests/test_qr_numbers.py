"""Studies of QR codes, tried with models that sample what is known: noise, another code, the code itself."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genexp.config.composition import compose
from genexp.data.qr import QR
from genexp.measures.barcode import decode, draw_cells, draw_points, first_read, payload_of, picture
from genexp.subject import Subject
from tests.subjects import taken

CPU = torch.device("cpu")


class Sampler(nn.Module):
    """A model that samples what a function gives."""

    can, objective = frozenset({"sample"}), "other"

    def __init__(self, draw: Any) -> None:
        super().__init__()
        self.draw = draw

    def sample(self, n: int) -> Tensor:
        return self.draw(n)


class Normal(Sampler):
    """Samples at the origin, and the density of N(0, I)."""

    can = frozenset({"sample", "exact"})

    def __init__(self) -> None:
        super().__init__(lambda n: torch.zeros(n, 2))

    def log_prob(self, x: Tensor) -> Tensor:
        return -0.5 * x.square().sum(1) - math.log(2 * math.pi)


def subject_of(model: Any, data: QR, *words: str) -> Subject:
    return Subject(model, data, compose(["evaluation.num_samples=20000", *words]).settings, CPU)


def evaluated(model: Any, data: QR, *words: str) -> dict[str, Any]:
    """Every number that there is of such a model."""
    return taken(subject_of(model, data, *words), "leak", "module_tv", "decoded", "scannable", "decoded_opencv", "nll")


@pytest.fixture(scope="module")
def code() -> QR:
    return QR(Path(), text="this one")


def test_noise_is_not_scannable(code: QR) -> None:
    found = evaluated(Sampler(lambda n: 2 * torch.rand(n, 2) - 1), code)
    assert found["scannable"] == 0
    assert found["decoded"] is None
    assert found["decoded_opencv"] is None
    assert found["leak"] == pytest.approx(1 - code.density.area / 4, abs=0.02)
    assert found["module_tv"] > 5 * found["floor/module_tv"]


def test_another_code_reads_as_that_code(code: QR) -> None:
    found = evaluated(Sampler(QR(Path(), text="another").sample), code)
    assert found["decoded"] == "another"
    assert found["decoded_opencv"] in ("another", None)
    assert found["scannable"] == 0


@pytest.mark.parametrize("text", ["this one", "(01)0461\x1d10ABC\x1d21\x02", "tab\tand\nline"])
def test_the_code_itself_is_scannable_with_every_character(text: str) -> None:
    code = QR(Path(), text=text)
    found = evaluated(Sampler(code.sample), code)
    assert found["decoded"] == text
    assert found["scannable"] == 1
    assert found["leak"] == 0
    assert found["module_tv"] == pytest.approx(found["floor/module_tv"], rel=0.3)


def test_a_large_code_is_drawn_as_sharply_as_it_takes() -> None:
    """Version 25: at the usual number of pixels 250,000 samples are read by nobody."""
    code = QR(Path(), text="large", version=25)
    subject = subject_of(Sampler(code.sample), code, "evaluation.num_samples=250000")
    assert decode(draw_points(subject.samples.numpy())) is None
    found = taken(subject, "decoded", "scannable", "decoded_opencv")
    assert found == {"decoded": "large", "scannable": 1, "decoded_opencv": "large"}


def test_a_code_of_dots_is_read_where_they_run_together(tmp_path: Path) -> None:
    black = np.pad(QR(Path(), text="dots").density.mask.numpy(), 4)
    dot = np.hypot(*(np.mgrid[:6, :6] - 2.5)) < 2.6
    path = tmp_path / "dots.png"
    Image.fromarray(np.where(np.kron(black, dot), 0, 255).astype(np.uint8)).save(path)
    code = QR(Path(), image=str(path), raster=256)
    assert not code.is_code
    found = taken(subject_of(Sampler(code.sample), code, "evaluation.num_samples=300000"), "decoded", "scannable")
    assert found == {"decoded": "dots", "scannable": 1}


def test_a_picture_without_a_code_is_neither_readable_nor_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "disc.png"
    Image.fromarray(np.where(np.hypot(*np.mgrid[-32:32, -32:32]) < 25, 0, 255).astype(np.uint8)).save(path)
    disc = QR(Path(), image=str(path), raster=64)
    assert taken(subject_of(Sampler(disc.sample), disc, "evaluation.num_samples=4000"), "scannable") == {"scannable": None}


def test_what_is_to_be_read_is_what_true_points_say_and_not_the_samples(code: QR) -> None:
    """Where neither the text is known nor the cells can be read, as of a code of dots."""
    samples, target = (data.sample(20_000) for data in (QR(Path(), text="another"), code))
    blank: Any = SimpleNamespace(mask=torch.zeros(25, 25, dtype=torch.bool))
    subject: Any = SimpleNamespace(data=SimpleNamespace(payload=None), density=blank, samples=samples, target=target)
    assert payload_of(subject) == "this one"


def test_of_points_that_nobody_reads_the_first_drawing_is_shown() -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (9000, 2))
    shown, text = first_read(points)
    assert text is None
    assert np.array_equal(shown, draw_points(points))


def test_a_mirrored_or_turned_code_is_drawn_as_it_lies(code: QR) -> None:
    """Readers accept mirrored codes: what they are given shows the samples with y up and x to the right."""
    upright = picture(subject_of(Sampler(code.sample), code))
    flipped = picture(subject_of(Sampler(lambda n: code.sample(n) * torch.tensor([1.0, -1.0])), code))
    black = draw_cells(code.density.mask.numpy()) == 0
    side = len(upright)
    middles = ((np.arange(len(black)) + 0.5) * side / len(black)).astype(int)
    assert ((upright == 0)[np.ix_(middles, middles)] == black).mean() > 0.99
    assert ((flipped == 0)[np.ix_(middles, middles)] == black[::-1]).mean() > 0.99
    assert (black == black[::-1]).mean() < 0.9


def test_bytes_that_are_no_text_are_read_all_the_same() -> None:
    import qrcode

    made = qrcode.QRCode(border=0)
    made.add_data(b"\xff\xfe\x80")
    made.make()
    assert decode(draw_cells(np.array(made.get_matrix(), dtype=bool)))


def test_nll_is_of_heldout_points_and_not_of_the_models_own(code: QR) -> None:
    """E|y|² of the code decides the cross-entropy to N(0, I); at the origin it would be ln 2π."""
    found = evaluated(Normal(), code, "evaluation.num_samples=100")
    squared = code.density.sample(200_000, torch.Generator().manual_seed(0)).square().sum(1).mean()
    assert found["nll"] == pytest.approx(math.log(2 * math.pi) + float(squared) / 2, abs=5 * found["nll_error"])
    assert found["nll_error"] < 0.002  # of 32,768 points, however few samples are drawn
    assert found["floor/nll"] == code.density.entropy
