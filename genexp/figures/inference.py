"""Drawings of inference in latent-variable models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator, ScalarFormatter

from genexp.figures.linear import Bell
from genexp.figures.style import BLUE, INK, ORANGE, SKY, drawn, panels

ESTIMATORS = {"plain": (ORANGE, "o-", 8, "of the bound"), "doubly": (BLUE, "s--", 4, "doubly reparameterised")}


@dataclass(frozen=True)
class Posterior:
    """An example (height, width); its p(z|x) on a grid (side, side), z₂ upwards, up to a factor; where the grid lies (left,
    right, bottom, top); and the Gaussians of the encoder and fitted to it alone.
    """

    example: np.ndarray
    height: np.ndarray
    extent: tuple[float, float, float, float]
    encoder: Bell
    fitted: Bell


@drawn
def true_posteriors(shown: Sequence[Posterior], family: float, encoder: float) -> Figure:
    """Densities with ellipses at one and two standard deviations; the example in a corner. Both gaps in nats."""
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure, axes = panels(rows, columns, 3.6, 3.4)
    cells = [cell for line in axes for cell in line]
    for cell, each in zip(cells, shown, strict=False):
        cell.imshow(each.height, origin="lower", extent=each.extent, cmap="Greys", interpolation="bilinear")
        each.fitted.outline(cell, BLUE, "-")
        each.encoder.outline(cell, ORANGE, "--")
        corner = cell.inset_axes((0.74, 0.74, 0.25, 0.25))
        corner.imshow(each.example, cmap="gray", interpolation="nearest")
        corner.set(xticks=[], yticks=[])
        cell.set(xlabel="z₁", ylabel="z₂", aspect="equal")
    for cell in cells[len(shown) :]:
        cell.set_axis_off()
    cells[0].plot([], [], "-", color=BLUE, label="Gaussian fitted to this example")
    cells[0].plot([], [], "--", color=ORANGE, label="q(z|x) of the encoder")
    figure.legend(loc="outside lower center", ncols=2)
    figure.suptitle(f"p(z|x), in grey; what Gaussians lose: {family:.2f} nats, what the encoder loses on top: {encoder:.2f}")
    return figure


@drawn
def layers(kl: np.ndarray, sizes: Sequence[int]) -> Figure:
    """KL of each layer (layers,) in nats; `sizes` are their dimensions. The last layer, which the others hang from, is on top."""
    figure, [[axes]] = panels(1, 1, 5.6, 0.9 + 0.55 * len(kl))
    number = range(1, len(kl) + 1)
    axes.barh(number, kl, color=SKY, height=0.7)
    for place, nats in zip(number, kl, strict=True):
        axes.text(nats, place, f" {nats:.2f}", va="center", color=INK)
    axes.set_yticks(number, [f"layer {place}, {size} dimensions" for place, size in zip(number, sizes, strict=True)])
    axes.set(title=f"what each layer says of x: {kl.sum():.1f} nats in all", xlabel="KL(q ‖ p) given the layers above, nats")
    axes.margins(x=0.12)
    return figure


@drawn
def gradients(
    encoder: Mapping[str, Mapping[int, float]], decoder: Mapping[str, Mapping[int, float]], share: Mapping[int, float]
) -> Figure:
    """Signal to noise of gradients by estimator and k, and the share of k samples that count by k."""
    figure, [[left, middle, right]] = panels(1, 3, 3.9, 3.5)
    for axes, found, title in ((left, encoder, "the encoder's gradient"), (middle, decoder, "the decoder's gradient")):
        for name, by_k in found.items():
            color, style, size, label = ESTIMATORS[name]
            axes.loglog(list(by_k), list(by_k.values()), style, color=color, ms=size, label=label)
        axes.set(title=title, ylabel="signal to noise")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.legend()
    right.plot(list(share), list(share.values()), "o-", color=INK, ms=5)
    right.set(title="weighted samples that count", ylabel="ESS / k", xscale="log", ylim=(0, 1.05))
    for axes in (left, middle, right):
        _samples(axes, list(share))
    return figure


def _samples(axes: Axes, ks: Sequence[int]) -> None:
    """The axis of k, as whole numbers."""
    axes.set_xlabel("samples k of each example")
    axes.xaxis.set_major_locator(FixedLocator(list(ks)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(ScalarFormatter())
