"""Pictures of random numbers: the cube of successive triples, turning, and the way from a square to a bell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import BLUE, DENSITY, GREY, INK, ORANGE, SKY, drawn, panels

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
            x, y = 1.08 * _seen(corner[None], view)[0]
            cell.text(x, y, label, color=INK, ha="center", va="center")
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


@dataclass(frozen=True)
class Cloud:
    """Points (n, 2) of one step, and a number in [0, 1] by which each is known again, (n,); NaN: it goes no further."""

    name: str
    x: np.ndarray
    colour: np.ndarray | None = None


@drawn
def steps(clouds: Sequence[Cloud]) -> Figure:
    """The same points after each step, coloured alike from step to step; grey: not kept."""
    figure, [axes] = panels(1, len(clouds), 3.5, 3.7)
    for number, (cell, cloud) in enumerate(zip(axes, clouds, strict=True)):
        low, high = np.quantile(cloud.x, 0.0005, axis=0), np.quantile(cloud.x, 0.9995, axis=0)
        kept = np.ones(len(cloud.x), bool) if cloud.colour is None else ~np.isnan(cloud.colour)
        cell.plot(*cloud.x[~kept].T, ".", ms=1.5, mew=0, color=GREY, alpha=0.5, rasterized=True)
        if cloud.colour is None:
            cell.plot(*cloud.x.T, ".", ms=1.5, mew=0, color=INK, rasterized=True)
        else:
            x, y = cloud.x[kept].T
            cell.scatter(x, y, s=1.6, c=cloud.colour[kept], cmap=DENSITY, vmin=0, vmax=1, linewidths=0, rasterized=True)
        room = 0.06 * float((high - low).max()) + 1e-9
        middle, half = (low + high) / 2, float((high - low).max()) / 2 + room
        cell.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
        cell.set(title=f"{number + 1}. {cloud.name}", xlabel="x₁", ylabel="x₂")
    return figure


@drawn
def circle_and_ellipse(lower: np.ndarray, mean: np.ndarray, z: np.ndarray) -> Figure:
    """The circles of 1 and 2 standard deviations of points z (n, 2), and what x = μ + L z makes of them and of the axes."""
    angle = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    figure, [axes] = panels(1, 2, 4.2, 4.3)
    for cell, factor, middle, title in (
        (axes[0], np.eye(2), np.zeros(2), "z ~ N(0, I)"),
        (axes[1], lower, mean, "x = μ + L z,  Σ = L Lᵀ"),
    ):
        cell.plot(*(middle + z @ factor.T).T, ".", ms=1.5, mew=0, color=SKY, alpha=0.6, rasterized=True)
        for radius in (1, 2):
            cell.plot(*(middle + radius * circle @ factor.T).T, color=INK, lw=1)
        for column, color, name in ((0, BLUE, "first"), (1, ORANGE, "second")):
            what = f"e{'₁₂'[column]}" if cell is axes[0] else f"{name} column of L"
            arrow = {"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
            cell.annotate("", xy=tuple(middle + factor[:, column]), xytext=tuple(middle), arrowprops=arrow)
            cell.plot([], [], color=color, lw=2, label=what)
        reach = 3.3 * float(np.sqrt((factor**2).sum(1)).max())
        cell.set(title=title, xlabel="z₁" if cell is axes[0] else "x₁", ylabel="z₂" if cell is axes[0] else "x₂", aspect="equal")
        cell.set(xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach))
        cell.legend(loc="upper left")
    return figure


@drawn
def distribution_function(u: np.ndarray, x: np.ndarray) -> Figure:
    """u (n,) on the left, by F⁻¹ to x (n,) below: where the curve is steep, many samples fall."""
    figure, [axes] = panels(1, 2, 4.2, 3.6)
    order = np.argsort(x)
    axes[0].plot(x[order], u[order], color=BLUE)
    for place in np.linspace(0.5, len(u) - 0.5, 16).astype(int):
        at = order[place]
        axes[0].plot([x[order[0]], x[at], x[at]], [u[at], u[at], 0], color=GREY, lw=0.6)
    axes[0].set(title="u = F(x), read backwards", xlabel="x", ylabel="u", ylim=(0, 1), xlim=(x[order[0]], x[order[-1]]))
    axes[1].hist(x, bins=120, density=True, color=BLUE, histtype="stepfilled", alpha=0.7)
    axes[1].set(title=f"{len(x):,} samples", xlabel="x", ylabel="density")
    return figure
