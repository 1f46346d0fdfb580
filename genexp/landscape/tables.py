"""What the page shows as tables, as Markdown for documentation: models at a glance, and every model on every toy."""

import math
from collections.abc import Sequence
from statistics import stdev

from genexp.compare.table import Table, markdown
from genexp.landscape.entries import NATS, Entry
from genexp.landscape.fields import Field, Group
from genexp.landscape.gallery import Grid
from genexp.landscape.glance import HEADER, between, glance

NUMBER = {True: "−ln p(x), nats", False: "−log₂ p(x), bits/dim"}


def in_markdown(fields: Sequence[Field], grid: Grid | None) -> str:
    """All of them, a heading each."""
    parts = []
    for field in fields:
        entropy = "" if field.floor is None else f" (entropy {field.floor:.4g})"
        parts.append(f"### {field.title.replace('_', ' ')}{entropy}\n\n{markdown(at_a_glance(field))}\n\n{note(field.entries)}")
    if grid is not None:
        shown = [group for row in grid.rows.values() for group in row if group is not None]
        parts.append(f"### Every model on every toy\n\n{markdown(on_toys(grid))}\n\n{note_of_toys(shown)}")
    return "\n\n".join(parts) + "\n"


def at_a_glance(field: Field) -> Table:
    """A row for each family, and under it one for each of its models; of a single one they would be the same."""
    rows = []
    for part in glance(field):
        cells = part.row.cells if len(part.models) > 1 else ["" for _ in part.row.cells]
        rows.append([part.family.title, *cells])
        rows += [[f"– {row.name}", *row.cells] for row in part.models]
    return Table(["model", NUMBER[field.unit == NATS], *HEADER], rows, numeric=[False] * (len(HEADER) + 2))


def on_toys(grid: Grid) -> Table:
    """KL in nats, mean ± sd over the seeds, and the seconds of the training of a row; at the end the nearest to the data."""
    rows = []
    for name, groups in grid.rows.items():
        seconds = between([group.seconds for group in groups if group is not None])
        rows.append([name, *map(kl_text, groups), seconds])
    of = {id(group): name for name, groups in grid.rows.items() for group in groups if group is not None}
    best = [of.get(id(grid.best(column)), "—") for column in range(len(grid.toys))]
    titles = [toy.field.title.replace("_", " ") for toy in grid.toys]
    numeric = [False] + [True] * (len(titles) + 1)
    return Table(["model", *titles, "training, CPU s"], rows, [["nearest", *best, ""]], numeric)


def kl_text(group: Group | None) -> str:
    if group is None:
        return "—"
    if group.distance == math.inf:
        return "no density"
    spread = f" ± {stdev(group.distances):.1g}" if len(group.distances) > 1 else ""
    return f"{group.sign}{group.distance:.2g}{spread}"


def note(entries: Sequence[Entry]) -> str:
    """How many runs, and what an asterisk means."""
    by_clock = any(not entry.on_cpu for entry in entries)
    return f"{len(entries)} runs; of each model the best configuration." + (" *: by the clock." if by_clock else "")


def note_of_toys(groups: Sequence[Group]) -> str:
    """What the cells are, and of how many seeds."""
    seeds = between([float(len(group.entries)) for group in groups])
    return (
        f"KL(data ‖ model), nats; {seeds} seed{'s' * (seeds != '1')}; of each model the configuration nearest to the data; where "
        "quadrature finds no number (a density with edges), that of the test examples; ≤: a bound."
    )
