"""`dataset=digits`: scikit-learn's 1,797 handwritten digits of 8×8 pixels, in the package, as pictures or as points."""

from dataclasses import replace
from pathlib import Path

import torch

from genexp.capabilities import Known
from genexp.data.binarise import Binarise
from genexp.data.images import ImageData, ImageSet
from genexp.data.points import Dequantised, PointData, PointSet, split
from genexp.errors import UserError
from genexp.registry import datasets
from genexp.settings import Seed

LEVELS = 17  # of grey: 0 to 16
VALIDATION, TEST = 0.1, 0.2  # shares
DIGITS = tuple("0123456789")


class DigitPictures(ImageData):
    """Pictures (1, 8, 8) of the parts: grey 0 … 16 as bytes 0 … 255."""

    def __init__(self, *parts: PointSet, binarise: Binarise) -> None:
        train, validation, test = (ImageSet((part.x * 255 / 16).round().byte().view(-1, 1, 8, 8), part.label) for part in parts)
        self.parts(train, validation, test, DIGITS, binarise)
        if binarise == "none":
            self.spec = replace(self.spec, levels=LEVELS)


class DigitPoints(PointData):
    """Points (64,) of the parts: (k + u)/17 of grey k."""

    what = "8×8 digits"
    knows: frozenset[Known] = frozenset({"examples", "levels"})

    def __init__(self, *parts: PointSet) -> None:
        train, validation, test = parts
        self.parts(train, validation, test, DIGITS, "unit", Dequantised(LEVELS))


@datasets.register("digits")
def digits(data_dir: Path, *, flat: bool = False, binarise: Binarise = "none", seed: Seed = 0) -> DigitPictures | DigitPoints:
    """1,258 digits to learn from, 180 for validation, 359 to test.

    As pictures their grey k = 0 … 16 is k/16, as of any other pictures. As points, x = (k + u)/17 with u ~ U[0, 1), drawn anew
    for each training batch, so that a density of x says what the pictures are worth in bits (`bits_per_dim`).
    Source: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits (1998); the copy in scikit-learn.

    Args:
        data_dir: not used.
        flat: whether they are points of 64 numbers, for flows, in place of pictures.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).
        seed: of the split.

    Raises:
        UserError: `binarise` of points.
    """
    from sklearn.datasets import load_digits  # it takes a second

    if flat and binarise != "none":
        raise UserError(f"dataset.binarise={binarise} makes zeros and ones of pictures", hint="dataset.flat=false")
    found = load_digits()
    points = PointSet(torch.from_numpy(found.data).float(), torch.from_numpy(found.target).long())
    parts = split(points, VALIDATION, TEST, seed)
    return DigitPoints(*parts) if flat else DigitPictures(*parts, binarise=binarise)
