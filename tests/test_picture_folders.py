"""What the folders in a folder of pictures are taken for: never guessed in silence."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from genexp.data.image_folder import ImageFolder
from genexp.errors import UserError


def paint(root: Path, *names: str) -> None:
    """Pictures in as many greys as there are pictures."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        grey = 2 * len([path for path in root.rglob("*") if path.is_file()])
        Image.new("L", (8, 8), grey).save(root / name, format="JPEG" if name.endswith((".jfif", ".jpe", ".part")) else "PNG")


def several(folder: str, count: int) -> list[str]:
    return [f"{folder}/{number}.png" for number in range(count)]


def read(root: Path) -> ImageFolder:
    return ImageFolder(Path(), path=str(root), size=8, channels=1)


def counts(data: ImageFolder) -> list[int]:
    return [len(part) for part in (data.train, data.validation, data.test)]


@pytest.mark.parametrize(
    ("train", "validation", "test", "expected"),
    [
        ("train", None, "test", [18, 2, 5]),
        ("Train", None, "Test", [18, 2, 5]),
        ("training", None, "testing", [18, 2, 5]),
        ("train", "val", None, [18, 4, 2]),
        ("TRAIN", "Valid", "TEST", [20, 4, 5]),
        ("train", "validation", "test", [20, 4, 5]),
        ("train", None, None, [16, 2, 2]),
    ],
)
@pytest.mark.parametrize("classes", [(), ("cat", "dog")])
def test_folders_of_parts_are_the_parts(tmp_path: Path, train: str, validation, test, expected: list[int], classes) -> None:
    for name, count in ((train, 20), (validation, 4), (test, 5)):
        for number in range(count if name else 0):
            paint(tmp_path, "/".join([name, *classes[number % 2 : number % 2 + 1], f"{number}.png"]))
    data = read(tmp_path)
    assert data.spec.classes == classes
    assert counts(data) == expected
    greys = [int(x.max()) for part in (data.train, data.validation, data.test) for x in part.x]
    assert len(set(greys)) == len(greys)  # no picture is in two parts
    if validation:
        assert {int(x.max()) for x in data.validation.x} == {40, 42, 44, 46}
    assert ("no test folder, so a share of" in data.describe()) == (test is None)
    assert len(ImageFolder.own_files({"path": str(tmp_path)}, Path()).paths) == sum(expected)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        ([*several("cat", 5), *several("dog", 5), "cover.png"], r"holds pictures \(cover\.png\) and .* \(cat/, dog/\)"),
        ([*several(".", 40), *several("thumbs", 40)], r"holds pictures .* and folders of pictures \(thumbs/\)"),
        ([*several(".", 5), *several("a/deep", 5)], r"folders of pictures \(a/\)"),
        ([*several("train", 5), *several("bus", 5)], r"train/ beside bus/: a part of the pictures, or a class"),
        ([*several("test", 5), *several("val", 5)], r"val/, test/: a part of the pictures, or a class"),
        ([*several("train", 5), *several("Train", 5), *several("test", 5)], r"Train/, train/ are all train folders"),
        ([*several("train/a", 5), "train/x.png", *several("test/a", 5)], r"train holds pictures \(x\.png\)"),
        ([*several("train/a", 5), *several("test/b", 5)], r"the classes of train \(a\) and test \(b\) differ"),
    ],
)
def test_what_could_be_either_is_refused(tmp_path: Path, pictures: list[str], words: str) -> None:
    paint(tmp_path, *pictures)
    with pytest.raises(UserError, match=words):
        read(tmp_path)


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    paint(tmp_path, *several("train", 10), *several("test", 5), *several("preview", 2), "cover.png")
    assert "; left out: preview/, cover.png" in read(tmp_path).describe()
    shutil.rmtree(tmp_path / "preview")
    (tmp_path / "cover.png").unlink()
    (tmp_path / "notes").mkdir()
    assert "left out" not in read(tmp_path).describe()


def test_deeper_folders_and_other_endings_are_named(tmp_path: Path) -> None:
    paint(tmp_path, *several("cat", 10), *several("dog", 10), *several("cat/old", 2), "dog/x.jfif", "dog/y.jpe", "cat/z.png.part")
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "cat" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    said = read(tmp_path).describe()
    assert "; left out: cat/old/; left out, as their names end in none of .jpg .jpeg .jfif" in said
    assert said.endswith(": cat/phone.heic, cat/z.png.part, dog/y.jpe")
    assert sum(counts(read(tmp_path))) == 21  # and x.jfif is one of them


def test_folders_without_pictures_are_no_classes_beside_pictures(tmp_path: Path) -> None:
    paint(tmp_path, *several(".", 10))
    (tmp_path / "docs" / "more").mkdir(parents=True)
    (tmp_path / "docs" / "round").symlink_to(tmp_path)
    data = read(tmp_path)
    assert data.spec.classes == ()
    assert sum(counts(data)) == 10
