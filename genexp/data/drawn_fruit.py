"""`dataset=drawn_fruit`: apples, bananas and kiwis drawn by formula, for machines without the photographs and for tests.

Every fruit is a height over the picture plane; its normals are lit by one lamp (Phong 1975), its skin is painted by noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from genexp.data.base import DataSpec
from genexp.data.fruit import CLASSES
from genexp.data.images import ImageData, ImageSet, check_drawable
from genexp.registry import datasets
from genexp.settings import Seed

_SUPERSAMPLING = 2
Count = Annotated[int, Field(ge=3, le=10_000)]
_NANOSECONDS = 900  # a pixel of a finished picture, on one core
Array = np.ndarray


@datasets.register("drawn_fruit")
class DrawnFruit(ImageData):
    """Fruit on white paper; shape, pose, colour, light and skin of each vary, and no two are neighbours.

    Args:
        data_dir: not used.
        count: pictures to learn from.
        validation, test: pictures for validation, and to test.
        size: pixels a side.
        seed: other fruit, alike.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        count: Count = 1500,
        validation: Count = 120,
        test: Count = 180,
        size: Annotated[int, Field(ge=16, le=256)] = 96,
        seed: Seed = 0,
    ) -> None:
        check_drawable((count, validation, test), size, _NANOSECONDS)
        draw = [draw_fruit(n, size, (seed, part)) for part, n in enumerate((count, validation, test))]
        self.parts(draw[0], draw[1], draw[2], CLASSES)

    @classmethod
    def known_spec(cls, settings: Mapping[str, Any]) -> DataSpec:
        return DataSpec((3, settings["size"], settings["size"]), CLASSES, "unit")


@dataclass(frozen=True)
class Fruit:
    """One fruit over the plane: height (side, side), 0 outside; skin (side, side, 3) in [0, 1]; how it shines."""

    height: Array
    skin: Array
    gloss: float


def _rgb(red: float, green: float, blue: float) -> Array:
    return np.array([red, green, blue], np.float32)


def draw_fruit(n: int, size: int, seed: tuple[int, ...]) -> ImageSet:
    """n pictures (n, 3, size, size), the classes in turn; the same for the same seed."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    side = size * _SUPERSAMPLING
    across = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    x, y = np.meshgrid(across, -across)
    white = [random.normal(size=(2 * side, 2 * side)).astype(np.float32) for _ in range(3)]
    grain = [gaussian_filter(layer, width, mode="wrap") for layer, width in zip(white, (1.0, side / 40, side / 10), strict=True)]
    grain = [layer / layer.std() for layer in grain]
    pictures = np.empty((n, 3, size, size), np.uint8)
    labels = np.arange(n) % 3
    for index, label in enumerate(labels):
        top, left = random.integers(0, side, 2)
        noise = [layer[top : top + side, left : left + side] for layer in grain]
        angle = np.float32(random.uniform(0, 2 * np.pi) if label != 0 else random.normal(0, 0.35))
        turned = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
        fruit = (_apple, _banana, _kiwi)[label](*turned, noise, random)
        picture = _lit(fruit, random)
        corners = [picture[i::_SUPERSAMPLING, j::_SUPERSAMPLING] for i in range(_SUPERSAMPLING) for j in range(_SUPERSAMPLING)]
        pictures[index] = np.mean(corners, axis=0).transpose(2, 0, 1)
    return ImageSet(torch.from_numpy(pictures), torch.from_numpy(labels))


def _apple(x: Array, y: Array, noise: list[Array], random: np.random.Generator) -> Fruit:
    """A ball with a hollow at the stalk, red over yellow in streaks."""
    wide, high, hollow = random.uniform(0.66, 0.82), random.uniform(0.6, 0.74), random.uniform(0.15, 0.4)
    u, v = x / wide, y / high
    radius = np.hypot(u, v) * (1 + 0.10 * np.exp(-((u / 0.35) ** 2)) * (v > 0) + 0.05 * np.exp(-((u / 0.3) ** 2)) * (v < 0))
    height = np.sqrt(np.clip(1 - radius**2, 0, None)) * 0.7
    dent = np.exp(-(u**2 + ((v - 0.62) / 0.7) ** 2) / 0.045)
    height = np.where(radius < 1, np.clip(height - hollow * dent * height, 0.02, None), 0)
    ripe, blush = random.uniform(-0.6, 1.0), random.uniform(-1.5, 1.5)
    red = 1 / (1 + np.exp(-(1.2 * ripe + 1.5 * np.sin(2.2 * u + blush) + 0.6 * noise[2] + 0.5 * noise[1])))
    ochre, crimson = _rgb(0.86, 0.66, 0.27), _rgb(0.62, 0.08, 0.10)
    skin = ochre + (crimson - ochre) * red[..., None]
    skin = skin + 0.03 * noise[1][..., None]
    stalk = (np.abs(u + 0.25 * (v - 0.7)) < 0.028) & (v > 0.55) & (v < 0.98 + 0.12 * np.sin(blush))
    skin = np.where(stalk[..., None], _rgb(0.33, 0.2, 0.1), skin * (1 - 0.45 * dent[..., None]))
    return Fruit(np.where(stalk, np.maximum(height, 0.3), height), skin, random.uniform(0.25, 0.5))


def _banana(x: Array, y: Array, noise: list[Array], random: np.random.Generator) -> Fruit:
    """A bent tube, thinner at its ends, which are dark."""
    bend, half, thick = random.uniform(0.55, 1.0), random.uniform(0.62, 0.95), random.uniform(0.16, 0.24)
    arc = 0.95 / bend  # radius of the middle line, so that all have about one length
    centre = arc * np.cos(half * bend) * 0.5 + arc * 0.5
    angle, distance = np.arctan2(x, y + centre), np.hypot(x, y + centre)
    along = angle / (half * bend)  # −1 … 1 from tip to stalk
    width = thick * np.clip(1 - np.abs(along) ** 4, 0.0, 1) ** 0.6
    stalk = (along > 0.9) & (along < 1.16)
    width = np.where(stalk, np.maximum(width, 0.045), width)
    across = (distance - arc) / np.maximum(width, 1e-3)
    inside = (np.abs(across) < 1) & (np.abs(along) < 1.16) & (width > 0.02)
    ridge = 1 - 0.06 * np.abs(np.sin(2.5 * across))
    height = np.where(inside, np.sqrt(np.clip(1 - across**2, 0, None)) * width * ridge * 1.3, 0)
    ripe = random.uniform(0, 1)
    skin = _rgb(0.93, 0.76, 0.16) * (1 - ripe) + _rgb(0.84, 0.68, 0.12) * ripe + 0.02 * noise[1][..., None]
    spots = np.clip((noise[1] + 0.6 * noise[0]) - random.uniform(1.7, 2.8), 0, 0.7)[..., None]
    ends = np.clip((np.abs(along) - random.uniform(0.85, 0.93)) / 0.1, 0, 1)[..., None]
    brown, green = _rgb(0.28, 0.18, 0.08), _rgb(0.55, 0.6, 0.15)
    skin = skin + (brown - skin) * spots
    skin = skin + ((green if random.uniform() < 0.4 else brown) - skin) * 0.8 * ends
    return Fruit(height, skin, random.uniform(0.05, 0.2))


def _kiwi(x: Array, y: Array, noise: list[Array], random: np.random.Generator) -> Fruit:
    """An egg with brown fur, and a nub at one end that may be seen."""
    long, short = random.uniform(0.68, 0.82), random.uniform(0.55, 0.66)
    u, v = x / long, y / short * (1 + 0.08 * x)
    radius = np.hypot(u, v)
    height = np.where(radius < 1 + 0.004 * noise[0], np.sqrt(np.clip(1 - radius**2, 0.0004, None)) * 0.6, 0)
    pale, dark = _rgb(0.63, 0.50, 0.31), _rgb(0.40, 0.29, 0.15)
    mix = np.clip(0.45 + random.normal(0, 0.12) + 0.10 * noise[0] + 0.10 * noise[1] + 0.08 * noise[2], 0, 1)[..., None]
    skin = pale + (dark - pale) * mix
    place = random.uniform(0.5, 1.1)
    nub = np.exp(-(((u - place) / 0.09) ** 2 + (v / 0.12) ** 2))
    skin = skin + (_rgb(0.2, 0.13, 0.07) - skin) * np.clip(nub, 0, 1)[..., None]
    return Fruit(height * (1 - 0.1 * nub), skin, 0.03)


def _lit(fruit: Fruit, random: np.random.Generator) -> Array:
    """The fruit on white paper under a lamp: (side, side, 3) in 0 … 255."""
    from scipy.ndimage import gaussian_filter

    side = len(fruit.height)
    inside = fruit.height > 0
    lamp = np.array([random.uniform(-0.5, 0.5), random.uniform(0.1, 0.7), 1.0])
    lamp /= np.linalg.norm(lamp)
    down, right = np.gradient(gaussian_filter(fruit.height, side / 150), 2 / side)
    normal = np.stack([-right, down, np.ones_like(right)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    facing = np.clip(normal @ lamp, 0, 1)
    half = lamp + np.array([0, 0, 1])
    shine = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1) ** 30
    bright = random.uniform(0.9, 1.1) * (0.35 + 0.75 * facing)
    colour = fruit.skin * bright[..., None] + fruit.gloss * shine[..., None]
    return 255 * np.clip(np.where(inside[..., None], colour, 1.0), 0, 1)
