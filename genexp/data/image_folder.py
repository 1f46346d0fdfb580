"""`dataset=image_folder dataset.path=…`: your own pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from genexp.data.images import ImageData, ImageSet, hold_out, shuffled
from genexp.data.own_files import OwnFiles
from genexp.data.pictures import find_pictures, read_pictures
from genexp.errors import UserError
from genexp.paths import expanded
from genexp.registry import datasets

Share = Annotated[float, Field(gt=0, lt=1)]


@datasets.register("image_folder")
class ImageFolder(ImageData):
    """The pictures of a folder: one folder for each class, or all in one. Of any size and kind; each becomes a square.

    With folders `train` and `test` inside, these are the split; otherwise a random share is the test part.

    Args:
        data_dir: where `path` is looked for when it is not found from the working directory.
        path: of the folder.
        size: pixels a side.
        channels: 1 for grey, 3 for colour.
        validation_share, test_share: shares held out to choose by and to test.

    Raises:
        UserError: no such folder; no picture in it, or none that can be read; an empty class folder.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        path: str | None = None,
        size: Annotated[int, Field(ge=8, le=512)] = 32,
        channels: Literal[1, 3] = 3,
        validation_share: Share = 0.1,
        test_share: Share = 0.1,
    ) -> None:
        folder = find_folder(path, data_dir)
        first, *second = split(folder)
        train, classes = self.read(first, size, channels)
        if second:
            test, others = self.read(second[0], size, channels)
            test = shuffled(test, seed=0)
            if others != classes:
                raise UserError(f"{folder}: the classes of train ({', '.join(classes)}) and test ({', '.join(others)}) differ")
        else:
            test, train = hold_out(train, test_share, seed=0)
        validation, train = hold_out(train, validation_share, seed=1)
        self.parts(train, validation, test, classes)

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles:
        folder = find_folder(settings.get("path"), data_dir)
        return OwnFiles([path for part in split(folder) for paths in find_parts(part).values() for path in paths], folder)

    def read(self, folder: Path, size: int, channels: int) -> tuple[ImageSet, tuple[str, ...]]:
        """The pictures below one folder with their labels, and the names of the classes."""
        found = find_parts(folder)
        for part, paths in found.items():
            if not paths:
                raise UserError(f"{part}: no pictures in it")
        label = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([len(paths) for paths in found.values()]))
        pictures = read_pictures([path for paths in found.values() for path in paths], size, channels)
        self.unreadable += tuple(pictures.unreadable)
        classes = tuple(part.name for part in found if part != folder)
        return ImageSet(pictures.x, label[pictures.index] if classes else None), classes


def find_folder(path: str | None, data_dir: Path) -> Path:
    """Where the folder `path` is."""
    if path is None:
        raise UserError("dataset.path is missing: which folder?", hint="dataset=image_folder dataset.path=my_pictures")
    given = expanded(path)
    folder = next((there for there in (given, data_dir / given) if there.is_dir()), None)
    if folder is None:
        raise UserError(f"dataset.path={path}: no such folder")
    return folder


def split(folder: Path) -> list[Path]:
    """Its folders `train` and `test` where it has both, else itself."""
    both = [folder / "train", folder / "test"]
    return both if all(part.is_dir() for part in both) else [folder]


def find_parts(folder: Path) -> dict[Path, list[Path]]:
    """The pictures of each folder in it, a class each; where it has none, its own."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {part: find_pictures(part) for part in inside or [folder]}
