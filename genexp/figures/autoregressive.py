"""Pictures of autoregressive models: what each number costs, what it sees, and how an example comes about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from genexp.figures.images import to_bytes
from genexp.figures.style import DENSITY, INK, ORANGE, SKY, as_image, drawn, figure_of, panels

COLUMNS = 88  # characters of a line
SIZE, ADVANCE = 10, 0.602  # points, and the width of a character of DejaVu Sans Mono in these
SEEN = "magma"
LETTER: dict[str, Any] = {"ha": "center", "va": "center", "family": "DejaVu Sans Mono", "fontsize": SIZE, "parse_math": False}
TINT = (1.0, 0.72, 0.35)  # of white, where it was drawn
MISSING = (226, 230, 238)
NEVER = "#e9e9ec"  # where a number never looks
BARE: dict[str, Any] = {"xticks": [], "yticks": []}


@dataclass(frozen=True)
class Scale:
    """Of the colours of a text: from 0 to `top`, and what is `beyond`, in matplotlib's words."""

    colours: str
    top: float
    label: str
    beyond: Literal["max", "neither"] = "neither"


COSTS = Scale("OrRd", 8.0, "−ln p of a character, nats", "max")
SHARES = Scale("PuBu", 1.0, "share of p that the tables of counts gave")


@drawn
def pixel_costs(pictures: np.ndarray, nats: np.ndarray, mean: np.ndarray) -> Figure:
    """Pictures (n, channels, height, width) over what each pixel costs, (n, height, width); beside them the mean."""
    count = len(pictures)
    figure = figure_of(1.45 * count + 4.9, 3.6)
    left, right = cast(np.ndarray, figure.subfigures(1, 2, width_ratios=[1.45 * count + 0.6, 4.3]))
    top = float(np.quantile(nats, 0.995))
    axes = left.subplots(2, count, squeeze=False)
    for index in range(count):
        axes[0, index].imshow(to_bytes(pictures[index]), interpolation="nearest")
        shown = axes[1, index].imshow(nats[index], cmap=SEEN, vmin=0, vmax=top, interpolation="nearest")
        axes[1, index].set(xlabel=f"{nats[index].sum():.1f} nats")
        for row in (0, 1):
            axes[row, index].set(**BARE)
    left.suptitle("test pictures, and what each pixel costs given those before it", fontsize=10)
    left.colorbar(shown, ax=axes.ravel().tolist(), label="nats", aspect=30, fraction=0.04)
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
        axes.set(title=name or "what the pixel in orange sees", **BARE, facecolor=NEVER)
    figure.colorbar(shown, ax=row, label="log₁₀ of the gradient, largest = 0; grey: exactly none", shrink=0.85)
    return figure


def _square(place: tuple[int, int]) -> Rectangle:
    return Rectangle((place[1] - 0.5, place[0] - 0.5), 1, 1, fill=False, edgecolor=ORANGE, linewidth=2.5)


@drawn
def attention_maps(maps: Mapping[str, np.ndarray], names: Sequence[str]) -> Figure:
    """Attention (length, length) by name: who looks (down) at whom (to the right); `names` are the places."""
    figure, [row] = panels(1, len(maps), 4.1, 4.4)
    later = np.triu(np.ones((len(names), len(names)), bool), 1)
    letters: dict[str, Any] = {"fontsize": 7, "family": "DejaVu Sans Mono"}
    for axes, (name, values) in zip(row, maps.items(), strict=True):
        shown = axes.imshow(np.where(later, np.nan, values), cmap=SEEN, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
        axes.set(title=name, facecolor=NEVER)
        axes.tick_params(length=0, pad=1)
        axes.set_xticks(range(len(names)), names, **letters)
        axes.set_yticks(range(len(names)), names if axes is row[0] else [], **letters)
        axes.spines[:].set_visible(False)
    row[0].set_ylabel("after this character the next one is drawn …")
    figure.supxlabel("… by what is read here", fontsize=9)
    figure.colorbar(shown, ax=row, label="share of the attention; grey: later, never seen", shrink=0.8)
    return figure


@drawn
def attention_over_picture(picture: np.ndarray, seen: np.ndarray, places: Sequence[tuple[int, int]]) -> Figure:
    """A picture (channels, height, width), and what each place looks at, (places, layers, height, width)."""
    layers, scale = seen.shape[1], PowerNorm(0.5, 0, float(seen.max()))
    figure, grid = panels(len(places), layers + 1, 1.9, 1.9)
    for row, place, maps in zip(grid, places, seen, strict=True):
        row[0].imshow(to_bytes(picture), interpolation="nearest")
        for layer, axes in enumerate(row[1:]):
            shown = axes.imshow(_before(maps[layer], place), cmap=SEEN, norm=scale, interpolation="nearest")
            axes.set_facecolor(NEVER)
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
def coloured_text(passages: Sequence[tuple[str, np.ndarray]], title: str, scale: Scale = COSTS) -> Figure:
    """Texts whose characters are coloured by a number of each, (characters,), in lines of 88 at most; a rule between two."""
    lines, ends = [], []
    for text, nats in passages:
        lines += [*_lines(text, nats), []]
        ends.append(len(lines) - 1)
    lines, ends = lines[:-1], ends[:-1]
    columns = max(40, *(len(line) for line in lines))
    wide, high = columns * ADVANCE * SIZE / 72, 0.2 * len(lines)
    figure = figure_of(wide + 1.3, high + 0.6)
    figure.set_layout_engine("none")  # each character on its cell
    axes = figure.add_axes((0.15 / (wide + 1.3), 0.15 / (high + 0.6), wide / (wide + 1.3), high / (high + 0.6)))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(len(lines) - 0.5, -0.5), **BARE)
    axes.spines[:].set_visible(False)
    colours = np.full((len(lines), columns), np.nan)
    for row, line in enumerate(lines):
        colours[row, : len(line)] = [value for _, value in line]
        for column, (character, _) in enumerate(line):
            axes.text(column, row, character, color="white" if line[column][1] > 0.62 * scale.top else INK, **LETTER)
    for row in ends:
        axes.axhline(row, color=INK, linewidth=0.8)
    cells = axes.imshow(colours, cmap=scale.colours, vmin=0, vmax=scale.top, aspect="auto", interpolation="nearest")
    axes.set_title(title)
    beside = figure.add_axes(((wide + 0.35) / (wide + 1.3), 0.15 / (high + 0.6), 0.15 / (wide + 1.3), high / (high + 0.6)))
    figure.colorbar(cells, cax=beside, label=scale.label, extend=scale.beyond)
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
def completed(truth: np.ndarray, known: np.ndarray, drawn_ones: np.ndarray) -> Figure:
    """Pictures (n, channels, height, width) of which the pixels `known` (height, width) are given, and what is drawn for the
    others, (n, completions, channels, height, width).
    """
    count = drawn_ones.shape[1]
    given = _tinted(truth, known)
    given[:, ~known] = MISSING
    columns = [given, to_bytes(truth), None, *(_tinted(each, known) for each in np.moveaxis(drawn_ones, 1, 0))]
    rows, gap = len(truth), 0.25
    figure = figure_of(2 + gap + count, rows + 0.4)
    ratios = [1.0, 1.0, gap, *[1.0] * count]
    grid = figure.subplots(rows, len(columns), squeeze=False, gridspec_kw={"width_ratios": ratios})
    for column, pictures in enumerate(columns):
        for row, axes in enumerate(grid[:, column]):
            axes.set(**BARE)
            axes.spines[:].set_visible(False)
            if pictures is not None:
                axes.imshow(pictures[row], interpolation="nearest")
    tinted = "; what is drawn is tinted" if truth.shape[1] == 1 else ""
    for column, name in ((0, "given"), (1, "itself"), (3 + (count - 1) // 2, f"{count} completions{tinted}")):
        grid[0, column].set_title(name, fontsize=9)
    return figure


def _tinted(pictures: np.ndarray, known: np.ndarray) -> np.ndarray:
    """In bytes (n, height, width, 3); of greys, those that are not known in the colour of what is drawn."""
    shown = to_bytes(pictures)
    if pictures.shape[1] == 1:
        shown[:, ~known] = np.round(shown[:, ~known] * np.asarray(TINT)).astype(np.uint8)
    return shown


def _before(values: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Of a picture row by row, what comes before the place; the rest is no number."""
    kept = values.astype(float)
    kept[place[0], place[1] :] = np.nan
    kept[place[0] + 1 :] = np.nan
    return kept


@drawn
def written(
    picture: np.ndarray, done: np.ndarray, p: np.ndarray, place: tuple[int, int] | None, value: int, wide: float = 7.0
) -> Image.Image:
    """A picture (channels, height, width) of which some pixels are `done`, the next one, p of its values, (levels,), and the one
    that is drawn; without a next one p was that of the last.
    """
    figure, [[left, right]] = panels(1, 2, wide / 2, wide / 2)
    shown = to_bytes(picture)
    shown[~done] = MISSING
    left.imshow(shown, interpolation="nearest")
    if place is not None:
        left.add_patch(_square(place))
    left.set(title=f"{int(done.sum())} of {done.size} pixels drawn", **BARE)
    levels = len(p)
    bars = right.bar(np.arange(levels), p, width=0.5 if levels == 2 else 0.9, color=SKY)
    bars[value].set_color(ORANGE)
    right.set(title="p(next pixel | all before it); orange: drawn", ylim=(0, 1), xlim=(-0.8, levels - 0.2))
    right.set_xticks([0, levels - 1], ["black", "white"])
    return as_image(figure)
