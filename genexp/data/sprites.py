"""`dataset=sprites`: one shape a picture, drawn by formula, of which everything that varies is known.

Every combination of five factors is a picture; a set has some of them, in an order that its seed says. Index → factors → picture:
the same index is always the same picture.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from genexp.capabilities import Known
from genexp.data.base import DataSpec
from genexp.data.binarise import Binarise, kind_of
from genexp.data.factors import Factors
from genexp.data.images import ImageData, ImageSet, check_drawable
from genexp.errors import UserError
from genexp.registry import datasets
from genexp.settings import Seed

SHAPES = ("ellipse", "heart", "triangle")
LEVELS = {"shape": len(SHAPES), "scale": 6, "turn": 12, "x": 16, "y": 16}  # 55,296 combinations
RADII = (0.12, 0.22)  # of the smallest and of the largest, in sides of the picture
ROOM = 0.5  # what x and y range over, in sides of the picture
Count = Annotated[int, Field(ge=3, le=50_000)]
_NANOSECONDS = 30  # a pixel of a finished picture, on one core
_PART = 4_096  # pictures at a time


@datasets.register("sprites")
class Sprites(ImageData):
    """An ellipse, a heart or a triangle in white on black, in 6 sizes, 12 turns and 16×16 places: grey pictures with soft edges.

    Unlike those of dSprites, whose turns go all the way round, no two combinations look alike: a turn is a number in an interval
    (of 120°, unless told otherwise), and can be what one latent says. With `span=360` it is a circle, which none can follow.
    Source of the idea: Matthey et al., dSprites (2017).

    Args:
        data_dir: not used.
        count: pictures to learn from.
        validation, test: pictures for validation, and to test.
        size: pixels a side.
        span: degrees between the first turn and the last.
        binarise: zeros and ones in place of greys, drawn by these (see `genexp.data.binarise`).
        seed: which combinations are in which part.

    Raises:
        UserError: more pictures than there are combinations.
    """

    knows: frozenset[Known] = frozenset({"examples", "factors"})

    def __init__(
        self,
        data_dir: Path,
        *,
        count: Count = 40_000,
        validation: Count = 2_000,
        test: Count = 8_000,
        size: Annotated[int, Field(ge=8, le=128)] = 32,
        span: Annotated[float, Field(gt=0, le=360)] = 120.0,
        binarise: Binarise = "none",
        seed: Seed = 0,
    ) -> None:
        factors = Factors(tuple(LEVELS), tuple(LEVELS.values()))
        if count + validation + test > factors.combinations:
            raise UserError(
                f"dataset.count={count}: with {validation:,} for validation and {test:,} to test more than the "
                f"{factors.combinations:,} pictures there are",
                hint=f"dataset.count={max(3, factors.combinations - validation - test)}",
            )
        check_drawable((count, validation, test), size, _NANOSECONDS)
        order = torch.randperm(factors.combinations, generator=torch.Generator().manual_seed(seed))
        index = order[: count + validation + test].split([count, validation, test])
        drawn = [ImageSet(draw_sprites(factors.of(part), size, span)) for part in index]
        self.parts(drawn[0], drawn[1], drawn[2], (), binarise)
        self.factors, self.test_factors = factors, factors.of(index[2])

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec((1, settings["size"], settings["size"]), (), kind_of(settings["binarise"]))


def draw_sprites(values: Tensor, size: int, span: float = 120.0) -> Tensor:
    """Pictures of factors (n, 5), bytes (n, 1, size, size): the share of each pixel that the shape covers.

    What differs by whole pixels alone is drawn once.
    """
    centre = torch.stack(
        [size * (0.5 + ROOM * ((values[:, at] + 0.5) / LEVELS[name] - 0.5)) for at, name in ((3, "x"), (4, "y"))], dim=1
    )
    centre[:, 1] = size - centre[:, 1]  # y grows upwards
    whole = centre.floor()
    different = torch.cat([values[:, :3], (4096 * (centre - whole)).round().long()], dim=1)
    kinds, which = different.unique(dim=0, return_inverse=True)
    half = int(1.2 * RADII[1] * size) + 2
    stamps = torch.cat([_stamps(part, size, half, span) for part in kinds.split(_PART)])
    pictures = torch.zeros(len(values), size + 2 * half, size + 2 * half, dtype=torch.uint8)
    window = torch.arange(2 * half + 1)
    for part in torch.arange(len(values)).split(_PART):
        columns, rows = (whole[part, axis].long()[:, None] + window for axis in (0, 1))
        pictures[part[:, None, None], rows[:, :, None], columns[:, None, :]] = stamps[which[part]]
    return pictures[:, None, half:-half, half:-half].contiguous()


def _stamps(kinds: Tensor, size: int, half: int, span: float) -> Tensor:
    """Windows (n, 2·half + 1, 2·half + 1) about the pixel of the middle: of shape, scale, turn, and where in it, (n, 5)."""
    shape, scale, turn, *within = kinds.T
    radius = (size * (RADII[0] + (RADII[1] - RADII[0]) * scale / (LEVELS["scale"] - 1))).view(-1, 1, 1)
    angle = torch.deg2rad(span * (turn / (LEVELS["turn"] - 1) - 0.5)).view(-1, 1, 1)
    right, down = (torch.arange(-half, half + 1) + 0.5 - part[:, None] / 4096 for part in within)
    right, high = right[:, None, :], -down[:, :, None]
    u, v = (angle.cos() * right + angle.sin() * high) / radius, (angle.cos() * high - angle.sin() * right) / radius
    distance = torch.empty_like(u)
    for number, outline in enumerate(OUTLINES):
        distance[shape == number] = outline(u[shape == number], v[shape == number])
    return (255 * (0.5 - distance * radius).clamp(0, 1)).round().byte()  # what is covered of a pixel that an edge goes through


def ellipse(u: Tensor, v: Tensor) -> Tensor:
    """Distance to an ellipse of half axes 1 and ½, negative inside; to first order, which is exact on the outline."""
    wide, high = u, v / 0.5
    k0, k1 = (wide.square() + high.square()).sqrt(), (wide.square() + (high / 0.5).square()).sqrt()
    return torch.where(k0 < 1e-3, -0.5, k0 * (k0 - 1) / k1.clamp(min=1e-6))


def heart(u: Tensor, v: Tensor) -> Tensor:
    """Signed distance to a heart. Source: Quilez, 2D distance functions."""
    x, y = u.abs() * 0.6, v * 0.6 + 0.5  # of 1.2 by about 1.1
    lobe = ((x - 0.25).square() + (y - 0.75).square()).sqrt() - 2**0.5 / 4
    along = 0.5 * (x + y).clamp(min=0)
    below = torch.minimum(x.square() + (y - 1).square(), (x - along).square() + (y - along).square()).sqrt() * (x - y).sign()
    return torch.where(x + y > 1, lobe, below) / 0.6


def triangle(u: Tensor, v: Tensor) -> Tensor:
    """Signed distance to the sides of an isosceles triangle of height 1.8 on a base of 1.5 (outside, to their lines)."""
    base, half, top = -0.8, 0.75, 1.0
    length = (half**2 + (top - base) ** 2) ** 0.5
    side = (u.abs() * (top - base) + (v - top) * half) / length
    return torch.maximum(side, base - v)


OUTLINES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (ellipse, heart, triangle)
