"""Pictures of latent spaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from PIL import Image

from genexp.figures.images import mosaic
from genexp.figures.style import BLUE, DENSITY, INK, ORANGE, classes, drawn, panels

HOLDS_95 = 2.448  # radius: √(−2 ln 0.05)
_TINY = 1e-6  # the least width of an axis: all points may be one


@drawn
def scatter(z: np.ndarray, label: np.ndarray | None, names: Sequence[str], title: str, axis: str = "z") -> Figure:
    """Points (n, 2) of the latent plane, coloured by class."""
    figure, [[axes]] = panels(1, 1, 6.6, 5.6)
    _dots(axes, z, label, names)
    axes.set(title=title, xlabel=f"{axis}₁", ylabel=f"{axis}₂")
    if axis == "z":
        reach = max(1.05 * float(np.quantile(np.abs(z), 0.999)), _TINY)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    if label is not None:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=4 if len(z) > 1000 else 1.5)
    return figure


def _dots(axes: Axes, z: np.ndarray, label: np.ndarray | None, names: Sequence[str]) -> None:
    size = min(30.0, 20_000 / len(z))
    if label is None:
        axes.scatter(z[:, 0], z[:, 1], s=size, color=INK, lw=0, alpha=0.6, rasterized=True)
        return
    for index, (name, color) in enumerate(zip(names, classes(len(names)), strict=True)):
        mine = z[label == index]
        axes.scatter(mine[:, 0], mine[:, 1], s=size, color=color, lw=0, alpha=0.7, label=name, rasterized=True)


@drawn
def training_film(
    snapshots: Sequence[tuple[int, np.ndarray]], label: np.ndarray | None, names: Sequence[str], size: int
) -> list[Image.Image]:
    """The scatter over the steps of a training, on the axes of its end."""
    reach = max(1.1 * float(np.quantile(np.abs(snapshots[-1][1]), 0.999)), _TINY)
    frames = []
    for step, z in snapshots:
        figure, [[axes]] = panels(1, 1, size / 100, size / 100)
        _dots(axes, z, label, names)
        axes.set(title=f"step {step:,}", xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
        with BytesIO() as file:
            figure.savefig(file, format="png", dpi=100)
            frames.append(Image.open(file).convert("RGB").quantize(64, dither=Image.Dither.NONE))
    return frames


@drawn
def manifold(images: np.ndarray, quantiles: np.ndarray) -> Figure:
    """Decoded pictures (side, side, channels, height, width) at Gaussian quantiles of both latent axes; z₂ grows upwards."""
    canvas = mosaic(images[::-1], gap=0)
    figure, [[axes]] = panels(1, 1, 8, 8)
    axes.imshow(canvas, interpolation="nearest")
    at = np.linspace(0, len(quantiles) - 1, min(7, len(quantiles))).round().astype(int)
    tile = canvas.shape[0] / len(quantiles)
    axes.set_xticks((at + 0.5) * tile, [f"{quantiles[index]:.2f}" for index in at])
    axes.set_yticks(canvas.shape[0] - (at + 0.5) * tile, [f"{quantiles[index]:.2f}" for index in at])
    axes.set(title="the decoded latent plane, at quantiles of N(0, 1)", xlabel="z₁", ylabel="z₂")
    return figure


@drawn
def aggregate(z: np.ndarray, prior: np.ndarray, reach: float) -> Figure:
    """The aggregate posterior, samples (n, 2), beside samples of the prior (n, 2), and the marginals of both.

    The cells are as many as the samples of the posterior can fill: 90 × 90 of ten thousand, 17 × 17 of four hundred.
    """
    figure, axes = panels(1, 3, 4.2, 3.8)
    bins = int(np.clip(0.9 * np.sqrt(len(z)), 12, 90))
    edges = np.linspace(-reach, reach, bins + 1)
    heights = [np.histogram2d(points[:, 0], points[:, 1], bins=(edges, edges), density=True)[0].T for points in (z, prior)]
    top = 2 * float(heights[1].max())
    for cell, height, name in zip(axes[0], heights, ("aggregate posterior", "prior"), strict=False):
        image = cell.imshow(height, origin="lower", extent=(-reach, reach, -reach, reach), cmap=DENSITY, vmin=0, vmax=top)
        cell.set(title=name, xlabel="z₁", ylabel="z₂")
    figure.colorbar(image, ax=axes[0][:2], label="density", extend="max", shrink=0.8)
    for axis, style in ((0, "-"), (1, "--")):
        for points, color, name in ((z, ORANGE, "aggregate"), (prior, INK, "prior")):
            height, _ = np.histogram(points[:, axis], bins=edges, density=True)
            axes[0][2].plot((edges[1:] + edges[:-1]) / 2, height, style, color=color, label=f"{name}, z{'₁₂'[axis]}")
    axes[0][2].set(title="marginals", xlabel="z", ylabel="density")
    axes[0][2].legend(loc="upper right", fontsize=7)
    return figure


@drawn
def histogram(scores: Mapping[str, np.ndarray], title: str, xlabel: str) -> Figure:
    """Histograms of a score on several data sets, over one another."""
    figure, [[axes]] = panels(1, 1, 6.5, 3.8)
    every = np.concatenate(list(scores.values()))
    edges = np.linspace(every.min(), max(np.quantile(every, 0.998), every.min() + _TINY * max(1, abs(every.min()))), 80)
    for (name, values), color in zip(scores.items(), classes(len(scores)), strict=True):
        axes.hist(np.clip(values, None, edges[-1]), bins=edges.tolist(), density=True, alpha=0.6, color=color, label=name)
    axes.set(title=title, xlabel=xlabel, ylabel="density")
    axes.legend(loc="upper right")
    return figure


@drawn
def units(kl: np.ndarray, least: float) -> Figure:
    """KL of each latent dimension (latent,) in nats, largest first; those below `least` have collapsed."""
    figure, [[axes]] = panels(1, 1, 6.0, 3.6)
    kl = np.sort(kl)[::-1]
    number = np.arange(1, len(kl) + 1)
    alive = kl >= least
    floor = 0.1 * min(least, max(float(kl.min()), 1e-6))
    for chosen, color, name in ((alive, BLUE, "active"), (~alive, ORANGE, "collapsed: q(z|x) is the prior")):
        axes.bar(number[chosen], np.maximum(kl[chosen], floor), color=color, label=f"{name} ({chosen.sum()})")
    axes.axhline(least, color=INK, lw=1, ls="--")
    axes.set(title=f"what each latent dimension says of x: {kl.sum():.1f} nats in all", yscale="log", ylim=(floor, None))
    axes.set(xlabel="latent dimension, largest first", ylabel="KL(q ‖ p), nats")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


@dataclass(frozen=True)
class Plane:
    """Latents z (n, 2) and their classes by number (n,), which have names."""

    z: np.ndarray
    label: np.ndarray
    names: Sequence[str]


@drawn
def side_by_side(runs: Mapping[str, Plane]) -> Figure:
    """The latents of several runs by class, each on axes of its own; the circle holds 95 % of N(0, I)."""
    figure, [line] = panels(1, len(runs), 3.4, 3.7)
    for axes, (name, plane) in zip(line, runs.items(), strict=True):
        _dots(axes, plane.z, plane.label, plane.names)
        reach = max(1.05 * float(np.quantile(np.abs(plane.z), 0.999)), 3.0)
        axes.add_patch(Circle((0, 0), HOLDS_95, fill=False, color=INK, lw=1.2, ls="--"))
        axes.set(title=name, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="z₁")
    line[0].set_ylabel("z₂")
    line[-1].legend(loc="center left", bbox_to_anchor=(1, 0.5), markerscale=3)
    return figure
