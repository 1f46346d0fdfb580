"""Pictures of lattice fields: the fields themselves, how chains of them go, how they correlate."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator

from genexp.figures.style import BLUE, GREY, INK, ORANGE, drawn, figure_of, panels

GAP = 1  # sites between two fields of a sheet
COLOURS = (BLUE, ORANGE)  # of the model, of HMC


@dataclass(frozen=True)
class Measured:
    """Values at t = 0, 1, … and their standard errors."""

    mean: np.ndarray
    error: np.ndarray


@drawn
def sheets(fields: Mapping[str, np.ndarray], rows: int, columns: int) -> Figure:
    """Under each name rows × columns fields, (n, side, side); the colours are the same in all."""
    figure, [line] = panels(1, len(fields), 4.0, 3.9 * rows / columns + 0.3)
    figure.set_layout_engine("constrained", wspace=0.06)
    limit = max(float(np.quantile(np.abs(each), 0.995)) for each in fields.values())
    for axes, (title, each) in zip(line, fields.items(), strict=True):
        side = each.shape[1]
        framed = np.pad(each[: rows * columns], ((0, 0), (0, GAP), (0, GAP)), constant_values=np.nan)
        sheet = framed.reshape(rows, columns, side + GAP, side + GAP).swapaxes(1, 2).reshape(rows * (side + GAP), -1)
        shown = axes.imshow(sheet[:-GAP, :-GAP], cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    figure.colorbar(shown, ax=line, label="field φ", shrink=0.85, pad=0.02)
    return figure


@drawn
def histories(ways: Mapping[str, np.ndarray], several: Mapping[str, np.ndarray]) -> Figure:
    """The magnetisation along one chain of HMC and one of the model, (draws,), and on the right its distribution over all of them."""
    figure = figure_of(9.0, 2.3 * len(ways) + 0.4)
    grid = figure.subplots(len(ways), 2, sharex="col", sharey=True, squeeze=False, gridspec_kw={"width_ratios": (5, 1)})
    reach = 1.05 * max(float(np.abs(each).max()) for each in several.values())
    edges = np.linspace(-reach, reach, 61)
    for (left, right), (title, way), colour in zip(grid, ways.items(), COLOURS[::-1], strict=True):
        left.axhline(0, color=GREY, lw=0.6)
        left.plot(way, color=colour, lw=0.8)
        left.set(title=title, ylabel="magnetisation m", xlim=(0, len(way)), ylim=(-reach, reach))
        heights, _ = np.histogram(several[title], edges, density=True)
        right.stairs(heights, edges, orientation="horizontal", fill=True, color=colour, alpha=0.6)
        right.set_xticks([])
    grid[-1][0].set_xlabel("transition")
    grid[-1][1].set_xlabel("all chains")
    return figure


@drawn
def two_point(found: Mapping[str, Measured], truth: np.ndarray | None) -> Figure:
    """C(t) on a logarithmic axis; below, how far the first is off the last, or both off the free theory, in errors."""
    figure = figure_of(5.6, 5.2)
    top, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (2.4, 1)})
    last = [*found.values()][-1]
    base = last.mean if truth is None else truth
    t = np.arange(len(base))
    if truth is not None:
        top.plot(t, truth, color=INK, lw=1, ls="--", label="exact")
    below.axhspan(-2, 2, color=GREY, alpha=0.15, lw=0)
    below.axhline(0, color=GREY, lw=0.8)
    for shift, ((name, each), colour) in enumerate(zip(found.items(), COLOURS, strict=True)):
        place = t + 0.08 * (shift - 0.5)
        marks = {"color": colour, "fmt": "o" if shift == 0 else "s", "ms": 5, "capsize": 3}
        top.errorbar(place, each.mean, each.error, label=name, **marks)
        if each is not last or truth is not None:
            error = each.error if truth is not None else np.hypot(each.error, last.error)
            below.errorbar(place, (each.mean - base) / error, np.ones_like(base), **marks)
    top.set(ylabel="two-point function C(t)", yscale="log")
    top.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    top.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    top.yaxis.set_minor_formatter("")
    top.legend()
    below.set(xlabel="distance t, sites", ylabel="off, errors" if truth is not None else "off HMC, errors")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    bottom, above = below.get_ylim()
    below.set_ylim(min(bottom, -3.5), max(above, 3.5))
    return figure
