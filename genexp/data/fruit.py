"""`dataset=fruit`: photographs of apples, bananas and kiwis on a turntable (Fruits-360, as the seminar's article used them)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from genexp.data.augment import Augmentation
from genexp.data.base import DataSpec
from genexp.data.images import ImageData, ImageSet, hold_out, shuffled
from genexp.data.pictures import find_pictures, read_pictures
from genexp.errors import UserError
from genexp.fetch import how_to_fetch
from genexp.registry import datasets

CLASSES = ("apples", "bananas", "kiwis")
BLOCK, GUARD = 10, 6  # frames held out together; and nearest frames dropped with each of them: three on either side
TEST_BLOCKS, VALIDATION_BLOCKS = 6, 3  # in each class


@datasets.register("fruit")
class Fruit(ImageData):
    """1,448 photographs, read from <data_dir>/fruit/{train,test}/{apples,bananas,kiwis}.

    On a turntable every frame has near-identical neighbours, so frames held out one by one measure nothing. The file numbers
    do not tell the neighbours: they are in no order (frames n and n+1 differ as much as any two). So a block is found by
    looking: a frame and the nine most like it are held out together, and the six most like each of these are dropped.

    Args:
        data_dir: where the data sets of the user lie.
        size: pixels a side; resized once, and remembered in <data_dir>/fruit/.resized where that can be written.
        split: `blocks`, six of them in each class to test and three for validation. `numbers`: the same by file number, which is
            hardly more than holding frames out one by one. `seminar`: the article's 1,418 and 30, every one of which has a
            near-identical neighbour among the 1,418; a twentieth of these is held out for validation.
        rotate, stretch, shift, augmented: the share `augmented` of the training pictures is warped each time it is seen, by a
            random turn (standard deviation in degrees), stretch (share of the size) and shift (share of the width).

    Raises:
        UserError: pictures that are not there, or none that can be read.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        size: Annotated[int, Field(ge=8, le=256)] = 96,
        split: Literal["blocks", "numbers", "seminar"] = "blocks",
        rotate: Annotated[float, Field(ge=0, le=360)] = 0.0,
        stretch: Annotated[float, Field(ge=0, le=1)] = 0.0,
        shift: Annotated[float, Field(ge=0, le=1)] = 0.0,
        augmented: Annotated[float, Field(ge=0, le=1)] = 0.7,
    ) -> None:
        self.augmentation = Augmentation(rotate, stretch, shift, augmented)
        root = data_dir / "fruit"
        self.numbers: list[int] = []
        train, test = (self.read(root / part, size, root / ".resized") for part in ("train", "test"))
        if split == "seminar":
            validation, train = hold_out(train, 0.05, seed=0)
            test = shuffled(test, seed=0)
        else:
            numbers = torch.tensor(self.numbers) if split == "numbers" else None
            train, validation, test = hold_out_blocks(join(train, test), numbers)
        self.parts(train, validation, test, CLASSES)

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec((3, settings["size"], settings["size"]), CLASSES, "unit")

    def read(self, folder: Path, size: int, cache: Path) -> ImageSet:
        """The pictures of one folder with their labels."""
        paths: list[Path] = []
        counts: list[int] = []
        for name in CLASSES:
            part = folder / name
            found = find_pictures(part) if part.is_dir() else []
            if not found:
                raise UserError(
                    f"{part}: no pictures there",
                    hint=f"{how_to_fetch('fruit', folder.parent.parent)}; or take embedded ones: dataset=drawn_fruit",
                )
            paths, counts = paths + found, [*counts, len(found)]
        pictures = read_pictures(paths, size, 3, cache)
        self.unreadable += tuple(pictures.unreadable)
        self.numbers += [int("".join(filter(str.isdigit, paths[at].stem)) or 0) for at in pictures.index]
        return ImageSet(pictures.x, torch.repeat_interleave(torch.arange(len(CLASSES)), torch.tensor(counts))[pictures.index])


def join(one: ImageSet, other: ImageSet) -> ImageSet:
    assert one.label is not None
    assert other.label is not None
    return ImageSet(torch.cat([one.x, other.x]), torch.cat([one.label, other.label]))


def hold_out_blocks(pictures: ImageSet, numbers: Tensor | None = None) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Train, validation and test: blocks of like frames (or of near `numbers`) held out in every class, their guards dropped."""
    assert pictures.label is not None
    if numbers is None:
        x = F.avg_pool2d(pictures.x.float(), max(1, pictures.x.shape[-1] // 24)).flatten(1)
    else:
        x = numbers.float()[:, None]
    train, validation, test = [], [], []
    for label in range(len(CLASSES)):
        mine = (pictures.label == label).nonzero()[:, 0]
        if len(mine) < 2 * (TEST_BLOCKS + VALIDATION_BLOCKS):
            raise UserError(
                f"dataset=fruit: {len(mine)} pictures of {CLASSES[label]} are too few for blocks", hint="dataset.split=seminar"
            )
        blocks, rest = find_blocks(x[mine], TEST_BLOCKS + VALIDATION_BLOCKS)
        test += [mine[block] for block in blocks[:TEST_BLOCKS]]
        validation += [mine[block] for block in blocks[TEST_BLOCKS:]]
        train.append(mine[rest])
    parts = [shuffled(pictures[torch.cat(part).sort().values], seed=0) for part in (train, validation, test)]
    return parts[0], parts[1], parts[2]


def find_blocks(x: Tensor, count: int) -> tuple[list[Tensor], Tensor]:
    """`count` blocks of like rows of x (n, d), and the rows that are neither in a block nor in a guard.

    Each block is a random row and the BLOCK − 1 free rows nearest to it; the GUARD rows nearest to each of these are dropped.
    (Smaller ones where there are few rows.)
    """
    distances = torch.cdist(x, x)
    generator = torch.Generator().manual_seed(0)
    share = min(1.0, len(x) / (3 * count * (BLOCK + GUARD)))  # so that a third of the rows is lost at most
    block_size, guard_size = max(1, int(share * BLOCK)), int(share * GUARD)
    free = torch.ones(len(x), dtype=torch.bool)
    blocks: list[Tensor] = []
    for _ in range(count):
        candidates = free.nonzero()[:, 0]
        anchor = candidates[torch.randint(len(candidates), (), generator=generator)]
        block = candidates[distances[anchor, candidates].argsort()[:block_size]]
        free[distances[block].argsort(dim=1)[:, : guard_size + 1]] = False  # the nearest of all is the row itself
        free[block] = False
        blocks.append(block)
    return blocks, free.nonzero()[:, 0]
