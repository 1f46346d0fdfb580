"""Pictures of classifications."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from genexp.figures.style import drawn, panels


@drawn
def confusion(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """How many of each class (rows) were taken for each class (columns), counts (classes, classes)."""
    figure, [[axes]] = panels(1, 1, 2.4 + 0.45 * len(names), 2.0 + 0.45 * len(names))
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    accuracy = np.trace(counts) / max(counts.sum(), 1)
    axes.set(title=f"test pictures: {accuracy:.1%} right", xlabel="taken for", ylabel="is")
    return figure
