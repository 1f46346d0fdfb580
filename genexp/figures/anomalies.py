"""A picture of how other pictures are told from test pictures, by several scores."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from matplotlib.figure import Figure

from genexp.figures.images import mosaic
from genexp.figures.style import INK, classes, drawn, figure_of

BINS = 60
ALIKE = 0.5  # share in one bin: of a set whose pictures all have the same score, whose bar goes beyond the axes


@drawn
def told_apart(
    examples: Mapping[str, np.ndarray],
    scores: Mapping[str, Mapping[str, np.ndarray]],
    aurocs: Mapping[str, Mapping[str, float]],
    mark: float,
) -> Figure:
    """A few pictures of each set over histograms of each score.

    Args:
        examples: by set, (8, channels, height, width) each; the first set is that of the test pictures.
        scores: by score, by set, (n,) each, nats.
        aurocs: by score, by set, of telling it from the first.
        mark: the mean of the first score over training pictures, shown on its axis.
    """
    colors = dict(zip(examples, classes(len(examples)), strict=True))
    figure = figure_of(4.0 * len(scores), 5.6)
    above, below = cast(np.ndarray, figure.subfigures(2, 1, height_ratios=[1.15, 3]))
    for axes, (name, pictures) in zip(np.atleast_1d(above.subplots(1, len(examples))), examples.items(), strict=True):
        axes.imshow(mosaic(pictures.reshape(2, -1, *pictures.shape[1:])), interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, color=colors[name], weight="bold")
        for spine in axes.spines.values():
            spine.set(visible=True, color=colors[name], linewidth=2)
    for index, (axes, (score, found)) in enumerate(
        zip(np.atleast_1d(below.subplots(1, len(scores))), scores.items(), strict=True)
    ):
        every = np.concatenate([*found.values()])
        low, high = np.quantile(every, [0.002, 0.998])
        edges = np.linspace(low, max(high, low + 1e-6 * max(1, abs(low))), BINS)
        top = []
        for name, values in found.items():
            word = name if name not in aurocs[score] else f"{name}: {aurocs[score][name]:.3f}"
            shown = np.clip(values, edges[0], edges[-1])
            heights, _ = np.histogram(shown, edges)
            share = heights / len(values)
            top.append(float(share.max()))
            axes.stairs(share, edges, fill=True, alpha=0.45, color=colors[name])
            axes.stairs(share, edges, color=colors[name], linewidth=1.3, label=word)
        if index == 0:
            axes.axvline(mark, color=INK, linestyle="--", linewidth=1, label="mean of training pictures")
        broad = [height for height in top if height < ALIKE] or top
        axes.set(title=score, xlabel="nats", ylim=(0, 1.3 * max(broad)))
        axes.set_ylabel("share of the pictures" if index == 0 else "")
        axes.legend(title="AUROC against test", loc="upper right", fontsize=8, frameon=True, edgecolor="none")
    return figure
