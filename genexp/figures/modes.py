"""How many of the samples are in each mode."""

import numpy as np
from matplotlib.figure import Figure

from genexp.figures.style import BLUE, INK, ORANGE, drawn, figure_of


@drawn
def shares(found: np.ndarray, masses: np.ndarray, lost: np.ndarray) -> Figure:
    """Bars: the share of the samples in each mode (k,), beside its exact mass; `lost` (k,) are those that have next to none."""
    figure = figure_of(max(4.2, 2.4 + 0.17 * len(masses)), 3.2)
    axes, at = figure.subplots(), np.arange(1, len(masses) + 1)
    axes.bar(at, found, width=0.7, color=BLUE, alpha=0.85, label="samples")
    axes.hlines(masses, at - 0.45, at + 0.45, color=INK, lw=1.6, label="exact mass")
    if lost.any():
        axes.plot(at[lost], masses[lost], "x", color=ORANGE, ms=8, mew=2, label="lost")
    title = f"{int((~lost).sum())} of {len(masses)} modes found"
    axes.set(title=title, xlabel="mode", ylabel="share of the samples", xlim=(0.3, len(masses) + 0.7))
    axes.set_ylim(0, 1.25 * float(max(found.max(), masses.max())))
    axes.set_xticks(at if len(at) <= 8 else at[4::5])
    axes.legend(ncols=3, loc="upper center")
    return figure
