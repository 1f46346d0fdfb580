"""Pictures of autoregressive models: what each number costs, what it sees, and how an example comes about."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from genexp.figures.images import to_bytes
from genexp.figures.style import DENSITY, INK, ORANGE, as_image, drawn, figure_of, panels

COLUMNS = 88  # characters of a line
SIZE, ADVANCE = 10, 0.602  # points, and the width of a character of DejaVu Sans Mono in these
SEEN = "magma"
LETTER: dict[str, Any] = {"ha": "center", "va": "center", "family": "DejaVu Sans Mono", "fontsize": SIZE, "parse_math": False}
BARE: dict[str, Any] = {"xticks": [], "yticks": []}


@drawn
def pixel_costs(pictures: np.ndarray, nats: np.ndarray, mean: np.ndarray) -> Figure:
    """Pictures (n, channels, height, width) over what each pixel costs, (n, height, width); beside them the mean."""
    count = len(pictures)
    figure = figure_of(1.25 * count + 4.4, 3.3)
    left, right = cast(np.ndarray, figure.subfigures(1, 2, width_ratios=[1.25 * count, 4.4]))
    top = float(np.quantile(nats, 0.995))
    axes = left.subplots(2, count, squeeze=False)
    for index in range(count):
        axes[0, index].imshow(to_bytes(pictures[index]), interpolation="nearest")
        shown = axes[1, index].imshow(nats[index], cmap=SEEN, vmin=0, vmax=top, interpolation="nearest")
        axes[1, index].set(xlabel=f"{nats[index].sum():.1f} nats")
        for row in (0, 1):
            axes[row, index].set(**BARE)
    left.suptitle("test pictures, and what each pixel costs given those before it", fontsize=10)
    left.colorbar(shown, ax=axes[1, :].tolist(), label="nats", shrink=0.9)
    place = right.subplots()
    shown = place.imshow(mean, cmap=SEEN, vmin=0, interpolation="nearest")
    place.set(title=f"mean over the test pictures: {mean.sum():.1f} nats in all", **BARE)
    right.colorbar(shown, ax=place, label="nats", shrink=0.9)
    return figure


@drawn
def influences(maps: Mapping[str, np.ndarray], place: tuple[int, int]) -> Figure:
    """Gradients (height, width) with respect to each pixel, on a log scale, and the pixel at `place` that they are of."""
    figure, [row] = panels(1, len(maps), 3.6, 3.7)
    for axes, (name, values) in zip(row, maps.items(), strict=True):
        top = max(float(values.max()), 1e-30)
        with np.errstate(divide="ignore"):
            decades = np.log10(values / top)
        shown = axes.imshow(np.where(values > 0, decades, np.nan), cmap=DENSITY, vmin=-4, vmax=0, interpolation="nearest")
        axes.add_patch(_square(place))
        axes.set(title=name or "what the pixel in orange sees", **BARE, facecolor="#e9e9ec")
    figure.colorbar(shown, ax=row, label="log₁₀ of the gradient, largest = 0; grey: exactly none", shrink=0.85)
    return figure


def _square(place: tuple[int, int]) -> Rectangle:
    return Rectangle((place[1] - 0.5, place[0] - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5)


@drawn
def attention_maps(maps: np.ndarray, names: Sequence[str]) -> Figure:
    """Attention (layers, heads, length, length): who looks (down) at whom (to the right); `names` are the places."""
    layers, heads = maps.shape[:2]
    figure, grid = panels(layers, heads, 3.0, 3.1)
    for layer, row in enumerate(grid):
        for head, axes in enumerate(row):
            axes.imshow(np.sqrt(maps[layer, head]), cmap=SEEN, vmin=0, vmax=1, interpolation="nearest")
            axes.set(title=f"layer {layer + 1}, head {head + 1}", **BARE)
            axes.tick_params(length=0, pad=1)
            if layer == layers - 1:
                axes.set_xticks(range(len(names)), names, fontsize=6)
            if head == 0:
                axes.set_yticks(range(len(names)), names, fontsize=6)
    figure.supxlabel("is looked at")
    figure.supylabel("looks (what is drawn next)")
    return figure


@drawn
def attention_over_picture(picture: np.ndarray, seen: np.ndarray, places: Sequence[tuple[int, int]]) -> Figure:
    """A picture (channels, height, width), and what each place looks at, (places, layers, height, width)."""
    layers, scale = seen.shape[1], PowerNorm(0.5, 0, float(seen.max()))
    figure, grid = panels(len(places), layers + 1, 1.9, 1.9)
    for row, place, maps in zip(grid, places, seen, strict=True):
        row[0].imshow(to_bytes(picture), interpolation="nearest")
        for layer, axes in enumerate(row[1:]):
            shown = axes.imshow(maps[layer], cmap=SEEN, norm=scale, interpolation="nearest")
            if row is grid[0]:
                axes.set_title(f"layer {layer + 1}")
        for axes in row:
            axes.add_patch(_square(place))
            axes.set(**BARE)
    grid[0][0].set_title("test picture")
    figure.colorbar(
        shown, ax=[axes for row in grid for axes in row[1:]], label="share of what the pixel in orange looks at", shrink=0.6
    )
    return figure


@drawn
def coloured_text(text: str, nats: np.ndarray, title: str) -> Figure:
    """A text whose characters are coloured by what each costs, (characters,), in lines of 88."""
    lines = _lines(text, nats)
    wide, high = COLUMNS * ADVANCE * SIZE / 72, 0.2 * len(lines)
    figure = figure_of(wide + 1.3, high + 0.6)
    figure.set_layout_engine("none")  # each character on its cell
    axes = figure.add_axes((0.15 / (wide + 1.3), 0.15 / (high + 0.6), wide / (wide + 1.3), high / (high + 0.6)))
    axes.set(xlim=(-0.5, COLUMNS - 0.5), ylim=(len(lines) - 0.5, -0.5), **BARE)
    axes.spines[:].set_visible(False)
    colours = np.full((len(lines), COLUMNS), np.nan)
    for row, line in enumerate(lines):
        colours[row, : len(line)] = [cost for _, cost in line]
        for column, (character, _) in enumerate(line):
            axes.text(column, row, character, color=INK, **LETTER)
    cells = axes.imshow(colours, cmap="OrRd", vmin=0, vmax=8, aspect="auto", interpolation="nearest")
    axes.set_title(title)
    beside = figure.add_axes(((wide + 0.35) / (wide + 1.3), 0.15 / (high + 0.6), 0.15 / (wide + 1.3), high / (high + 0.6)))
    figure.colorbar(cells, cax=beside, label="−ln p of a character, nats", extend="max")
    return figure


def _lines(text: str, nats: np.ndarray) -> list[list[tuple[str, float]]]:
    lines: list[list[tuple[str, float]]] = [[]]
    for character, cost in zip(text, nats.tolist(), strict=True):
        if len(lines[-1]) == COLUMNS:
            lines.append([])
        lines[-1].append(("↵" if character == "\n" else character if character.isprintable() else "?", cost))
        if character == "\n":
            lines.append([])
    return [line for line in lines if line]


@drawn
def written(picture: np.ndarray, done: np.ndarray, p: np.ndarray, place: tuple[int, int], wide: float = 6.4) -> Image.Image:
    """A picture (channels, height, width) of which some pixels are `done`, the next one, and p of its values, (levels,)."""
    figure, [[left, right]] = panels(1, 2, wide / 2, wide / 2)
    shown = to_bytes(picture).astype(float)
    shown[~done] = (226, 230, 238)
    left.imshow(shown.astype(np.uint8), interpolation="nearest")
    left.add_patch(_square(place))
    left.set(title=f"{int(done.sum())} of {done.size} pixels drawn", **BARE)
    levels = len(p)
    right.bar(np.arange(levels) / max(levels - 1, 1), p, width=0.9 / max(levels - 1, 1), color=ORANGE)
    right.set(title="p(next pixel | all before it)", xlabel="grey", ylim=(0, 1), xlim=(-0.5 / levels - 0.05, 1.05 + 0.5 / levels))
    return as_image(figure)
