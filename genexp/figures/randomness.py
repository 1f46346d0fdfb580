"""Pictures of random numbers: the cube of successive triples, turning, and the way from a square to a bell."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import BLUE, GREY, INK, drawn, panels

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
EDGES = [(i, j) for i in range(8) for j in range(i) if np.abs(CORNERS[i] - CORNERS[j]).sum() == 1]
HALF = 0.95  # half the side of what is seen of a cube of side 1 from any direction


def edge_on(normal: np.ndarray) -> np.ndarray:
    """A view whose rows are right, up and towards the eye, (3, 3), in which planes with this normal are upright lines."""
    right = normal / np.linalg.norm(normal)
    up = np.eye(3)[np.argmin(np.abs(right))]
    up = up - (up @ right) * right
    up /= np.linalg.norm(up)
    return np.stack([right, up, np.cross(right, up)])


def turned(view: np.ndarray, angle: float, tilt: float = 0.0) -> np.ndarray:
    """The view after the cube has turned about the picture's upright axis, and then been tilted, by angles in radians."""
    c, s = np.cos(angle), np.sin(angle)
    tc, ts = np.cos(tilt), np.sin(tilt)
    return np.array([[1, 0, 0], [0, tc, -ts], [0, ts, tc]]) @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ view


def _seen(points: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Where points of the unit cube are seen, (n, 2), about its middle."""
    return (points - 0.5) @ view[:2].T


@drawn
def cubes(points: np.ndarray, views: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Points (n, 3) of the unit cube from several directions, without perspective."""
    figure, [axes] = panels(1, len(views), 4.4, 4.6)
    for cell, (name, view) in zip(axes, views, strict=True):
        corners = _seen(CORNERS, view)
        for i, j in EDGES:
            cell.plot(*corners[[i, j]].T, color=GREY, lw=0.8)
        cell.plot(*_seen(points, view).T, ".", ms=1.6, mew=0, color=BLUE, rasterized=True)
        cell.set(title=name, xlim=(-HALF, HALF), ylim=(-HALF, HALF), aspect="equal")
        cell.set_axis_off()
        for corner, label in zip(np.eye(3), ("u₁", "u₂", "u₃"), strict=True):
            cell.text(*(1.08 * _seen(corner[None], view)[0]), label, color=INK, ha="center", va="center")
    return figure


def cube_film(points: np.ndarray, view: np.ndarray, size: int, frames: int, said: str) -> list[Image.Image]:
    """The cube of points (n, 3) turning until it is seen from `view`, with what is then to be seen written below."""
    font = ImageFont.load_default(max(11, size // 26))
    film = []
    for share in np.linspace(0, 1, frames):
        left = (1 - share) ** 3  # slower and slower: planes are seen within a few degrees only
        seen = turned(view, 2.4 * left, 0.5 * left)
        film.append(_cube(points, seen, size, font, said if share == 1 else ""))
    return film


def _cube(
    points: np.ndarray, view: np.ndarray, size: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, said: str
) -> Image.Image:
    def pixels(x: np.ndarray) -> np.ndarray:
        return (_seen(x, view) * [1, -1] / HALF + 1) * size / 2

    frame = Image.new("RGB", (size, size), "white")
    pen = ImageDraw.Draw(frame)
    corners = pixels(CORNERS)
    for i, j in EDGES:
        pen.line([*corners[i], *corners[j]], fill=GREY)
    for x, y in pixels(points):
        pen.rectangle([x - 0.5, y - 0.5, x + 0.5, y + 0.5], fill=BLUE)
    for axis, label in zip(np.eye(3), ("u1", "u2", "u3"), strict=True):
        pen.text(tuple((pixels(axis[None])[0] - size / 2) * 1.1 + size / 2), label, fill=INK, font=font, anchor="mm")
    pen.text((size // 40, size // 60), said, fill=INK, font=font)
    return frame.quantize(32, dither=Image.Dither.NONE)
