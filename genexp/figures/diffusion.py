"""Diffusion: how fast each sampler comes near, paths along the ODE and the SDE, and what guidance does."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from genexp.figures.style import BLUE, GREY, INK, ORANGE, Window, as_image, classes, drawn, figure_of, middles, panels, square

TRAIL = 14  # frames that a trail is long


@dataclass(frozen=True)
class Curve:
    """Of one sampler: distances over numbers of evaluations (k,); `exact` in closed form and `tried` by drawing, on Gaussian data
    with exact scores; `learnt` on the run's data with the run's network.
    """

    name: str
    ode: bool
    evaluations: np.ndarray
    exact: np.ndarray
    tried: np.ndarray
    learnt: np.ndarray


@drawn
def distances(curves: Sequence[Curve], floor: float) -> Figure:
    """Left: lines in closed form, dots drawn; right: the run's own network, over the distance of two clouds of the data. Samplers
    that are one and the same under this schedule, as Euler and DDIM are under the straight one, share a line.
    """
    figure, [[left, right]] = panels(1, 2, 4.9, 4.3)
    for alike, colour in zip(same_lines(curves), classes(len(curves)), strict=False):
        curve = alike[0]
        line = "-" if curve.ode else "--"
        label = f"{' = '.join(each.name for each in alike)} ({'ODE' if curve.ode else 'SDE'})"
        left.plot(curve.evaluations, curve.exact, line, color=colour, lw=1.4, label=label)
        for each in alike:
            left.plot(each.evaluations, each.tried, "o", color=colour, ms=3.5)
        right.plot(curve.evaluations, curve.learnt, line, color=colour, lw=1.4, marker="o", ms=3.5, label=label)
    right.axhline(floor, color=INK, lw=1, ls=":")
    lowest = min(floor, *(float(curve.learnt.min()) for curve in curves))
    right.set_ylim(bottom=0.75 * lowest)
    left_end = (curves[0].evaluations[0], lowest)  # below which no line is
    right.annotate(
        "data beside other data", left_end, xytext=(0, -3), textcoords="offset points", va="top", color=INK, fontsize=8
    )
    left.set(title="Gaussian data, exact scores: lines in closed form, dots drawn", ylabel="W₂ to the data, their units")
    right.set(title="these data, the network's scores", ylabel="W₁ to the data, their units")
    for cell in (left, right):
        cell.set(xscale="log", yscale="log", xlabel="evaluations of the network")
        cell.set_xticks(curves[0].evaluations, [f"{count:.0f}" for count in curves[0].evaluations])
        cell.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    low = max(1e-4, min(float(curve.exact[curve.exact > 0].min(initial=1)) for curve in curves) / 2)
    left.set_ylim(bottom=low)
    left.legend(fontsize=8, loc="lower left")
    return figure


def same_lines(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Curves that agree in closed form, and by the network but for rounding, in one group."""
    found: list[list[Curve]] = []
    for curve in curves:
        for group in found:
            exact, learnt = (
                np.allclose(a, b, rtol)
                for a, b, rtol in zip((curve.exact, curve.learnt), (group[0].exact, group[0].learnt), (1e-6, 1e-3), strict=True)
            )
            if exact and learnt:
                group.append(curve)
                break
        else:
            found.append([curve])
    return found


@dataclass(frozen=True)
class Paths:
    """Points on their way, (k, n, dim), in coordinates of unit variance, by a sampler of that name."""

    name: str
    way: np.ndarray


@drawn
def coordinate_paths(paths: Sequence[Paths], share: np.ndarray, background: np.ndarray, limit: float) -> Figure:
    """The first coordinate over the share of the way, (k,), over its density at each time, `background` (bins, k)."""
    figure, [axes] = panels(1, len(paths), 5.2, 3.8)
    for cell, each in zip(axes, paths, strict=True):
        cell.imshow(
            background,
            extent=(0, 1, -limit, limit),
            origin="lower",
            aspect="auto",
            cmap="Greys",
            vmax=1.6 * float(np.quantile(background, 0.98)),
            interpolation="bilinear",
        )
        for index, colour in enumerate(classes(each.way.shape[1])):
            cell.plot(share, each.way[:, index, 0], color=colour, lw=1.2)
        cell.set(title=each.name, xlim=(0, 1), ylim=(-limit, limit), xlabel="from noise (0) to data (1)")
    axes[0].set_ylabel("first coordinate, unit variance")
    return figure


@drawn
def plane_frames(paths: Sequence[Paths], followed: int, limit: float, size: int) -> list[Image.Image]:
    """A frame for each time: all points as dots, and of the first few the way that they came."""
    frames, colours = [], classes(followed)
    for now in range(len(paths[0].way)):
        figure = figure_of(2 * size / 100, size / 100 + 0.3)
        figure.set_dpi(100)
        for cell, each in zip(figure.subplots(1, len(paths)), paths, strict=True):
            cell.plot(*each.way[now].T[:2], ls="", marker=".", ms=3, mew=0, color=INK, alpha=0.45)
            first = max(0, now - TRAIL)
            for index in range(followed):
                trail = each.way[first : now + 1, index]
                cell.plot(trail[:, 0], trail[:, 1], color=colours[index], lw=1.3)
                cell.plot(*trail[-1, :2], marker="o", ms=4, color=colours[index])
            square(cell, each.name, Window(0, 0, limit))
            cell.set(xticks=[], yticks=[], xlabel="", ylabel="")
        frames.append(as_image(figure))
    return frames


@dataclass(frozen=True)
class GuidedView:
    """At one weight: points (classes, n, 2), and ln of the tilted density of each class on a grid, (classes, side, side)."""

    weight: float
    points: np.ndarray
    exact: np.ndarray
    log_p: np.ndarray
    kl: tuple[float, float]
    exact_kl: tuple[float, float]


@drawn
def guidance(views: Sequence[GuidedView], window: Window) -> Figure:
    """A panel for each weight: samples over contours of what they should be; and at last the divergence over the weight."""
    shown = [view for view in views if view.weight > 0]
    figure = figure_of(2.7 * (len(shown) + 1.25), 5.6)
    grid = figure.add_gridspec(2, len(shown) + 1, width_ratios=[1] * len(shown) + [1.25])
    for column, view in enumerate(shown):
        for row, (points, what) in enumerate(((view.points, "learnt scores"), (view.exact, "exact scores"))):
            cell = figure.add_subplot(grid[row, column])
            cloud(cell, view, points, window)
            cell.set(xlabel="", ylabel="", xticks=[], yticks=[])
            cell.set_title(f"w = {view.weight:g}" if row == 0 else "")
            if column == 0:
                cell.set_ylabel(what)
    axes = figure.add_subplot(grid[:, -1])
    weights = [view.weight for view in views]
    axes.plot(weights, [view.exact_kl[0] for view in views], color=BLUE, lw=1.6, label="exact scores")
    means, errors = zip(*(view.kl for view in views), strict=True)
    axes.errorbar(weights, means, errors, color=ORANGE, marker="o", ls="", ms=4, label="learnt scores")
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(title="KL(samples ‖ p(x) p(y|x)ʷ / Z)", xlabel="weight w", ylabel="nats")
    axes.legend()
    return figure


def cloud(axes: Axes, view: GuidedView, points: np.ndarray, window: Window) -> None:
    """Points of each class in its colour, over contours of its tilted density that hold 39, 86 and 99 % if it were a Gaussian."""
    left, right, bottom, top = window.extent
    side = view.log_p.shape[1]
    x, y = middles(left, right, side), middles(bottom, top, side)
    for index, colour in enumerate(classes(len(points))):
        log_p = view.log_p[index]
        axes.contour(x, y, log_p - log_p.max(), levels=[-4.5, -2, -0.5], colors=colour, linewidths=0.9, linestyles="-")
        axes.plot(points[index, :, 0], points[index, :, 1], ls="", marker=".", ms=5, mew=0, color=colour, alpha=0.8)
    square(axes, "", window)
