"""Data sets of pictures: what is read, how it is split, and what is said of files that are not right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.data.glyphs import Glyphs, draw_glyphs
from genexp.data.image_folder import ImageFolder
from genexp.data.mnist import MNIST
from genexp.data.pictures import read_pictures
from genexp.errors import UserError
from genexp.fetch.sets import find_set
from genexp.fetch.sources import Mirrors
from tests.conftest import write_idx


def digits(root: Path, train: int = 40, test: int = 12) -> Path:
    """A small MNIST of noise below `root`."""
    random = np.random.default_rng(0)
    for part, n in (("train", train), ("t10k", test)):
        write_idx(root / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", random.integers(0, 256, (n, 28, 28)))
        write_idx(root / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", np.arange(n) % 10)
    return root / "MNIST" / "raw"


def test_mnist_is_read_whole_and_split_without_overlap(tmp_path: Path) -> None:
    raw = digits(tmp_path)
    data = MNIST(tmp_path, validation=8)
    pixels = np.frombuffer((raw / "train-images-idx3-ubyte").read_bytes()[16:], np.uint8).reshape(40, 1, 28, 28)
    assert np.array_equal(torch.cat([data.train.x, data.validation.x]).numpy(), pixels)
    assert data.train.label is not None
    assert data.train.label.tolist() == [n % 10 for n in range(32)]
    assert len(data.test) == 12
    batch = data.heldout(5, 0)
    assert torch.equal(batch.x, torch.from_numpy(pixels[32:37].copy()).float() / 255)
    batch = data.train_stream(16, 0).next()
    assert batch.x.dtype == torch.float32
    assert 0.9 < float(batch.x.max()) <= 1
    where = [int((data.train.x.float() / 255 - x).abs().flatten(1).sum(1).argmin()) for x in batch.x]
    assert [int(label) for label in batch.label] == [at % 10 for at in where]  # type: ignore[union-attr]


def test_packed_files_will_do(tmp_path: Path) -> None:
    import gzip

    raw = digits(tmp_path)
    for path in list(raw.iterdir()):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert len(MNIST(tmp_path, validation=8).train) == 32
    path = raw / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for damaged in (whole[:-50], whole[:40] + bytes(200) + whole[240:], b""):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"t10k-images-idx3-ubyte: (cannot be read|not the right IDX file)"):
            MNIST(tmp_path, validation=8)


@pytest.mark.parametrize(
    ("file", "spoil", "words"),
    [
        ("train-images-idx3-ubyte", lambda b: b[:-1], "truncated: its header promises 40 × 28 × 28 = 31,360 bytes, and 31,359"),
        ("train-images-idx3-ubyte", lambda b: b + b"x", "too long"),
        ("train-images-idx3-ubyte", lambda b: b"\x00\x00\x08\x01" + b[4:], "magic number is 0x00000801, not 0x00000803"),
        ("t10k-labels-idx1-ubyte", lambda b: b"<html>404</html>", "magic number"),
        ("t10k-labels-idx1-ubyte", lambda b: b"", "magic number"),
        ("t10k-labels-idx1-ubyte", lambda b: b[:7] + bytes([11]) + b[8:-1], "holds 12 pictures, but .* 11 labels"),
        ("train-labels-idx1-ubyte", lambda b: b[:10] + bytes([77]) + b[11:], "label 77 at position 2"),
    ],
)
def test_a_broken_file_is_named_and_what_is_wrong_with_it(tmp_path: Path, file: str, spoil, words: str) -> None:
    path = digits(tmp_path) / file
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(UserError, match=words) as failure:
        MNIST(tmp_path, validation=8)
    assert file in failure.value.message


def test_without_files_and_network_it_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_site = replace(find_set("mnist"), source=Mirrors(("http://127.0.0.1:9/",)))
    monkeypatch.setattr("genexp.data.mnist.find_set", lambda name: no_site)
    with pytest.raises(UserError, match=r"mnist is not in .*raw: train-images.*gz could not be downloaded") as failure:
        MNIST(tmp_path)
    assert f"genexp data fetch mnist --data-dir {tmp_path}" in str(failure.value.hint)
    assert "train-images-idx3-ubyte" in str(failure.value.hint)
    assert "dataset=glyphs" in str(failure.value.hint)


def test_more_validation_than_there_are_pictures_is_refused(tmp_path: Path) -> None:
    digits(tmp_path)
    with pytest.raises(UserError, match=r"dataset\.validation=40: there are only 40 training pictures"):
        MNIST(tmp_path, validation=40)


def test_glyphs_are_the_same_for_a_seed_and_vary_otherwise() -> None:
    one, again, other = draw_glyphs(60, 28, 1.0, (0,)), draw_glyphs(60, 28, 1.0, (0,)), draw_glyphs(60, 28, 1.0, (1,))
    assert torch.equal(one.x, again.x)
    assert not torch.equal(one.x, other.x)
    still = draw_glyphs(60, 28, 0.0, (0,))
    assert torch.equal(still.x[:10], still.x[10:20])
    distinct = {tuple(x.flatten().tolist()) for x in still.x}
    assert len(distinct) == 10
    assert 0.03 < float(one.x.float().mean() / 255) < 0.4
    assert float(one.x.float().std(0).mean()) > 10
    data = Glyphs(Path(), count=50, validation=20, test=30)
    assert data.spec.shape == (1, 28, 28)
    assert not torch.equal(data.train.x[:20], data.validation.x)


def test_glyphs_have_their_classes(tmp_path: Path) -> None:
    """A nearest-mean classifier on other glyphs gets most of them right: labels and pictures belong together."""
    train, test = draw_glyphs(500, 28, 0.5, (0,)), draw_glyphs(200, 28, 0.5, (1,))
    means = torch.stack([train.x[train.label == label].float().mean(0) for label in range(10)])
    guessed = torch.cdist(test.x.float().flatten(1), means.flatten(1)).argmin(1)
    assert float((guessed == test.label).float().mean()) > 0.8


def paint(path: Path, colour: tuple[int, ...], size: tuple[int, int] = (40, 30), mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour if len(colour) > 1 else colour[0]).save(path)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    for index in range(10):
        paint(tmp_path / "set" / "red" / f"{index}.png", (200, index, 0))
        paint(tmp_path / "set" / "green" / f"{index}.png", (0, 200, index))
    (tmp_path / "set" / "red" / "broken.jpg").write_bytes(b"not a picture")
    (tmp_path / "set" / "red" / "notes.txt").write_text("ignored")
    data = ImageFolder(tmp_path, path="set", size=16)
    assert data.spec.shape == (3, 16, 16)
    assert data.spec.classes == ("green", "red")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [16, 2, 2]
    assert data.train.label is not None
    assert len(data.train.label[:6].unique()) == 2  # in no order
    seen = torch.cat([part.x for part in (data.train, data.validation, data.test)])
    labels = torch.cat([part.label for part in (data.train, data.validation, data.test)])
    assert len({tuple(x[:, 0, 0].tolist()) for x in seen}) == 20
    assert [int(x[0, 0, 0] > 100) for x in seen] == labels.tolist()
    assert "1 could not be read: broken.jpg" in data.describe()


def test_a_flat_folder_has_no_classes_and_train_and_test_folders_are_the_split(tmp_path: Path) -> None:
    for index in range(10):
        paint(tmp_path / "flat" / f"{index}.png", (index,), mode="L")
        paint(tmp_path / "both" / "train" / f"{index}.png", (index,), mode="L")
    paint(tmp_path / "both" / "test" / "x.png", (255,), mode="L")
    flat = ImageFolder(Path(), path=str(tmp_path / "flat"), size=8, channels=1)
    assert (flat.spec.shape, flat.spec.classes) == ((1, 8, 8), ())
    assert flat.train.label is None
    both = ImageFolder(Path(), path=str(tmp_path / "both"), size=8, channels=1)
    assert len(both.test) == 1
    assert int(both.test.x.min()) == 255
    assert len(both.train) + len(both.validation) == 10


def test_the_first_pictures_of_every_part_are_of_every_class(tmp_path: Path) -> None:
    """Measures look at the first few."""
    for part in ("train", "val", "test"):
        for number in range(24):
            paint(tmp_path / part / "abc"[number // 8] / f"{number}.png", (number,), (8, 8), "L")
    data = ImageFolder(Path(), path=str(tmp_path), size=8, channels=1)
    for each in (data.train, data.validation, data.test):
        assert each.label is not None
        assert len(each.few(12).label.unique()) == 3  # type: ignore[union-attr]
        assert (each.x[:, 0, 0, 0] // 8).tolist() == each.label.tolist()


def test_pictures_of_every_kind_become_squares(tmp_path: Path) -> None:
    paint(tmp_path / "grey.png", (100,), (9, 50), "L")
    paint(tmp_path / "clear.png", (0, 0, 0, 0), (20, 20), "RGBA")
    paint(tmp_path / "palette.gif", (3,), (7, 7), "P")
    paint(tmp_path / "huge.png", (1,), (9000, 8000), "1")
    paths = [tmp_path / name for name in ("grey.png", "clear.png", "huge.png", "palette.gif")]
    found = read_pictures(paths, 12, 3)
    assert found.x.shape == (3, 3, 12, 12)
    assert found.index == [0, 1, 3]
    assert found.unreadable == ["huge.png"]
    assert found.x[0].unique().tolist() == [100]
    assert found.x[1].unique().tolist() == [255]  # transparent: white paper
    Image.fromarray(np.full((9, 9), 25_700, np.uint16)).save(tmp_path / "deep.png")
    assert read_pictures([tmp_path / "deep.png"], 8, 1).x.unique().tolist() == [100]  # sixteen bits
    half = Image.new("RGB", (60, 20), "black")
    half.paste("white", (20, 0, 40, 20))
    half.save(tmp_path / "middle.png")
    assert read_pictures([tmp_path / "middle.png"], 10, 1).x[..., 1:-1].min() == 255  # the middle is kept, nothing is squeezed


def test_what_was_resized_is_remembered_by_content(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", (10, 20, 30))
    (tmp_path / "b.png").write_bytes(b"broken")
    paths, cache = [tmp_path / "b.png", tmp_path / "a.png"], tmp_path / "cache"
    first = read_pictures(paths, 8, 3, cache)
    (kept,) = cache.iterdir()
    with np.load(kept) as stored:
        changed = {"x": stored["x"] + 1, "index": stored["index"]}
    np.savez(kept, **changed)
    second = read_pictures(paths, 8, 3, cache)
    assert torch.equal(second.x, first.x + 1)  # it did come from there
    assert (second.index, second.unreadable) == (first.index, first.unreadable) == ([1], ["b.png"])
    paint(tmp_path / "a.png", (11, 20, 30))
    assert read_pictures(paths, 8, 3, cache).x[0, 0, 0, 0] == 11
    for damaged in (b"torn", kept.read_bytes()[:200], b""):
        kept.write_bytes(damaged)
        paint(tmp_path / "a.png", (10, 20, 30))
        assert torch.equal(read_pictures(paths, 8, 3, cache).x, first.x)
    np.savez(kept, x=np.zeros((1, 3, 8, 8)), index=np.array([7]))  # whole, but not what belongs there
    paint(tmp_path / "a.png", (10, 20, 30))
    assert torch.equal(read_pictures(paths, 8, 3, cache).x, first.x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "no such folder"),
        (lambda root: (root / "set").mkdir(), "no pictures in it"),
        (lambda root: [(root / "set" / name).mkdir(parents=True) for name in ("a", "b")], "set/a: no pictures in it"),
        (lambda root: [(root / "set").mkdir(), (root / "set" / "x.png").write_bytes(b"x")], "none of the 1 pictures can be read"),
        (lambda root: paint(root / "set" / "x.png", (1, 2, 3)), "no pictures are left for the"),
    ],
)
def test_a_folder_that_will_not_do(tmp_path: Path, make, words: str) -> None:
    make(tmp_path)
    with pytest.raises(UserError, match=words):
        ImageFolder(tmp_path, path="set")


def test_a_path_is_needed() -> None:
    with pytest.raises(UserError, match=r"dataset\.path is missing"):
        ImageFolder(Path())
