"""One look for every figure: the palette of Okabe & Ito (2008), which colour-blind readers can tell apart."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from matplotlib import rc_context, rcParams, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK = "#1b2a41"
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
SKY = "#56B4E9"
GREY = "#8a8f98"
DENSITY = "viridis"

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


def panels(rows: int, columns: int, width: float = 3.4, height: float = 3.4) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows × columns axes, each `width` × `height` inches. No pyplot, so nothing is kept alive."""
    figure = OurFigure(figsize=(columns * width, rows * height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def plane(axes: Axes, title: str, limit: float = 1.0) -> None:
    """Axes of the (x, y) plane, equal scales, [−limit, limit]²."""
    axes.set(title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x", ylabel="y")


def classes(number: int) -> list[str]:
    """A colour for each of `number` classes: Okabe & Ito's eight and two greys, then again from the start."""
    palette = [BLUE, "#E69F00", GREEN, ORANGE, SKY, "#CC79A7", "#F0E442", "#000000", GREY, "#7a4a1d"]
    return [palette[index % len(palette)] for index in range(number)]
