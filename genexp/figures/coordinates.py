"""Pictures of points of any dimension: on a line, in the plane, and of more by their first coordinates."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from genexp.figures import points
from genexp.figures.style import BLUE, INK, ORANGE, Window, drawn, panels, plane

MARGIN = 1.15
MOST_PAIRS = 3  # of coordinates of points in more than two dimensions
UNIT = 1.15  # half the side of the square that is drawn of points in the unit square


def clouds(named: Mapping[str, np.ndarray]) -> Figure:
    """Clouds of points (n, dim) side by side: histograms, dots in the plane, or dots by pairs of neighbouring coordinates."""
    first, *_ = named.values()
    if first.shape[1] == 1:
        return histograms({name: x[:, 0] for name, x in named.items()})
    needed = reach(first)
    limit = 1.0 if needed == UNIT else needed
    if first.shape[1] == 2:
        return points.clouds(named, [Window(0, 0, limit)] * len(named))
    return pairs(named, limit)


@drawn
def histograms(named: Mapping[str, np.ndarray]) -> Figure:
    """The densities of numbers (n,), over one another."""
    everything = np.concatenate([*named.values()])
    low, high = np.quantile(everything, [0.0005, 0.9995])
    edges = np.linspace(low - 1e-6, high + 1e-6, 101)
    figure, [[axes]] = panels(1, 1, 5.2, 3.6)
    for (name, x), color in zip(named.items(), (INK, ORANGE, BLUE), strict=False):
        heights, _ = np.histogram(x, edges)
        axes.stairs(heights / len(x) / np.diff(edges), edges, color=color, label=f"{name}: {len(x):,} points")
    axes.set(xlabel="x", ylabel="density")
    axes.legend()
    return figure


@drawn
def pairs(named: Mapping[str, np.ndarray], limit: float) -> Figure:
    """One row for each cloud (n, dim), one column for each of the first pairs of neighbouring coordinates."""
    first, *_ = named.values()
    shown = [*pairwise(range(first.shape[1]))][:MOST_PAIRS]
    figure, axes = panels(len(named), len(shown), 3.4, 3.5)
    for row, (name, x) in zip(axes, named.items(), strict=True):
        for cell, (i, j) in zip(row, shown, strict=True):
            cell.plot(x[:, i], x[:, j], ",", color=INK, alpha=0.6, rasterized=True)
            plane(cell, f"{name}: {len(x):,} points", limit)
            cell.set(xlabel=f"x{i + 1}", ylabel=f"x{j + 1}")
    return figure


def reach(x: np.ndarray) -> float:
    """Half the side of the square that is drawn of points (n, dim): the unit square with a margin, or all points but one in a
    thousand.
    """
    most, all_but_few = np.quantile(np.abs(x).max(1), [0.9, 0.999])
    return UNIT if most < 1.1 else 1.1 * float(all_but_few)


def window_of(*clouds: np.ndarray) -> Window:
    """The square that holds clouds of points (n, 2), but for one point in a thousand, with a margin."""
    low = np.min([np.quantile(cloud, 0.001, axis=0) for cloud in clouds], axis=0)
    high = np.max([np.quantile(cloud, 0.999, axis=0) for cloud in clouds], axis=0)
    (x, y), half = (low + high) / 2, float((high - low).max()) / 2
    return Window(float(x), float(y), MARGIN * max(half, 1e-9))


def in_plane(x: np.ndarray) -> np.ndarray:
    """Points (…, n, dim) as points of the plane (…, n, 2): their first two coordinates; on a line, the other is their place in
    the sequence, spread over the height.
    """
    if x.shape[-1] >= 2:
        return x[..., :2]
    across = np.abs(x).max(initial=1e-9) * np.linspace(-1, 1, x.shape[-2])
    return np.concatenate([x, np.broadcast_to(across[:, None], x.shape)], axis=-1)
