"""`dataset=image_folder dataset.path=…`: your own pictures."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field

from genexp.data.images import ImageData, ImageSet, hold_out, shuffled
from genexp.data.pictures import digest_of, find_pictures, read_pictures
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
        if path is None:
            raise UserError("dataset.path is missing: which folder?", hint="dataset=image_folder dataset.path=my_pictures")
        given = expanded(path)
        folder = next((there for there in (given, data_dir / given) if there.is_dir()), None)
        if folder is None:
            raise UserError(f"dataset.path={path}: no such folder")
        self.files: list[Path] = []
        split = (folder / "train").is_dir() and (folder / "test").is_dir()
        train, classes = self.read(folder / "train" if split else folder, size, channels)
        if split:
            test, others = self.read(folder / "test", size, channels)
            test = shuffled(test, seed=0)
            if others != classes:
                raise UserError(f"{folder}: the classes of train ({', '.join(classes)}) and test ({', '.join(others)}) differ")
        else:
            test, train = hold_out(train, test_share, seed=0)
        validation, train = hold_out(train, validation_share, seed=1)
        self.own_files = digest_of(self.files, below=folder)
        self.parts(train, validation, test, classes)

    def read(self, folder: Path, size: int, channels: int) -> tuple[ImageSet, tuple[str, ...]]:
        """The pictures below one folder with their labels, and the names of the classes."""
        inside = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        found = [find_pictures(part) for part in inside or [folder]]
        for part, paths in zip(inside or [folder], found, strict=True):
            if not paths:
                raise UserError(f"{part}: no pictures in it")
        paths = [path for part in found for path in part]
        label = torch.repeat_interleave(torch.arange(len(found)), torch.tensor([len(part) for part in found]))
        pictures = read_pictures(paths, size, channels)
        self.files += paths
        self.unreadable += tuple(pictures.unreadable)
        classes = tuple(path.name for path in inside)
        return ImageSet(pictures.x, label[pictures.index] if classes else None), classes
