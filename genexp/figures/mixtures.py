"""Gaussians of a mixture as ellipses in the plane."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from genexp.figures.style import GREY, ORANGE, Window, drawn, panels, square

SIGMAS = (1.0, 2.0)  # of the two ellipses of each Gaussian, which hold 39 % and 86 % of its mass
LIGHTEST = 0.15  # opacity of a component without weight


@drawn
def ellipses(
    points: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray, window: Window, title: str = ""
) -> Figure:
    """Components over points of the data (n, 2): weights (k,), means (k, 2), covariances (k, 2, 2); the heavier, the darker."""
    figure, [[axes]] = panels(1, 1, 4.8, 5.0)
    axes.plot(points[:, 0], points[:, 1], ",", color=GREY, alpha=0.5, rasterized=True)
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        variances, directions = np.linalg.eigh(covariance)
        widths, turned = 2 * np.sqrt(np.maximum(variances, 0)), np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
        opacity = LIGHTEST + (1 - LIGHTEST) * min(1.0, float(weight / weights.max()))
        for sigmas in SIGMAS:
            ellipse = Ellipse(tuple(mean), *(sigmas * widths), angle=float(turned), fill=False, ec=ORANGE, lw=1.4, alpha=opacity)
            axes.add_patch(ellipse)
        axes.plot(*mean, "+", color=ORANGE, ms=8, mew=1.6, alpha=opacity)
    square(axes, title or "components at 1 and 2 standard deviations", window)
    return figure
