"""Pictures of densities in the plane, and of grids that a flow warps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.coordinates import window_of
from genexp.figures.style import BLUE, DENSITY, INK, ORANGE, Window, drawn, middles, panels, square


@drawn
def side_by_side(truth: np.ndarray, model: np.ndarray, window: Window) -> Figure:
    """True density, learnt density and their difference, all (side, side) with y upwards, over the window."""
    figure, [axes] = panels(1, 3, 4.2, 3.6)
    top = float(truth.max())
    largest = float(np.abs(model - truth).max()) or 1e-12
    content: tuple[tuple[Axes, np.ndarray, str, dict[str, Any]], ...] = (
        (axes[0], truth, "true density", {"cmap": DENSITY, "vmin": 0, "vmax": top}),
        (axes[1], model, "learnt density", {"cmap": DENSITY, "vmin": 0, "vmax": top}),
        (axes[2], model - truth, "learnt − true", {"cmap": "PuOr", "vmin": -largest, "vmax": largest}),
    )
    for cell, values, name, scale in content:
        image = cell.imshow(values, origin="lower", extent=window.extent, **scale)
        square(cell, name, window)
        figure.colorbar(image, ax=cell, shrink=0.85)
    return figure


@drawn
def one(density: np.ndarray, window: Window, top: float, title: str) -> Figure:
    """A density (side, side), y upwards, over the window, in colours from 0 to `top`."""
    figure, [[axes]] = panels(1, 1, 4.8, 4.2)
    image = axes.imshow(density, origin="lower", extent=window.extent, cmap=DENSITY, vmin=0, vmax=top)
    square(axes, title, window)
    figure.colorbar(image, ax=axes, shrink=0.85, label="density")
    return figure


@drawn
def samples_over_contours(samples: np.ndarray, log_p: np.ndarray, window: Window, depth: float = 14.0) -> Figure:
    """Samples (n, 2) as dots over contours of ln p (side, side), y upwards, every two nats down to `depth` below its peak."""
    figure, [[axes]] = panels(1, 1, 5.2, 4.8)
    (left, right, bottom, top), side, peak = window.extent, len(log_p), float(log_p.max())
    across, up = middles(left, right, side), middles(bottom, top, side)
    axes.contour(across, up, log_p - peak, levels=np.arange(-depth, 0, 2.0), colors=ORANGE, linewidths=0.8, linestyles="solid")
    axes.plot(samples[:, 0], samples[:, 1], ".", ms=1.5, color=BLUE, alpha=0.5)
    square(axes, "samples; contours of the target every 2 nats", window)
    return figure


@drawn
def marginal(true: np.ndarray, samples: np.ndarray, density: np.ndarray, corners: np.ndarray, names: list[str]) -> Figure:
    """Two coordinates of true samples and of a model's, (n, 2), over contours of their exact ln p, (side, side) with y upwards,
    every two nats down to 14 below its peak; `corners` (2, 2) are the lower left and the upper right one.
    """
    figure, [row] = panels(1, 2, 4.2, 3.9)
    (left, bottom), (right, top), side = *corners, len(density)
    across, up = middles(left, right, side), middles(bottom, top, side)
    for axes, x, title in zip(row, (true, samples), ("true samples", "generated"), strict=True):
        axes.contour(
            across,
            up,
            density - density.max(),
            levels=np.arange(-14.0, 0, 2.0),
            colors=ORANGE,
            linewidths=0.8,
            linestyles="solid",
        )
        axes.plot(x[:, 0], x[:, 1], ".", ms=1.5, color=BLUE, alpha=0.5)
        axes.set(
            title=f"{title}; contours every 2 nats", xlabel=names[0], ylabel=names[1], xlim=(left, right), ylim=(bottom, top)
        )
    return figure


@dataclass(frozen=True)
class LogDensity:
    """A learnt ln p in nats, (side, side) with y upwards, over a window of the plane."""

    title: str
    log_p: np.ndarray
    window: Window


@drawn
def log_density(views: Sequence[LogDensity], truth: float, depth: float = 8.0) -> Figure:
    """Views of a learnt ln p, side by side, shown down to `depth` nats below its true value on the support."""
    figure, [row] = panels(1, len(views), 4.4 if len(views) > 1 else 5.2, 4.4)
    for axes, view in zip(row, views, strict=True):
        image = axes.imshow(
            view.log_p,
            origin="lower",
            extent=view.window.extent,
            cmap=DENSITY,
            vmin=truth - depth,
            vmax=truth + 1,
            interpolation="nearest",
        )
        square(axes, view.title, view.window)
    figure.colorbar(image, ax=row, label=f"ln p in nats; true on black: {truth:.2f}", extend="both")
    return figure


def grid_lines(reach: float, lines: int = 25, points: int = 200) -> np.ndarray:
    """Horizontal and vertical lines over [−reach, reach]²: (2·lines, points, 2)."""
    at, along = np.linspace(-reach, reach, lines), np.linspace(-reach, reach, points)
    vertical = np.stack(np.broadcast_arrays(at[:, None], along[None, :]), axis=-1)
    return np.concatenate([vertical, vertical[..., ::-1]])


MOST_PANELS, IN_A_ROW = 12, 6


@drawn
def warped_grids(grids: np.ndarray, dots: np.ndarray, window: Window) -> Figure:
    """A panel for each layer, or for twelve: the base's grid (layers, lines, points, 2) after it, and dots (layers, n, 2).

    Each has a part of the plane of its own, which holds its dots; of the data that is `window`.
    """
    last = len(grids) - 1
    shown = np.unique(np.linspace(0, last, min(len(grids), MOST_PANELS)).round().astype(int)).tolist()
    stacked = -(-len(shown) // IN_A_ROW)
    figure, rows = panels(stacked, -(-len(shown) // stacked), 2.6, 2.7)
    cells = [cell for row in rows for cell in row]
    for cell in cells[len(shown) :]:
        cell.set_axis_off()
    for layer, cell in zip(shown, cells, strict=False):
        half = len(grids[layer]) // 2
        for color, lines in ((BLUE, grids[layer][:half]), (ORANGE, grids[layer][half:])):
            cell.plot(lines[..., 0].T, lines[..., 1].T, color=color, lw=0.4, alpha=0.6)
        cell.plot(dots[layer][:, 0], dots[layer][:, 1], ",", color=INK)
        name = "base" if layer == 0 else "data" if layer == last else f"after layer {layer}"
        square(cell, name, window if layer == last else window_of(dots[layer]))
        cell.set(xlabel="", ylabel="")
        cell.tick_params(labelsize=7)
    return figure


def warping_frames(grids: np.ndarray, dots: np.ndarray, window: Window, size: int, frames: int) -> list[Image.Image]:
    """The same as a film, all in one part of the plane: between two layers everything moves along straight lines."""
    font = ImageFont.load_default(max(11, size // 30))
    film = []
    for position in np.linspace(0, len(grids) - 1, frames):
        layer = min(int(position), len(grids) - 2)
        share = position - layer
        frame = Image.new("RGB", (size, size), "white")
        pen = ImageDraw.Draw(frame)

        def pixels(points: np.ndarray) -> np.ndarray:
            across, up = points[..., 0] - window.x, points[..., 1] - window.y
            return (np.stack([across, -up], axis=-1) / window.half + 1) * size / 2

        grid = pixels((1 - share) * grids[layer] + share * grids[layer + 1])
        for number, line in enumerate(grid):
            color = "#9cc4de" if number < len(grid) // 2 else "#ecb594"
            pen.line([tuple(point) for point in line.tolist()], fill=color)
        cloud = pixels((1 - share) * dots[layer] + share * dots[layer + 1])
        pen.point([tuple(point) for point in cloud.tolist()], fill=INK)
        pen.text((size // 40, size // 60), f"layer {int(position)}", fill=INK, font=font)
        film.append(frame.quantize(32, dither=Image.Dither.NONE))
    return film
