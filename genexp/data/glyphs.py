"""`dataset=glyphs`: digits drawn on the fly with Pillow's own font, for machines without network and for tests."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from genexp.data.base import DataSpec
from genexp.data.binarise import Binarise, kind_of
from genexp.data.images import ImageData, ImageSet, check_drawable
from genexp.registry import datasets
from genexp.settings import Seed

_SUPERSAMPLING = 4
_DIGITS = "0123456789"
Count = Annotated[int, Field(ge=10, le=200_000)]
_NANOSECONDS = 200  # a pixel of a finished picture, on one core


@datasets.register("glyphs")
class Glyphs(ImageData):
    """Ten digits of one typeface, each turned, sheared, scaled and moved at random, in strokes of random width.

    Args:
        data_dir: not used.
        count: pictures to learn from.
        validation, test: pictures for validation, and to test.
        size: pixels a side.
        variation: how much they vary; 0 draws every digit the same, 1 about as much as handwriting.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).
        seed: other glyphs, alike.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        count: Count = 20_000,
        validation: Count = 1_000,
        test: Count = 2_000,
        size: Annotated[int, Field(ge=8, le=128)] = 28,
        variation: Annotated[float, Field(ge=0, le=2)] = 1.0,
        binarise: Binarise = "none",
        seed: Seed = 0,
    ) -> None:
        check_drawable((count, validation, test), size, _NANOSECONDS)
        draw = [draw_glyphs(n, size, variation, (seed, part)) for part, n in enumerate((count, validation, test))]
        self.parts(draw[0], draw[1], draw[2], tuple(_DIGITS), binarise)

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec((1, settings["size"], settings["size"]), tuple(_DIGITS), kind_of(settings["binarise"]))


def draw_glyphs(n: int, size: int, variation: float, seed: tuple[int, ...]) -> ImageSet:
    """n glyphs, the classes in turn; the same for the same seed."""
    random = np.random.default_rng(seed)
    side = size * _SUPERSAMPLING
    labels = np.arange(n) % len(_DIGITS)
    strokes = random.integers(0, 1 + round(variation * side / 32), n)
    warps = _warps(n, side, variation, random)
    stamps: dict[tuple[int, int], Image.Image] = {}
    pictures = np.empty((n, 1, size, size), np.uint8)
    for index, (label, stroke) in enumerate(zip(labels.tolist(), strokes.tolist(), strict=True)):
        if (label, stroke) not in stamps:
            stamps[label, stroke] = _stamp(_DIGITS[label], side, stroke)
        warped = stamps[label, stroke].transform((side, side), Image.Transform.AFFINE, warps[index], Image.Resampling.BILINEAR)
        pictures[index, 0] = np.asarray(warped.reduce(_SUPERSAMPLING))
    return ImageSet(torch.from_numpy(pictures), torch.from_numpy(labels))


def _stamp(digit: str, side: int, stroke: int) -> Image.Image:
    """One digit, white on black, in the middle of a square of `side` pixels."""
    stamp = Image.new("L", (side, side))
    font = ImageFont.load_default(0.75 * side)
    ImageDraw.Draw(stamp).text(
        (side / 2, side / 2), digit, fill=255, font=font, anchor="mm", stroke_width=stroke, stroke_fill=255
    )
    return stamp


def _warps(n: int, side: int, variation: float, random: np.random.Generator) -> list[tuple[float, ...]]:
    """n affine maps from a pixel of the picture to one of the stamp, about the centre, as Pillow takes them."""
    angle, shear = variation * random.normal(0, [math.radians(10), 0.2], (n, 2)).T
    stretch = np.exp(variation * random.normal(0, 0.12, (n, 2)))
    shift = variation * random.normal(0, 0.03 * side, (n, 2)).clip(-0.06 * side, 0.06 * side)
    rotation = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(n, 2, 2)
    matrix = rotation @ np.stack([np.ones(n), shear, np.zeros(n), np.ones(n)], axis=1).reshape(n, 2, 2) * stretch[:, None, :]
    centre = np.full(2, side / 2)
    offset = centre + shift - (matrix @ centre)
    return [tuple(row) for row in np.concatenate([matrix, offset[:, :, None]], axis=2).reshape(n, 6).tolist()]
