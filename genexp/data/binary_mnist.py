"""`dataset=binary_mnist`: MNIST's zeros and ones as Larochelle drew them once, of which many published numbers are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genexp.data.base import DataSpec
from genexp.data.images import ImageData, ImageSet
from genexp.errors import UserError
from genexp.registry import datasets

SHAPE = (1, 28, 28)
PIXELS = 28 * 28
WHERE = "https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist"
_LARGEST = 2**28  # bytes of a file; the largest of the three has 78 million


@datasets.register("binary_mnist")
class BinaryMNIST(ImageData):
    """50,000 pictures of zeros and ones to learn from, 10,000 for validation, 10,000 to test; without classes.

    Read from <data_dir>/binary_mnist/binarized_mnist_{train,valid,test}.amat: 784 times 0 or 1 in each line. They are not
    downloaded. What `dataset.binarise=static` draws of MNIST are other zeros and ones of the same digits.
    Source: Larochelle & Murray, The Neural Autoregressive Distribution Estimator (2011), after Salakhutdinov & Murray (2008).

    Args:
        data_dir: where the data sets of the user lie.

    Raises:
        UserError: files that are not there, or not such.
    """

    def __init__(self, data_dir: Path) -> None:
        folder = data_dir / "binary_mnist"
        train, validation, test = (read_amat(folder / f"binarized_mnist_{part}.amat") for part in ("train", "valid", "test"))
        self.parts(train, validation, test)
        self.knows, self.draw = self.knows | {"binarised"}, "larochelle"
        self.spec = self.known_spec({})

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec(SHAPE, (), "bits")


def read_amat(path: Path) -> ImageSet:
    """Lines of 784 digits 0 or 1 with blanks between them, as bytes 0 and 255."""
    if not path.is_file():
        raise UserError(f"{path}: no such file", hint=f"put the three files from {WHERE} there")
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path}: {path.stat().st_size:,} bytes are more than such a file has")
    text = np.frombuffer(path.read_bytes(), np.uint8)
    digits = text[~np.isin(text, np.frombuffer(b" \t\r\n", np.uint8))] - ord("0")
    if not len(digits) or len(digits) % PIXELS or digits.max() > 1:
        raise UserError(f"{path}: not lines of {PIXELS} zeros and ones")
    return ImageSet(torch.from_numpy(255 * digits).view(-1, *SHAPE))
