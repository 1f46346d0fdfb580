"""Pictures of Markov chains: where they go, and how soon they forget."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import GREY, INK, ORANGE, Window, as_image, classes, drawn, figure_of, middles, panels, square

TAIL = 12  # draws of a film's line
DEPTH, EVERY = 14.0, 2.0  # nats below the peak down to which contours are drawn, and from one to the next


def contours(axes: Axes, log_p: np.ndarray, window: Window) -> None:
    """Of ln p (side, side), y upwards, every two nats below its peak."""
    left, right, bottom, top = window.extent
    across, up = middles(left, right, len(log_p)), middles(bottom, top, len(log_p))
    levels = np.arange(-DEPTH, 0, EVERY)
    axes.contour(across, up, log_p - log_p.max(), levels=levels, colors=GREY, linewidths=0.7, linestyles="solid")


@drawn
def trails(named: Mapping[str, np.ndarray], log_p: np.ndarray, window: Window) -> Figure:
    """Name → the ways of a few chains, (chains, draws, 2), each a panel over contours of the target; a ring where they begin."""
    figure, [axes] = panels(1, len(named), 4.6, 4.7)
    for cell, (name, ways) in zip(axes, named.items(), strict=True):
        contours(cell, log_p, window)
        for way, color in zip(ways, classes(len(ways)), strict=True):
            cell.plot(way[:, 0], way[:, 1], color=color, lw=0.6, alpha=0.55)
            cell.plot(way[:, 0], way[:, 1], ".", color=color, ms=3.5, mew=0)
            cell.plot(*way[0], "o", mfc="white", mec=color, mew=1.6, ms=7, zorder=5)
        many = f"{len(ways)} chains, {ways.shape[1]} draws each"
        square(cell, f"{name}: {many}" if len(named) > 1 else many, window)
    return figure


def trail_frames(named: Mapping[str, np.ndarray], log_p: np.ndarray, window: Window, size: int, frames: int) -> list[Image.Image]:
    """The same as a film: what each chain has passed through so far as dots, its latest steps as a line, and where it is."""
    background = _background(log_p, window, size)
    font, line = ImageFont.load_default(max(11, size // 28)), max(1, size // 400)
    length = next(iter(named.values())).shape[1]
    film = []
    for shown in np.unique(np.linspace(1, length, frames).round().astype(int)).tolist():
        frame = Image.new("RGB", (size * len(named), size), "white")
        for index, (name, ways) in enumerate(named.items()):
            panel = background.copy()
            pen = ImageDraw.Draw(panel)
            for way, color in zip(_pixels(ways[:, :shown], window, size), classes(len(ways)), strict=True):
                points = [tuple(point) for point in way.tolist()]
                pen.line(points[-TAIL:], fill=_light(color), width=2 * line)
                for x, y in points[:-1]:
                    pen.ellipse((x - line, y - line, x + line, y + line), fill=color)
            for way, color in zip(_pixels(ways[:, shown - 1 : shown], window, size), classes(len(ways)), strict=True):
                (x, y), reach = way[0].tolist(), max(4, size // 90)
                pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=color, outline="white", width=line)
            pen.text(
                (size // 40, size // 60), f"{name}: draw {shown}" if len(named) > 1 else f"draw {shown}", fill=INK, font=font
            )
            frame.paste(panel, (index * size, 0))
        film.append(frame.quantize(64, dither=Image.Dither.NONE))
    return film


@drawn
def _background(log_p: np.ndarray, window: Window, size: int) -> Image.Image:
    """The contours alone, size × size pixels with nothing around them."""
    figure = figure_of(size / 100, size / 100)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    contours(axes, log_p, window)
    left, right, bottom, top = window.extent
    axes.set(xlim=(left, right), ylim=(bottom, top))
    axes.set_axis_off()
    figure.set_dpi(100)
    return as_image(figure).resize((size, size))


def _pixels(ways: np.ndarray, window: Window, size: int) -> np.ndarray:
    across, up = ways[..., 0] - window.x, ways[..., 1] - window.y
    return (np.stack([across, -up], axis=-1) / window.half + 1) * size / 2


def _light(color: str) -> tuple[int, ...]:
    """Halfway to white."""
    return tuple((value + 255) // 2 for value in bytes.fromhex(color[1:]))


@drawn
def mixing(
    named: Mapping[str, np.ndarray], correlation: Mapping[str, np.ndarray], counts: Sequence[int], r_hat: Mapping[str, np.ndarray]
) -> Figure:
    """Of the first coordinate: its way in a few chains, (chains, draws), one panel for each name; its autocorrelation (lags,) and
    R̂ after so many draws, in which the names are lines.
    """
    figure, [axes] = panels(1, len(named) + 2, 3.9, 3.2)
    reach = [min(way.min() for way in named.values()), max(way.max() for way in named.values())]
    room = 0.05 * (reach[1] - reach[0]) or 1.0
    for cell, (name, ways) in zip(axes, named.items(), strict=False):
        for way, color in zip(ways, classes(len(ways)), strict=True):
            cell.plot(np.arange(1, len(way) + 1), way, color=color, lw=0.7, alpha=0.8)
        cell.set(
            title=f"first coordinate, {name}" if len(named) > 1 else "first coordinate",
            xlabel="draw",
            ylabel="x₁",
            ylim=(reach[0] - room, reach[1] + room),
        )
    lags, running = axes[-2:]
    for (name, values), color in zip(correlation.items(), (ORANGE, INK), strict=False):
        lags.plot(np.arange(len(values)), values, color=color, label=name)
        running.plot(counts, r_hat[name], color=color, marker=".", label=name)
    lags.axhline(0, color=GREY, lw=0.8)
    lags.set(title="autocorrelation of x₁", xlabel="lag in draws", ylabel="ρ", ylim=(min(-0.1, lags.get_ylim()[0]), 1.05))
    running.axhline(1.01, color=GREY, ls="--", lw=1, label="1.01")
    running.set(title="R̂ of x₁ so far", xlabel="draws", xscale="log", ylabel="R̂")
    running.legend()
    if len(correlation) > 1:
        lags.legend()
    return figure
