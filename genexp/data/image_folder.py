"""`dataset=image_folder dataset.path=…`: your own pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field

from genexp.data.binarise import Binarise
from genexp.data.images import ImageData, ImageSet, hold_out, shuffled
from genexp.data.layout import Part, find_layout
from genexp.data.own_files import OwnFiles
from genexp.data.pictures import read_pictures
from genexp.errors import UserError
from genexp.paths import expanded, not_there
from genexp.registry import datasets

Share = Annotated[float, Field(gt=0, lt=1)]


@datasets.register("image_folder")
class ImageFolder(ImageData):
    """The pictures of a folder: one folder for each class, or all in one. Of any size and kind; each becomes a square.

    With a folder `train` inside, and `val` or `test`, these are the parts (see `layout`). A part that has no folder is a random
    share of the training pictures.

    Args:
        data_dir: where `path` is looked for when it is not found from the working directory.
        path: of the folder.
        size: pixels a side.
        channels: 1 for grey, 3 for colour.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).
        validation_share, test_share: shares held out for validation and to test.

    Raises:
        UserError: no such folder; no picture in it, or none that can be read; an empty class folder; folders that may be parts,
            or classes, or neither.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        path: str | None = None,
        size: Annotated[int, Field(ge=8, le=512)] = 32,
        channels: Literal[1, 3] = 3,
        binarise: Binarise = "none",
        validation_share: Share = 0.1,
        test_share: Share = 0.1,
    ) -> None:
        folder = find_folder(path, data_dir)
        layout = find_layout(folder)
        self.remarks = layout.remarks()
        train, *others = (self.read(part, size, channels) for part in (layout.train, layout.validation, layout.test))
        validation, test = (None if part is None else shuffled(part, seed=0) for part in others)
        for part in (layout.validation, layout.test):
            if part is not None and part.classes != layout.train.classes:
                ours, theirs = (f"{one.folder.name} ({', '.join(one.classes)})" for one in (layout.train, part))
                raise UserError(f"{folder}: the classes of {ours} and {theirs} differ")
        assert train is not None
        if test is None:
            test, train = hold_out(train, test_share, seed=0)
        if validation is None:
            validation, train = hold_out(train, validation_share, seed=1)
        if layout.test is not None and layout.validation is not None:  # else they were shuffled as others were held out
            train = shuffled(train, seed=0)
        self.parts(train, validation, test, layout.train.classes, binarise)

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles:
        folder = find_folder(settings.get("path"), data_dir)
        return OwnFiles([path for paths in find_layout(folder).by_folder().values() for path in paths], folder)

    def read(self, part: Part | None, size: int, channels: int) -> ImageSet | None:
        """The pictures of one part with their labels."""
        if part is None:
            return None
        for folder, paths in part.pictures.items():
            if not paths:
                raise UserError(f"{folder}: no pictures in it")
        counts = torch.tensor([len(paths) for paths in part.pictures.values()])
        label = torch.repeat_interleave(torch.arange(len(counts)), counts)
        pictures = read_pictures([path for paths in part.pictures.values() for path in paths], size, channels)
        self.unreadable += tuple(pictures.unreadable)
        return ImageSet(pictures.x, label[pictures.index] if part.classes else None)


def find_folder(path: str | None, data_dir: Path) -> Path:
    """Where the folder `path` is."""
    if path is None:
        raise UserError("dataset.path is missing: which folder?", hint="dataset=image_folder dataset.path=my_pictures")
    given = expanded(path)
    places = (given, data_dir / given)
    folder = next((there for there in places if there.is_dir()), None)
    if folder is None:
        found = next((there for there in places if there.exists()), given)
        raise UserError(f"dataset.path={path}: {not_there(found, 'folder')}")
    return folder
