"""Density, sampling, training, latents at a glance: a row for each model, and one for each family over its models' rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from genexp.landscape.entries import COSTS, SIZE
from genexp.landscape.families import Family
from genexp.landscape.fields import Field, Group
from genexp.summary import number_text

HEADER = ("likelihood", "1,000 densities, s", "1,000 samples, s", "training, CPU s", "weights", "latents")


@dataclass(frozen=True)
class Row:
    """Cells as text; `group` is that of a model's row, and None in a family's."""

    name: str
    cells: tuple[str, ...]
    group: Group | None = None


@dataclass(frozen=True)
class Part:
    """A family: its row, and those of its models."""

    family: Family
    row: Row
    models: tuple[Row, ...]


def glance(field: Field) -> list[Part]:
    """The table of one field; its columns are the number and HEADER."""
    return [
        Part(family, _family(groups, field), tuple(_model(group, field) for group in groups))
        for family, groups in field.models().items()
    ]


def _model(group: Group, field: Field) -> Row:
    first = group.first
    costs = [group.mean(name) for name in COSTS]
    latents = first.declared.latents(first.data.dim)
    parameters = group.mean(SIZE)
    cells = (
        value_text(group, field),
        first.likelihood,
        *("—" if cost is None else two_digits(cost) for cost in costs),
        seconds_text(group),
        "—" if parameters is None else f"{parameters:,.0f}",
        latents,
    )
    return Row(first.model, cells, group)


def _family(groups: Sequence[Group], field: Field) -> Row:
    """The best of its numbers, and from the least to the most of the rest."""
    best = min(groups, key=lambda group: group.value if in_unit(group, field) else float("inf"))
    kinds = [kind for kind in ("exact", "estimate", "bound", "none") if any(group.first.likelihood == kind for group in groups)]
    latents = list(dict.fromkeys(group.first.declared.latents(group.first.data.dim) for group in groups))
    seconds = [group.seconds for group in groups]
    cells = (
        f"{value_text(best, field)} {best.first.model}" if in_unit(best, field) else "—",
        ", ".join(kinds),
        *(between([group.mean(name) for group in groups]) for name in COSTS),
        between(seconds),
        between([group.mean(SIZE) for group in groups]),
        "; ".join(latents),
    )
    return Row("", cells)


def in_unit(group: Group, field: Field) -> bool:
    return group.first.number is not None and group.first.number.unit == field.unit


def value_text(group: Group, field: Field) -> str:
    """Mean ± sd over the seeds; of a single run the number alone. A bound is said by its sign."""
    if not in_unit(group, field):
        return "—"
    spread = "" if group.sd is None else f" ± {group.sd:.1g} ({len(group.values)} seeds)"
    return f"{group.sign}{group.value:.4g}{spread}"


def seconds_text(group: Group) -> str:
    """CPU seconds; those of the clock have an asterisk."""
    if group.seconds is None:
        return "—"
    return f"{group.seconds:.3g}{'' if group.first.on_cpu else '*'}"


def between(values: Sequence[float | None]) -> str:
    """The least and the most of those that are known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return "—"
    low, high = two_digits(known[0]), two_digits(known[-1])
    return low if low == high else f"{low} to {high}"


def two_digits(value: float) -> str:
    return number_text(float(f"{value:.2g}"))
