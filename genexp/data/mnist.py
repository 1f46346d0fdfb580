"""`dataset=mnist` and `dataset=fashion_mnist`: 28×28 grey pictures of ten classes, downloaded where they are missing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from genexp.data.base import DataSpec
from genexp.data.binarise import Binarise, kind_of
from genexp.data.idx import read_pair
from genexp.data.images import ImageData
from genexp.errors import UserError
from genexp.fetch import how_to_fetch
from genexp.fetch.fetch import fetch
from genexp.fetch.sets import FetchableSet, find_set
from genexp.registry import datasets

SHAPE = (1, 28, 28)
DIGITS = tuple("0123456789")
CLOTHES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
Validation = Annotated[int, Field(ge=1, le=50_000)]


@datasets.register("mnist")
class MNIST(ImageData):
    """Handwritten digits: 60,000 to learn from, of which the last `validation` are held out for validation; 10,000 to test.

    The four IDX files lie in <data_dir>/MNIST/raw, plain or as .gz; those that do not are downloaded there, and checked.
    Source: LeCun et al., Gradient-based learning applied to document recognition (1998).

    Args:
        data_dir: where the data sets of the user lie.
        validation: pictures held out of training.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).

    Raises:
        UserError: files neither there nor to be downloaded; a truncated file, or one that is something else.
    """

    def __init__(self, data_dir: Path, *, validation: Validation = 5000, binarise: Binarise = "none") -> None:
        load(self, data_dir, find_set("mnist"), DIGITS, validation, binarise)

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec(SHAPE, DIGITS, kind_of(settings["binarise"]))


@datasets.register("fashion_mnist")
class FashionMNIST(ImageData):
    """Articles of clothing in the format of MNIST, in <data_dir>/FashionMNIST/raw.

    Source: Xiao, Rasul & Vollgraf, Fashion-MNIST (2017).

    Args:
        data_dir: where the data sets of the user lie.
        validation: pictures held out of training.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).

    Raises:
        UserError: as for `mnist`.
    """

    def __init__(self, data_dir: Path, *, validation: Validation = 5000, binarise: Binarise = "none") -> None:
        load(self, data_dir, find_set("fashion_mnist"), CLOTHES, validation, binarise)

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec(SHAPE, CLOTHES, kind_of(settings["binarise"]))


def load(
    data: ImageData, data_dir: Path, files: FetchableSet, classes: tuple[str, ...], validation: int, binarise: Binarise
) -> None:
    """Read the four files of a set, after fetching those that are missing."""
    if not all(item.lying(data_dir) for item in files.items):
        download(files, data_dir)
    train_images, train_labels, test_images, test_labels = (data_dir / item.forms[0].path for item in files.items)
    train, test = read_pair(train_images, train_labels, len(classes)), read_pair(test_images, test_labels, len(classes))
    if train.x.shape[1:] != test.x.shape[1:]:
        raise UserError(
            f"{train_images.parent}: training pictures of {tuple(train.x.shape[2:])} pixels, "
            f"test pictures of {tuple(test.x.shape[2:])}"
        )
    if validation >= len(train):
        raise UserError(f"dataset.validation={validation}: there are only {len(train):,} training pictures")
    data.parts(train[:-validation], train[-validation:], test, classes, binarise)


def download(files: FetchableSet, data_dir: Path) -> None:
    """Fetch what is missing; where that cannot be, say what to put where."""
    try:
        fetch(files, data_dir, replace=False)
    except UserError as failure:
        names = ", ".join(Path(item.forms[0].path).name for item in files.items)
        raise UserError(
            f"{files.name} is not in {data_dir / files.folder}: {failure.message}",
            hint=f"{how_to_fetch(files.name, data_dir)}; or put {names} there (.gz will do); "
            "or take the embedded digits: dataset=glyphs",
        ) from None
