"""`dataset=mnist` and `dataset=fashion_mnist`: 28×28 grey pictures of ten classes, downloaded by torchvision."""

from pathlib import Path
from typing import Annotated
from urllib.error import URLError

from pydantic import Field

from genexp.data.idx import read_pair
from genexp.data.images import ImageData
from genexp.errors import UserError
from genexp.registry import datasets

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
Validation = Annotated[int, Field(ge=1, le=50_000)]


@datasets.register("mnist")
class MNIST(ImageData):
    """Handwritten digits: 60,000 to learn from, of which the last `validation` are held out to choose by; 10,000 to test.

    The four IDX files lie in <data_dir>/MNIST/raw; those that do not are downloaded there, and checked, by torchvision.
    Source: LeCun et al., Gradient-based learning applied to document recognition (1998).

    Args:
        data_dir: where the data sets of the user lie.
        validation: pictures held out of training.

    Raises:
        UserError: files neither there nor to be downloaded; a truncated file, or one that is something else.
    """

    def __init__(self, data_dir: Path, *, validation: Validation = 5000) -> None:
        load(self, data_dir, "MNIST", tuple("0123456789"), validation)


@datasets.register("fashion_mnist")
class FashionMNIST(ImageData):
    """Articles of clothing in the format of MNIST, in <data_dir>/FashionMNIST/raw.

    Source: Xiao, Rasul & Vollgraf, Fashion-MNIST (2017).

    Args:
        data_dir: where the data sets of the user lie.
        validation: pictures held out of training.

    Raises:
        UserError: as for `mnist`.
    """

    def __init__(self, data_dir: Path, *, validation: Validation = 5000) -> None:
        names = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
        load(self, data_dir, "FashionMNIST", names, validation)


def load(data: ImageData, data_dir: Path, name: str, classes: tuple[str, ...], validation: int) -> None:
    """Read the four files of torchvision's data set `name`, after fetching them where they are missing."""
    folder = data_dir / name / "raw"
    if not all((folder / file).exists() or (folder / f"{file}.gz").exists() for file in FILES):
        download(data_dir, name)
    train_images, train_labels, test_images, test_labels = (folder / file for file in FILES)
    train, test = read_pair(train_images, train_labels, len(classes)), read_pair(test_images, test_labels, len(classes))
    if train.x.shape[1:] != test.x.shape[1:]:
        raise UserError(
            f"{folder}: training pictures of {tuple(train.x.shape[2:])} pixels, test pictures of {tuple(test.x.shape[2:])}"
        )
    if validation >= len(train):
        raise UserError(f"dataset.validation={validation}: there are only {len(train):,} training pictures")
    data.parts(train[:-validation], train[-validation:], test, classes)


def download(data_dir: Path, name: str) -> None:
    """Let torchvision fetch a data set and check its sums."""
    from torchvision import datasets as torchvisions  # here, for importing it takes two seconds

    folder = data_dir / name / "raw"
    try:
        getattr(torchvisions, name)(data_dir, download=True)
    except (URLError, RuntimeError, OSError) as failure:
        why = str(failure).strip().splitlines()[0].rstrip(":")
        raise UserError(
            f"{name} is not in {folder}, and could not be downloaded ({why})",
            hint=f"put {', '.join(FILES)} there (.gz will do), or take the embedded digits: dataset=glyphs",
        ) from None
