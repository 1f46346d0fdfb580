"""Pictures of latents beside the known factors of the data."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from genexp.figures.style import drawn, panels

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscript(number: int) -> str:
    return str(number).translate(_SUBSCRIPTS)


@drawn
def information(shares: np.ndarray, latents: Sequence[str], factors: Sequence[str], gaps: np.ndarray) -> Figure:
    """What each latent (rows) says of each factor (columns), as a share of the factor's entropy; shares (latents, factors).

    `gaps`, (factors,): what the first latent says more than the second; their mean is the MIG.
    """
    figure, [[axes]] = panels(1, 1, 2.6 + 0.75 * len(factors), 1.6 + 0.42 * len(latents))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(*shares.shape):
        axes.text(
            column,
            row,
            f"{shares[row, column]:.2f}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.5 else "black",
            fontsize=9,
        )
    axes.set_xticks(range(len(factors)), [f"{name}\n{gap:.2f}" for name, gap in zip(factors, gaps, strict=True)])
    axes.set_yticks(range(len(latents)), latents)
    axes.set(title=f"what each latent says of each factor, MIG {gaps.mean():.2f}", xlabel="factor, and its gap")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="I(z; v) / H(v)")
    return figure
