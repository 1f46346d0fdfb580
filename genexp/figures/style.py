"""One look for every figure: the palette of Okabe & Ito (2008), which colour-blind readers can tell apart."""

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1b2a41"
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
SKY = "#56B4E9"
GREY = "#8a8f98"
DENSITY = "viridis"

_STYLE = {"font.size": 9, "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}


def panels(rows: int, columns: int, width: float = 3.4, height: float = 3.4) -> tuple[Figure, list[list[Axes]]]:
    """A figure of rows × columns axes, each `width` × `height` inches. No pyplot, so nothing is kept alive."""
    with rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False).tolist()


def plane(axes: Axes, title: str, limit: float = 1.0) -> None:
    """Axes of the (x, y) plane, equal scales, [−limit, limit]²."""
    axes.set(title=title, xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x", ylabel="y")


def classes(number: int) -> list[str]:
    """A colour for each of `number` classes: Okabe & Ito's eight and two greys, then again from the start."""
    palette = [BLUE, "#E69F00", GREEN, ORANGE, SKY, "#CC79A7", "#F0E442", "#000000", GREY, "#7a4a1d"]
    return [palette[index % len(palette)] for index in range(number)]
