"""Every divergence between a density and an altered one; and what samples tell of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from genexp.figures.style import BLUE, GREEN, GREY, INK, ORANGE, SKY, classes, drawn, figure_of, panels

SHADES = (SKY, GREEN, ORANGE)  # of q, the further the warmer
COLOURS = (0, 1, 2, 3, 4, 5, 7, 9)  # of the palette, those that are seen as lines on white
LEAST = 1e-3  # of a logarithmic axis of divergences: below it they are as good as 0
CLOSE = 0.5  # of the exact value: errors that are shaded


@dataclass(frozen=True)
class Altered:
    """Amounts (k,) of one alteration: over x (n,) the density p (n,) and altered ones q (k, n); curves (k,) by their symbols."""

    title: str
    axis: str
    logarithmic: bool
    amounts: np.ndarray
    x: np.ndarray
    p: np.ndarray
    q: np.ndarray
    curves: Mapping[str, np.ndarray]

    @property
    def shrinks(self) -> bool:
        """Whether amounts fall by powers of ten."""
        return self.logarithmic and bool(self.amounts[-1] < self.amounts[0])


@drawn
def altered(ways: Sequence[Altered], now: Sequence[int] | None = None) -> Figure:
    """A column for each way: the density and altered ones above, all divergences below.

    `now`: one place of each way alone, as in a film; else three places, marked alike above and below.
    """
    figure = figure_of(4.0 * len(ways) + 1.1, 6.4)
    grid = GridSpec(2, len(ways), figure=figure, height_ratios=(1, 1.7))
    top = 1.6 * max(max(float(np.nanmax(curve[np.isfinite(curve)], initial=0)) for curve in way.curves.values()) for way in ways)
    colours = [classes(10)[index] for index in COLOURS]
    rows: list[Axes] = []
    for column, way in enumerate(ways):
        last = len(way.amounts) - 1
        places = np.linspace(last / 3, last, 3).round().astype(int).tolist() if now is None else [now[column]]
        shades = SHADES if now is None else (ORANGE,)
        above = figure.add_subplot(grid[0, column])
        _densities(above, way, places, shades, first=column == 0)
        below = figure.add_subplot(grid[1, column])
        rows = [above, below]
        for number, (symbol, curve) in enumerate(way.curves.items()):
            shown = np.where(np.isfinite(curve) & (curve > LEAST / 2), curve, np.nan)
            below.plot(
                way.amounts,
                shown,
                color=colours[number % len(colours)],
                lw=2,
                ls="-" if number % 2 == 0 else (0, (5, 1.2)),
                label=symbol,
            )
            if now is not None:
                below.plot(way.amounts[now[column]], shown[now[column]], "o", color=colours[number % len(colours)], ms=5)
        for place, shade in zip(places, shades, strict=True):
            below.axvline(way.amounts[place], color=shade, lw=1, ls=":" if now is None else "-", zorder=0)
        below.set(xlabel=way.axis, yscale="log", ylim=(LEAST, max(top, 10 * LEAST)))
        if way.shrinks:
            below.set(xscale="log", xlim=(way.amounts[0], way.amounts[-1]))
        else:
            below.set_xlim(way.amounts[0], way.amounts[-1])
        below.grid(axis="y", color=GREY, alpha=0.25, lw=0.6)
        if column == 0:
            below.set_ylabel("divergence: nats, units of x, or none")
        else:
            below.tick_params(labelleft=False)
    handles = {label: handle for axes in rows for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend([*handles.values()], [*handles], loc="outside right center", fontsize=10)
    return figure


def _densities(axes: Axes, way: Altered, places: Sequence[int], shades: Sequence[str], first: bool) -> None:
    axes.fill_between(way.x, way.p, color=GREY, alpha=0.4, lw=0, label="p")
    for place, shade in zip(places, shades, strict=True):
        axes.plot(way.x, way.q[place], color=shade, lw=1.8, label="q" if place == places[-1] else None)
    seen = np.maximum(way.p, way.q.max(0)) > 0.004 * float(way.p.max())
    low, high = way.x[seen][[0, -1]]
    top = max(float(way.p.max()), float(way.q.max()))
    axes.set(title=way.title, xlabel="x", xlim=(low, high), ylim=(0, 1.12 * top))
    if way.shrinks:  # a small mode is seen by its power of ten
        axes.set(yscale="log", ylim=(0.01 * float(way.p.max()) * way.amounts[-1], 3 * top), title=f"{way.title} (powers of ten)")
    if first:
        axes.set_ylabel("density")


@dataclass(frozen=True)
class Estimated:
    """What estimates of one divergence are, as shares of its exact value in the same dimension.

    By size: those of samples alone, for `sizes` (s,) in some `dimensions_shown` (t,), mean and spread (t, s). By dimension (d,),
    of the most samples: by what is given, mean and spread (d,); and of two clouds that are alike (d,). `reach`: up to which
    dimension samples alone give an estimate.
    """

    symbol: str
    sizes: Sequence[int]
    dimensions_shown: Sequence[int]
    by_size: Sequence[tuple[np.ndarray, np.ndarray]]
    dimensions: Sequence[int]
    by_dimension: Mapping[str, tuple[np.ndarray, np.ndarray]]
    alike: np.ndarray
    reach: int


@drawn
def by_size(found: Sequence[Estimated]) -> Figure:
    """A panel for each divergence: estimate over exact value against the number of samples, in a few dimensions."""
    figure, grid = panels(-(-len(found) // 4), min(len(found), 4), 3.0, 2.7)
    cells = _used(grid, len(found))
    for axes, each in zip(cells, found, strict=False):
        for dim, (mean, spread), colour in zip(each.dimensions_shown, each.by_size, (BLUE, GREEN, ORANGE), strict=False):
            _band(axes, np.array(each.sizes), mean, spread, colour, f"{dim} dimension{'s' * (dim > 1)}")
        _finish(axes, each.symbol, each.sizes, "samples of each", [*(mean for mean, _ in each.by_size)])
    figure.legend(*cells[0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


@drawn
def by_dimension(found: Sequence[Estimated], size: int, given: Sequence[str]) -> Figure:
    """A panel for each divergence: estimate over exact value against the dimension, at the largest size."""
    figure, grid = panels(-(-len(found) // 4), min(len(found), 4), 3.0, 2.7)
    cells = _used(grid, len(found))
    for axes, each in zip(cells, found, strict=False):
        dims = np.array(each.dimensions)
        axes.plot(dims, each.alike, color=GREY, lw=1.5, ls="--", marker=".", label="samples alone, p = q: 0 is right")
        for name, colour in zip(given, (BLUE, GREEN), strict=False):
            if name in each.by_dimension:
                _band(axes, dims, *each.by_dimension[name], colour, name)
        means = [each.alike, *(mean for mean, _ in each.by_dimension.values())]
        _finish(axes, each.symbol, each.dimensions, f"dimension, {size} samples", means)
        if each.reach < max(each.dimensions):
            later = [dim for dim in each.dimensions if dim > each.reach]
            edge = (max(each.reach, 0.7 * later[0]) * later[0]) ** 0.5 if each.reach else later[0] / 1.3
            axes.axvspan(edge, 1.4 * max(each.dimensions), color=ORANGE, alpha=0.10, lw=0, label="no estimate")
    handles = {label: handle for axes in cells for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend([*handles.values()], [*handles], loc="outside lower center", ncols=5)
    return figure


def _used(grid: Sequence[Sequence[Axes]], count: int) -> list[Axes]:
    """The first `count` panels, in rows; what is left of the last row is not shown."""
    every = [axes for row in grid for axes in row]
    for axes in every[count:]:
        axes.set_axis_off()
    return every[:count]


def _band(axes: Axes, x: np.ndarray, mean: np.ndarray, spread: np.ndarray, colour: str, label: str) -> None:
    axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, lw=0)
    axes.plot(x, mean, color=colour, lw=1.8, marker="o", ms=3.5, label=label)


def _finish(axes: Axes, symbol: str, x: Sequence[int], what: str, means: Sequence[np.ndarray]) -> None:
    """Straight up to twice the exact value, and logarithmic beyond."""
    axes.axhspan(1 - CLOSE, 1 + CLOSE, color=GREY, alpha=0.15, lw=0)
    axes.axhline(1, color=INK, lw=1, ls="--")
    most, least = (float(fold([fold(mean) for mean in means])) for fold in (np.nanmax, np.nanmin))
    axes.set(title=symbol, xlabel=what, ylabel="estimate / exact", xscale="log")
    if most > 3 or least < -2:
        axes.set_yscale("symlog", linthresh=2, linscale=1.2)
        ticks = [-100, -10, -2, 0, 1, 2, 10, 100, 1000]
        axes.set_yticks(ticks, [str(tick) for tick in ticks])
        axes.set_yticks([], minor=True)
    axes.set_ylim(min(-0.6, 1.3 * least), max(2.2, 1.5 * most))
    axes.set_xticks([*x], [str(each) for each in x])
    axes.set_xticks([], minor=True)
    axes.set_xlim(x[0] / 1.15, x[-1] * 1.15)
