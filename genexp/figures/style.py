"""One look for every figure: the palette of Okabe & Ito (2008), which colour-blind readers can tell apart."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np
from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

INK = "#1b2a41"
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
SKY = "#56B4E9"
GREY = "#8a8f98"
DENSITY = "viridis"
MARKS = 5  # or a few less on each side of a part of the plane, so that their numbers do not touch
LONGEST = 40  # characters of a name beside an axis

_STYLE = {"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
_OURS = {name: value for name, value in rcParamsDefault.items() if name != "backend"} | _STYLE
P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def _our_settings() -> Iterator[None]:
    """matplotlib's defaults and ours, whatever a matplotlibrc, a style or a program has set; afterwards as it was."""
    with rc_context():
        dict.update(cast(dict[str, Any], rcParams), _OURS)  # checked values, as rc_context itself puts back the old ones
        yield


def drawn(draw: Callable[P, R]) -> Callable[P, R]:
    """Decorator of every function that draws with matplotlib: our settings hold in it."""

    @wraps(draw)
    def with_our_settings(*arguments: P.args, **named: P.kwargs) -> R:
        with _our_settings():
            return draw(*arguments, **named)

    return with_our_settings


class OurFigure(Figure):
    """A figure that is also saved with our settings: much of it (ticks, layout) is drawn only then."""

    def savefig(self, *arguments: Any, **named: Any) -> None:
        with _our_settings():
            super().savefig(*arguments, **named)


def figure_of(width: float, height: float) -> Figure:
    """A figure of so many inches, to be drawn in by a function that is @drawn. No pyplot, so nothing is kept alive."""
    figure = OurFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(rows: int, columns: int, width: float = 3.4, height: float = 3.4) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows × columns axes, each `width` × `height` inches."""
    figure = figure_of(columns * width, rows * height)
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def plane(axes: Axes, title: str, limit: float = 1.0) -> None:
    """Axes of the (x, y) plane, equal scales, [−limit, limit]²."""
    axes.set(title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x", ylabel="y")
    axes.locator_params(nbins=MARKS)


@dataclass(frozen=True)
class Window:
    """A square part of the plane: its middle, and half its side."""

    x: float
    y: float
    half: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top: as matplotlib's imshow has it."""
        return self.x - self.half, self.x + self.half, self.y - self.half, self.y + self.half

    @property
    def corners(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The lower left and the upper right one."""
        left, right, bottom, top = self.extent
        return (left, bottom), (right, top)


def middles(low: float, high: float, count: int) -> np.ndarray:
    """Of so many cells between the two, where values on a grid belong."""
    return low + (np.arange(count) + 0.5) * (high - low) / count


def square(axes: Axes, title: str, window: Window) -> None:
    """Axes of that part of the (x, y) plane, equal scales."""
    left, right, bottom, top = window.extent
    axes.set(title=title, xlim=(left, right), ylim=(bottom, top), aspect="equal", xlabel="x", ylabel="y")
    axes.locator_params(nbins=MARKS)


def label(column: str) -> str:
    """A user's name of a column, as text: no mathematics is read into it."""
    return column[:LONGEST].replace("$", r"\$")


def as_image(figure: Figure) -> Image.Image:
    """A figure as a Pillow image, in its own resolution: a frame of a film."""
    with _our_settings():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    return Image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")


def classes(number: int) -> list[str]:
    """A colour for each of `number` classes: Okabe & Ito's eight and two greys, then again from the start."""
    palette = [BLUE, "#E69F00", GREEN, ORANGE, SKY, "#CC79A7", "#F0E442", "#000000", GREY, "#7a4a1d"]
    return [palette[index % len(palette)] for index in range(number)]
