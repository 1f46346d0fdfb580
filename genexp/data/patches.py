"""`dataset=patches`: 8×8 patches of scikit-learn's two sample photographs, as the MAF paper prepares BSDS300."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genexp.data.points import PointData, PointSet, Values
from genexp.registry import datasets
from genexp.settings import Seed

SIDE = 8  # pixels of a patch
STRIP = 64  # pixels from the left edge of a strip to that of the next
GAP = 8  # pixels between two strips that are in no patch
GREY = (0.299, 0.587, 0.114)  # of red, green, blue (ITU-R BT.601)
MOST = 20_000  # patches of the validation part and of the test part


class CentredPatches(Values):
    """x_i = y_i − mean(y), y = (k + u)/256 with u ~ U[0, 1), of all pixels but the last, which the others tell."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        y = (x + torch.rand(x.shape, generator=generator, device=x.device)) / 256
        return (y - y.mean(1, keepdim=True))[:, :-1]


@datasets.register("patches")
class Patches(PointData):
    """Grey patches with uniform dequantisation, their mean subtracted and the last pixel dropped: 63 numbers each.

    The two photographs (china.jpg, flower.jpg, 427×640 each) are cut into ten upright strips each, eight pixels apart; every
    patch lies inside one strip. Of each photograph seven strips are for training, one to choose by and two to test, so that no
    test patch shares a pixel with a training patch or touches one. Patches overlap within a strip. Training patches get new
    noise in each batch.
    Source: Papamakarios et al., Masked Autoregressive Flow (2017), of BSDS300; its photographs are others.

    Args:
        data_dir: not used.
        seed: chooses the strips, and the patches of the validation and the test part.
    """

    what = "patches"

    def __init__(self, data_dir: Path, *, seed: Seed = 0) -> None:
        random = np.random.default_rng(seed)
        found: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
        from sklearn.datasets import load_sample_images  # it takes a second

        for photograph in load_sample_images().images:
            grey = np.rint(photograph @ np.array(GREY)).astype(np.uint8)
            strips = [patches_of(grey[:, left : left + STRIP - GAP]) for left in range(0, grey.shape[1] - STRIP + GAP, STRIP)]
            chosen, *tested = random.permutation(len(strips))[:3]
            for index, strip in enumerate(strips):
                found["validation" if index == chosen else "test" if index in tested else "train"].append(strip)
        train, validation, test = (torch.from_numpy(np.concatenate(part)) for part in found.values())
        generator = torch.Generator().manual_seed(seed)
        validation, test = (part[torch.randperm(len(part), generator=generator)[:MOST]] for part in (validation, test))
        train, validation, test = (part.float() for part in (train, validation, test))
        self.parts(PointSet(train), PointSet(validation), PointSet(test), values=CentredPatches())


def patches_of(grey: np.ndarray) -> np.ndarray:
    """Every patch of a picture (height, width): (n, 64), bytes."""
    windows = np.lib.stride_tricks.sliding_window_view(grey, (SIDE, SIDE))
    return windows.reshape(-1, SIDE * SIDE)
