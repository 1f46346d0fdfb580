"""Pictures of points of any dimension: on a line, in the plane, and of more by their first coordinates."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure

from genexp.figures import points
from genexp.figures.style import BLUE, INK, ORANGE, Window, drawn, label, panels, square

MARGIN = 1.15
HEADROOM = 1.15  # of the highest bar, for the legend
MOST_PAIRS = 3  # of coordinates of points in more than two dimensions
UNIT = 1.15  # half the side of the square that is drawn of points in the unit square


def clouds(named: Mapping[str, np.ndarray], columns: Sequence[str] = ()) -> Figure:
    """Clouds of points (n, dim) side by side: histograms, dots in the plane, or dots by pairs of neighbouring coordinates.

    `columns` are the coordinates' names, where each has a unit of its own.
    """
    first, *_ = named.values()
    if first.shape[1] == 1:
        return histograms({name: x[:, 0] for name, x in named.items()}, *columns)
    if first.shape[1] == 2 and not columns:
        needed = reach(first)
        return points.clouds(named, [Window(0, 0, 1.0 if needed == UNIT else needed)] * len(named))
    return pairs(named, columns)


@drawn
def histograms(named: Mapping[str, np.ndarray], column: str = "x") -> Figure:
    """The densities of numbers (n,), over one another."""
    everything = np.concatenate([*named.values()])
    low, high = np.quantile(everything, [0.0005, 0.9995])
    bins = int(min(100, 4 * min(map(len, named.values())) ** (1 / 3)))  # a few rows of a table are no hundred bars
    edges = np.linspace(low - 1e-6, high + 1e-6, max(bins, 1) + 1)
    figure, [[axes]] = panels(1, 1, 5.2, 3.6)
    for (name, x), color in zip(named.items(), (INK, ORANGE, BLUE), strict=False):
        heights, _ = np.histogram(x, edges)
        axes.stairs(heights / len(x) / np.diff(edges), edges, color=color, label=f"{name}: {len(x):,} points")
    axes.set(xlabel=label(column), ylabel="density", ylim=(0, HEADROOM * axes.dataLim.y1))
    axes.legend(ncols=len(named), loc="upper center", fontsize=8)
    return figure


@drawn
def pairs(named: Mapping[str, np.ndarray], columns: Sequence[str] = ()) -> Figure:
    """One row for each cloud (n, dim), one column for each of the first pairs of neighbouring coordinates: as far as the first
    cloud reaches, in equal scales or, of named `columns`, each in its own.
    """
    first, *_ = named.values()
    shown = [*pairwise(range(first.shape[1]))][:MOST_PAIRS]
    figure, axes = panels(len(named), len(shown), 3.4, 3.5)
    for row, (name, x) in zip(axes, named.items(), strict=True):
        for cell, (i, j) in zip(row, shown, strict=True):
            points.dots(cell, x[:, [i, j]])
            square(cell, f"{name}: {len(x):,} points", window_of(first[:, [i, j]]))
            cell.set(xlabel=f"x{i + 1}", ylabel=f"x{j + 1}")
            if columns:
                across, up = (window_of(first[:, [k, k]]).extent[:2] for k in (i, j))
                cell.set(xlim=across, ylim=up, aspect="auto", xlabel=label(columns[i]), ylabel=label(columns[j]))
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
