"""Pictures of energies: a landscape and what rolls in it, and what pulls it down and pushes it up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LightSource
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from genexp.figures.style import BLUE, GREEN, GREY, INK, ORANGE, Window, drawn, middles, panels, square

DEEP = 30.0  # nats above the lowest valley, from which all is one height
RELIEF = "Blues_r"  # deep water
COLOURS = {"test data": BLUE, "samples": ORANGE, "noise": GREY}


def relief(energy: np.ndarray) -> np.ndarray:
    """E (side, side), y upwards, as a landscape that is lit from the upper left: (side, side, 3), in [0, 1]; row 0 is the top.

    High places are pale and flatter than they are, so that valleys are seen in all their depth.
    """
    height = np.sqrt(np.maximum(energy - energy.min(), 0.0) + 1.0)[::-1]
    top = float(np.sqrt(DEEP + 1.0))
    light = LightSource(azdeg=315, altdeg=45)
    shape = np.tanh(height / top) * len(energy)  # the heights of the light and shade
    colours = colormaps[RELIEF](0.12 + 0.88 * np.clip((height - 1) / (top - 1), 0, 1))[..., :3]
    return np.clip(light.shade_rgb(colours, shape, blend_mode="soft", vert_exag=0.35), 0, 1)


def rolling_frames(
    energy: np.ndarray, paths: np.ndarray, transitions: Sequence[int], window: Window, size: int
) -> list[Image.Image]:
    """One frame for each time: where chains (times, n, 2) are in the landscape of E (side, side), y upwards."""
    ground = Image.fromarray(np.round(255 * relief(energy)).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
    font, reach = ImageFont.load_default(max(12, size // 26)), max(1.5, size / 240)
    film = []
    for points, number in zip(paths, transitions, strict=True):
        frame = ground.copy()
        pen = ImageDraw.Draw(frame)
        across, up = (points[:, 0] - window.x) / window.half, (points[:, 1] - window.y) / window.half
        for x, y in zip((across + 1) * size / 2, (1 - up) * size / 2, strict=True):
            pen.ellipse((x - reach - 1, y - reach - 1, x + reach + 1, y + reach + 1), fill="#ffffff")
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=ORANGE)
        text = f"{number} transition{'s' * (number != 1)}"
        pen.rectangle((0, 0, pen.textlength(text, font) + size // 20, size // 15), fill="#ffffff")
        pen.text((size // 40, size // 100), text, fill=INK, font=font)
        film.append(frame.quantize(96, dither=Image.Dither.NONE))
    return film


@drawn
def energies(series: Mapping[str, tuple[np.ndarray, np.ndarray]], found: Mapping[str, np.ndarray]) -> Figure:
    """Steps and mean energies of data and of samples as training went on, what they differ by, and the energies (n,) of test
    data, samples and noise in the end.
    """
    figure, [axes] = panels(1, 3 if series else 1, 4.1, 3.3)
    if series:
        for (name, (steps, values)), color in zip(series.items(), (BLUE, ORANGE), strict=True):
            axes[0].plot(steps, values, color=color, lw=1, label=name)
        (steps, data), (_, samples) = series.values()
        axes[0].set(title="mean energy in training", xlabel="step", ylabel="E in nats, up to a constant")
        axes[0].legend()
        axes[1].axhline(0, color=GREY, lw=0.8)
        axes[1].plot(steps, samples - data, color=INK, lw=0.7)
        axes[1].set(title="samples less data: 0 where both are alike", xlabel="step", ylabel="nats")
        few = np.quantile(np.abs(samples - data), 0.98)
        axes[1].set_ylim(-1.3 * few, 1.3 * few)
    histograms(axes[-1], found)
    return figure


def histograms(axes: Axes, found: Mapping[str, np.ndarray]) -> None:
    """The densities of energies (n,) by name; what is far above the data's is counted at the edge."""
    lowest = min(float(values.min()) for values in found.values())
    reach = np.quantile(next(iter(found.values())), [0.001, 0.999])
    edges = np.linspace(min(lowest, reach[0]), reach[1] + 1.5 * (reach[1] - reach[0]), 70)
    for name, values in found.items():
        heights, _ = np.histogram(np.clip(values, None, edges[-1] - 1e-9), edges)
        axes.stairs(heights / len(values) / np.diff(edges), edges, color=COLOURS[name], label=name, lw=1.3)
    axes.set(title="energies in the end", xlabel="E in nats, up to a constant; the last bar is all beyond", ylabel="density")
    axes.legend()


@drawn
def short_runs(counts: Sequence[int], curves: Mapping[str, Sequence[float]], long: float, chance: float) -> Figure:
    """KL from chains to the model's own density after so many transitions, by where they began; `long`: of the annealed chains
    that samples are drawn by, `chance`: of as many exact samples.
    """
    figure, [[axes]] = panels(1, 1, 5.4, 3.9)
    for (name, values), color in zip(curves.items(), (ORANGE, BLUE), strict=True):
        axes.plot(counts, values, color=color, marker=".", label=name)
    axes.axhline(long, color=GREEN, lw=1.2, label="the run's samples: annealed chains")
    axes.axhline(chance, color=GREY, ls="--", lw=1, label="as many exact samples of the model")
    axes.set(xlabel="transitions of each chain", ylabel="KL(chains ‖ model), nats", xscale="log", yscale="log")
    axes.set(title="how far chains are from the density they belong to")
    axes.legend(fontsize=8)
    return figure


@dataclass(frozen=True)
class Pull:
    """After so many steps: E, and p_data − p_model, both (side, side) with y upwards; a few points of both, (n, 2)."""

    title: str
    energy: np.ndarray
    pull: np.ndarray


@drawn
def pulled(views: Sequence[Pull], window: Window) -> Figure:
    """−∂/∂E of the objective, p_data − p_model: where the energy is pulled down and where it is pushed up, over contours of E."""
    figure, [axes] = panels(1, len(views), 3.7, 3.8)
    left, right, bottom, top = window.extent
    for index, (cell, view) in enumerate(zip(axes, views, strict=True)):
        largest = max(float(np.abs(view.pull).max()), 1e-12)
        image = cell.imshow(-view.pull, origin="lower", extent=window.extent, cmap="PuOr_r", vmin=-largest, vmax=largest)
        side = len(view.energy)
        across, up = middles(left, right, side), middles(bottom, top, side)
        levels = np.arange(0.5, 12, 1.5)
        cell.contour(across, up, view.energy - view.energy.min(), levels=levels, colors=INK, linewidths=0.5, alpha=0.6)
        square(cell, view.title, window)
        label = "p_model − p_data\n(orange: pushed up, violet: pulled down)" if index == len(views) - 1 else ""
        figure.colorbar(image, ax=cell, shrink=0.75, label=label)
    return figure
