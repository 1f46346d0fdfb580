"""Drawing of the guesses of a posterior that is a mixture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genexp.figures.images import to_bytes
from genexp.figures.style import INK, ORANGE, drawn, panels

DEPTH = 40.0  # nats below the highest of ln p(z|x) that are still told apart from white


@dataclass(frozen=True)
class Guesses:
    """An example (channels, height, width); ln p(z|x) on a grid (side, side), z₂ upwards, or None; the means of the Gaussians
    (components, latent) and their weights, the heaviest first; what the first of them decode to (few, channels, height, width).
    """

    example: np.ndarray
    plane: np.ndarray | None
    mean: np.ndarray
    weight: np.ndarray
    decoded: np.ndarray


@drawn
def guesses(shown: Sequence[Guesses], reach: float) -> Figure:
    """A row for each example: itself, the plane out to `reach` with the guesses as circles of area as their weight, and the
    decoded guesses with their weights.
    """
    flat = shown[0].plane is not None
    first = 1 + flat
    columns = first + len(shown[0].decoded)
    figure, axes = panels(len(shown), columns, 1.25, 1.4)
    for row, each in zip(axes, shown, strict=True):
        _picture(row[0], each.example)
        if each.plane is not None:
            _plane(row[1], each, reach)
        for cell, decoded, weight in zip(row[first:], each.decoded, each.weight, strict=False):
            _picture(cell, decoded)
            cell.set_title(f"{weight:.0%}" if weight >= 0.005 else "0", fontsize=9, color=INK if weight >= 0.005 else "0.6")
    axes[0][0].set_title("x", fontsize=9)
    if flat:
        axes[0][1].set_title("ln p(z|x)", fontsize=9)
    figure.suptitle("what the encoder guesses, and how much of q(z|x) the decoder gives each guess")
    return figure


def _plane(cell: Axes, each: Guesses, reach: float) -> None:
    assert each.plane is not None
    top = float(each.plane.max())
    extent = (-reach, reach, -reach, reach)
    cell.imshow(each.plane, origin="lower", extent=extent, cmap="Greys", vmin=top - DEPTH, vmax=top, interpolation="bilinear")
    cell.scatter(
        each.mean[:, 0],
        each.mean[:, 1],
        s=8 + 90 * each.weight,
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=1.2,
        clip_on=False,
    )
    cell.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[], aspect="equal")


def _picture(cell: Axes, x: np.ndarray) -> None:
    cell.imshow(to_bytes(x), interpolation="nearest")
    cell.set(xticks=[], yticks=[])
