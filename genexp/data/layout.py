"""What the folders below a folder of pictures mean: parts, or classes. What could be either is refused, not guessed.

train/ … val/ … test/     parts, in upper or lower case; also training, valid, validation, testing
apples/ … kiwis/          classes; inside a part as well
pictures alone            no classes
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genexp.data.pictures import ENDINGS, find_pictures
from genexp.errors import UserError

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
PICTURE = (
    re.compile(  # how the files of pictures begin: PNG, JPEG, GIF, BMP, TIFF and cameras' raw ones, WebP, HEIC, AVIF, JPEG 2000
        rb"\x89PNG|\xff\xd8\xff|GIF8|BM.{4}\0{4}|II\*\0|MM\0\*|RIFF.{4}WEBP|.{4}ftyp(hei|mif1|avi)|\0{3}\x0cjP", re.DOTALL
    )
)


@dataclass(frozen=True)
class Part:
    """A part of the pictures: `pictures` by the folder of their class, or by `folder` itself where there are no classes."""

    folder: Path
    pictures: Mapping[Path, list[Path]]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(inside.name for inside in self.pictures if inside != self.folder)


@dataclass(frozen=True)
class Layout:
    """The parts that have a folder, as `train` always has."""

    folder: Path
    train: Part
    validation: Part | None = None
    test: Part | None = None
    beside: tuple[Path, ...] = ()  # pictures, and folders of some, that are in no part

    def by_folder(self) -> dict[Path, list[Path]]:
        """Every picture that is read, by the folder it lies in: train, validation, test."""
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        return {inside: paths for part in parts for inside, paths in part.pictures.items()}

    def remarks(self) -> tuple[str, ...]:
        """What somebody who sees the folder has to be told: which pictures in it are not read, and what part it lacks."""
        read = self.by_folder()
        deep = [one for inside in read if inside != self.folder for one in _folders(inside) if one not in read and _is_full(one)]
        kinds = [path for inside in read for path in sorted(inside.iterdir()) if _is_other_picture(path)]
        said = []
        if self.beside or deep:
            said.append(f"left out: {_several([*self.beside, *deep], self.folder)}")
        if kinds:
            said.append(f"left out, as their names end in none of {' '.join(ENDINGS)}: {_several(kinds, self.folder)}")
        if self.train.folder != self.folder and self.test is None:
            said.append(f"no test folder, so a share of {self.train.folder.name}/ is the test part")
        return tuple(said)


def find_layout(folder: Path) -> Layout:
    """The parts, and in them the classes, of a folder of pictures.

    Raises:
        UserError: what its folders are cannot be told: pictures beside folders of pictures, parts beside what may be classes.
    """
    inside = _folders(folder)
    named = {part: [one for one in inside if one.name.lower() in names] for part, names in PARTS.items()}
    parts = [one for found in named.values() for one in found]
    if not parts:
        return Layout(folder, _part(folder))
    for part, found in named.items():
        if len(found) > 1:
            raise UserError(f"{folder}: {_several(found, folder)} are all {part} folders", hint="leave one of them")
    beside = [one for one in inside if one not in parts and _is_full(one)]
    if not named["train"] or (beside and len(parts) == 1):
        others = f" beside {_several(beside, folder)}" if beside else ""
        raise UserError(
            f"{folder}: {_several(parts, folder)}{others}: a part of the pictures, or a class?",
            hint="parts are train, val and test, and there must be train; a class of such a name needs another, as train_",
        )
    train, validation, test = (_part(found[0]) if found else None for found in named.values())
    assert train is not None
    return Layout(folder, train, validation, test, (*beside, *find_pictures(folder)))


def _part(folder: Path) -> Part:
    """The pictures of each folder in it, a class each; where it has none, its own."""
    inside, loose = _folders(folder), find_pictures(folder)
    holding = [one for one in inside if _is_full(one)]
    if loose and holding:
        raise UserError(
            f"{folder} holds pictures ({_several(loose, folder)}) and folders of pictures ({_several(holding, folder)}): "
            "are these classes?",
            hint="put every picture into the folder of its class, or move away what does not belong to the data",
        )
    return Part(folder, {folder: loose} if loose or not inside else {one: find_pictures(one) for one in inside})


def _is_other_picture(path: Path) -> bool:
    """Whether a file is a picture by what is in it, and not by its name."""
    if path.suffix.lower() in ENDINGS or path.name.startswith(".") or not path.is_file():
        return False
    with suppress(OSError), path.open("rb") as file:
        return PICTURE.match(file.read(12)) is not None
    return False


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _is_full(folder: Path) -> bool:
    """Whether there are pictures in a folder, however deep (links are not followed: they may lead round in circles)."""
    return bool(find_pictures(folder)) or any(_is_full(inside) for inside in _folders(folder) if not inside.is_symlink())


def _several(paths: Sequence[Path], folder: Path) -> str:
    """The first few, as seen from `folder`."""
    names = [path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in paths[:5]]
    return ", ".join(names) + (", …" if len(paths) > 5 else "")
