"""What every data set of pictures is: bytes on the device, in three parts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.augment import Augmentation, AugmentedStream
from genexp.data.base import Batch, DataSpec, EpochStream, unit_interval
from genexp.data.binarise import SAID, Binarise, BinarisedStream, bits_of, check_grey, kind_of
from genexp.errors import UserError

MOST_SECONDS = 120  # that drawing by formula may take, whenever a run begins or is opened again


@dataclass(frozen=True)
class ImageSet:
    """Pictures (n, channels, height, width) as bytes and, where there are classes, labels (n,).

    `greys`: of zeros and ones (bytes 0 and 255) the pictures that they were drawn by, where these are known.
    """

    x: Tensor
    label: Tensor | None = None
    greys: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: slice | Tensor) -> "ImageSet":
        return ImageSet(self.x[index], *(None if part is None else part[index] for part in (self.label, self.greys)))

    def to(self, device: torch.device) -> "ImageSet":
        return ImageSet(self.x.to(device), *(None if part is None else part.to(device) for part in (self.label, self.greys)))

    def binarised(self, seed: int) -> "ImageSet":
        """Zeros and ones drawn once by these greys, which they remember."""
        return ImageSet(bits_of(self.x, seed), self.label, self.x)

    def few(self, count: int, values: int = 250_000_000) -> "ImageSet":
        """The first `count`, or as many as have that many values (a gigabyte as floats)."""
        return self[: max(1, min(count, values // max(1, self.x[0].numel())))]

    def batch(self) -> Batch:
        """The same with grey values in [0, 1]."""
        return Batch(unit_interval(self.x), self.label)


class ImageData:
    """Base of data sets of pictures: `train` to learn from, `validation` for the best weights, `test` to report on once.

    `draw`: where they are zeros and ones, how they became that: `dynamic`, `static`. The zeros and ones of the three parts are
    the same in every run, whatever its seed, so that numbers can be compared; in training a `dynamic` set draws its own.
    """

    knows: frozenset[Known] = frozenset({"examples"})
    augmentation = Augmentation(0.0, 0.0, 0.0, 0.0)
    unreadable: tuple[str, ...] = ()  # files that were left out
    remarks: tuple[str, ...] = ()  # what else there is to say of the files
    draw: str = ""
    spec: DataSpec
    train: ImageSet
    validation: ImageSet
    test: ImageSet

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec | None:
        """The spec of the set with these settings, where it is known before any picture is read."""
        return None

    def parts(
        self,
        train: ImageSet,
        validation: ImageSet,
        test: ImageSet,
        classes: tuple[str, ...] = (),
        binarise: Binarise = "none",
    ) -> None:
        """Set the three parts, made into zeros and ones if so wanted, and what a model may know about them."""
        for name, part in (("training", train), ("validation", validation), ("test", test)):
            if not len(part):
                raise UserError(f"no pictures are left for the {name} part")
        if binarise != "none":
            check_grey(train.x.shape[1])
            train, validation, test = (part.binarised(seed) for seed, part in enumerate((train, validation, test)))
            self.knows, self.draw, self.remarks = self.knows | {"binarised"}, binarise, (*self.remarks, SAID[binarise])
        self.train, self.validation, self.test = train, validation, test
        self.spec = DataSpec(tuple(train.x.shape[1:]), classes, kind_of(binarise))

    def to(self, device: torch.device) -> Self:
        self.train, self.validation, self.test = (part.to(device) for part in (self.train, self.validation, self.test))
        return self

    def train_stream(self, batch_size: int, seed: int) -> EpochStream | AugmentedStream | BinarisedStream:
        if self.draw == "dynamic" and self.train.greys is not None:
            stream = EpochStream(self.train.greys, self.train.label, batch_size, seed)
            return BinarisedStream(stream, seed, self.train.x.device)
        stream = EpochStream(self.train.x, self.train.label, batch_size, seed)
        warps = self.augmentation
        return AugmentedStream(stream, warps, seed) if warps.rotate or warps.stretch or warps.shift else stream

    def first_look(self, size: int, seed: int) -> Batch:
        """Training pictures as a model will see them, `size` at most and each three times at most."""
        stream = self.train_stream(min(size, len(self.train)), seed)
        passes = min(3, 1 + size // len(self.train)) if isinstance(stream, AugmentedStream) else 1
        batches = [stream.next() for _ in range(passes)]
        labels = [batch.label for batch in batches if batch.label is not None]
        return Batch(torch.cat([batch.x for batch in batches])[:size], torch.cat(labels)[:size] if labels else None)

    def examples(self, size: int, seed: int) -> Batch:
        """Training pictures as they are, `size` at most."""
        return EpochStream(self.train.x, self.train.label, size, seed).next()

    def heldout(self, size: int, seed: int) -> Batch:
        """The first `size` pictures of the validation part."""
        return self.validation[:size].batch()

    def describe(self) -> str:
        channels, height, width = self.spec.shape
        kind = "binary" if self.spec.kind == "bits" else "grey" if channels == 1 else "colour"
        counts = f"{len(self.train):,} to train, {len(self.validation):,} for validation, {len(self.test):,} to test"
        classes = f", {len(self.spec.classes)} classes" if self.spec.classes else ""
        lost = f"; {len(self.unreadable)} could not be read: {', '.join(self.unreadable[:5])}" if self.unreadable else ""
        more = ", …" if len(self.unreadable) > 5 else ""
        remarks = "".join(f"; {remark}" for remark in self.remarks)
        return f"{kind} pictures of {height}×{width}{classes}: {counts}{lost}{more}{remarks}"


def check_drawable(counts: Sequence[int], size: int, nanoseconds: float) -> None:
    """UserError where drawing so many square pictures of `size` pixels a side takes too long, at `nanoseconds` a pixel."""
    seconds = sum(counts) * size**2 * nanoseconds * 1e-9
    if seconds > MOST_SECONDS:
        what = f"{sum(counts):,} pictures of {size}×{size} would take {math.ceil(seconds / 60)} minutes to draw, each time"
        raise UserError(f"{what}, and {MOST_SECONDS // 60} are allowed", hint="a smaller dataset.count or dataset.size")


def shuffled(pictures: ImageSet, seed: int) -> ImageSet:
    """In random order, so that the first few are of every class."""
    return pictures[torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))]


def hold_out(pictures: ImageSet, share: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """A random `share` of the pictures (at least one), and the others: held out, kept; both in random order."""
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    count = max(1, round(share * len(pictures)))
    return pictures[order[:count]], pictures[order[count:]]
