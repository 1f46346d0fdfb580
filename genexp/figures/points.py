"""Pictures of points in the plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import BLUE, DENSITY, INK, ORANGE, Window, drawn, panels, plane, square

FEW = 30  # values of a curve that are dots as well: one alone is no line
WIDE = 3  # largest over smallest value, from which an axis is logarithmic
CELLS = ListedColormap(["white", "#dfe3ea"])  # behind arrows: white, and black as a light grey
SPARSE = 5_000  # points of a cloud below which a dot is larger than a pixel


@drawn
def clouds(named: Mapping[str, np.ndarray], windows: Sequence[Window], panel: float = 4.2) -> Figure:
    """Clouds of points (n, 2) side by side as dots on equal axes, each in a window, in panels of so many inches a side."""
    figure, [axes] = panels(1, len(named), panel, panel + 0.1)
    for cell, (name, points), window in zip(axes, named.items(), windows, strict=True):
        dots(cell, points)
        square(cell, f"{name}: {len(points):,} points", window)
    return figure


def dots(axes: Axes, points: np.ndarray) -> None:
    """Points (n, 2) in a panel: of very many, pixels."""
    look = {"marker": ".", "ms": 3, "mew": 0} if len(points) < SPARSE else {"marker": ","}
    axes.plot(points[:, 0], points[:, 1], ls="", color=INK, alpha=0.6, rasterized=True, **look)


@drawn
def density(samples: np.ndarray, truth: float, pixels: int = 200) -> Figure:
    """The density of samples (n, 2) in units of the true density on black, so that 1 is right on black and 0 on white."""
    edges = np.linspace(-1, 1, pixels + 1)
    counts, _, _ = np.histogram2d(samples[:, 0], samples[:, 1], bins=(edges, edges))
    relative = counts / len(samples) / (2 / pixels) ** 2 / truth
    figure, [[axes]] = panels(1, 1, 5.2, 4.4)
    image = axes.imshow(relative.T, origin="lower", extent=(-1, 1, -1, 1), cmap=DENSITY, vmin=0, vmax=2, interpolation="nearest")
    plane(axes, "density of the samples")
    figure.colorbar(image, ax=axes, label="density / true density on black", extend="max")
    return figure


@dataclass(frozen=True)
class FieldView:
    """Velocity fields at one time in one window: arrows stand on `grid` (n, 2); `fields` is name → (n, 2)."""

    t: float
    grid: np.ndarray
    fields: dict[str, np.ndarray]


@drawn
def velocity_fields(views: Sequence[FieldView], black: np.ndarray, extent: tuple[float, float, float, float]) -> Figure:
    """One row for each field, one column for each view, over the `black` cells, (rows, columns), of a grid of that extent.

    Arrows of one column have one scale; those beyond three times the median speed are shortened to that.
    """
    names = list(views[0].fields)
    figure, axes = panels(len(names), len(views), 2.9, 3.0)
    for row, name in zip(axes, names, strict=True):
        for cell, view in zip(row, views, strict=True):
            cell.imshow(black, extent=extent, cmap=CELLS, vmin=0, vmax=1, interpolation="nearest")
            speeds = {key: np.linalg.norm(field, axis=1) for key, field in view.fields.items()}
            longest = 3 * float(np.median(speeds[names[-1]])) + 1e-9
            arrows = view.fields[name] * np.minimum(1, longest / np.maximum(speeds[name], 1e-9))[:, None]
            spacing = np.ptp(view.grid[:, 0]) / np.sqrt(len(view.grid))
            scale = longest / (1.6 * spacing)  # the longest arrow spans 1.6 of the grid's spacings
            cell.quiver(*view.grid.T, *arrows.T, color=BLUE, angles="xy", scale_units="xy", scale=scale, width=0.004)
            plane(cell, f"{name}, t = {view.t:g}")
            (left, bottom), (right, top) = view.grid.min(0) - spacing, view.grid.max(0) + spacing
            cell.set(xlim=(left, right), ylim=(bottom, top))
            cell.tick_params(labelsize=7)
    return figure


@drawn
def loss_curve(history: list[dict[str, float]], floor: float | None, excess: str) -> Figure:
    """The training objective, the held-out loss with its floor drawn in, and what it exceeds its floor by: the term `excess`
    where there is one.
    """
    steps, heldout = _series(history, "heldout/loss")
    since, above = _series(history, excess) if any(excess in line for line in history) else (steps, heldout - (floor or 0))
    exceeds = floor is not None and bool((above > 0).any())
    figure, [axes] = panels(1, 2 + exceeds, 3.6, 3.0)
    objective = _series(history, "loss")
    axes[0].plot(*objective, color=INK, lw=0.7, marker="." if len(objective[0]) < FEW else "")
    axes[0].set(title="training objective", xlabel="step", ylabel="loss")
    axes[1].plot(steps, heldout, color=ORANGE, marker=".")
    axes[1].set(title="held-out loss", xlabel="step")
    if floor is not None:
        axes[1].axhline(floor, color=INK, ls="--", lw=1, label=f"floor on the same points {floor:.4f}")
        axes[1].legend()
    if exceeds:
        positive = above[above > 0]
        logarithmic = positive.max() > WIDE * positive.min()
        shown = np.where(above > 0, above, np.nan) if logarithmic else above  # a gap where there is no logarithm
        axes[2].plot(since, shown, color=ORANGE, marker=".")
        axes[2].set(title="excess over the floor", xlabel="step", yscale="log" if logarithmic else "linear")
    for cell in axes:
        cell.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    return figure


def _series(history: list[dict[str, float]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of one name in the history."""
    pairs = np.array([(line["step"], line[name]) for line in history if name in line]).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def flow_frames(trajectory: np.ndarray, size: int, limit: float = 1.15) -> list[Image.Image]:
    """One square picture of `size` pixels per frame of points moving, trajectory (frames, n, 2), time 0 to 1 written in."""
    palette = [round(255 + (ink - 255) * level / 15) for level in range(16) for ink in bytes.fromhex(INK[1:])]
    font = ImageFont.load_default(max(11, size // 30))
    frames = []
    for index, points in enumerate(trajectory):
        edges = np.linspace(-limit, limit, size + 1)
        counts, _, _ = np.histogram2d(-points[:, 1], points[:, 0], bins=(edges, edges))
        dots = counts + np.roll(counts, 1, 0) + np.roll(counts, 1, 1) + np.roll(counts, (1, 1), (0, 1))  # two pixels wide
        levels = np.minimum(15, dots * 9).astype(np.uint8)
        frame = Image.fromarray(levels, "P")
        frame.putpalette(palette)
        if len(trajectory) > 1:
            t = index / (len(trajectory) - 1)
            ImageDraw.Draw(frame).text((size // 40, size // 60), f"t = {t:.2f}", fill=15, font=font)
        frames.append(frame)
    return frames
