"""Values on a grid belong to the middles of its cells, and are drawn there."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure

from genexp.figures import chains, densities, energies, gallery
from genexp.figures.style import Window

WINDOW = Window(0.0, 0.0, 2.0)
RISING = np.broadcast_to(np.arange(8.0), (8, 8))  # ln p of eight columns of cells, whose middles lie at −1.75, −1.25, … 1.75


def drawn_by(name: str) -> list[Axes]:
    """The axes in which a figure of densities has contours of RISING, each cell half a unit wide."""
    nothing = np.zeros((0, 2))
    if name == "chains":
        axes = Figure().subplots()
        chains.contours(axes, RISING, WINDOW)
        return [axes]
    if name == "samples":
        return densities.samples_over_contours(nothing, RISING, WINDOW).axes
    if name == "marginal":
        return densities.marginal(nothing, nothing, RISING, np.array([[-2.0, -2.0], [2.0, 2.0]]), ["x", "y"]).axes
    return energies.pulled([energies.Pull("", RISING, RISING)], WINDOW).axes[:1]


@pytest.mark.parametrize("name", ["chains", "samples", "marginal", "pulled"])
def test_contours_are_drawn_at_the_middles_of_cells(name: str) -> None:
    """Where a value belongs: between the edges of the window they would be stretched by half a cell on either side."""
    for axes in drawn_by(name):
        (found,) = [each for each in axes.collections if isinstance(each, QuadContourSet)]
        levels = {level: path.vertices[:, 0] for level, path in zip(found.levels, found.get_paths(), strict=True)}
        seen = {level: x for level, x in levels.items() if len(x)}
        assert len(seen) > 2
        for level, x in seen.items():
            assert x == pytest.approx(-1.75 + 0.5 * (level if level > 0 else level + 7))


def test_a_line_in_the_gallery_has_its_values_at_the_middles_of_cells() -> None:
    column = gallery.Column("line", np.arange(4.0), np.array([0.0, 4.0]))
    figure = gallery.gallery([column], {"model": [gallery.Cell(np.arange(8.0), "")]})
    lines = [line.get_xdata() for axes in figure.axes for line in axes.lines]
    assert any(np.array_equal(x, [0.5, 1.5, 2.5, 3.5]) for x in lines)
    assert any(np.array_equal(x, np.arange(8) / 2 + 0.25) for x in lines)
