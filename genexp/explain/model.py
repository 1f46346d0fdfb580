"""What the model of a run is: its equation, what it is trained by, and the parts that were chosen."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from genexp.errors import UserError
from genexp.explain.sections import words_of
from genexp.registry import Registry, models, parts_of


@dataclass(frozen=True)
class Chosen:
    """A part: where it stands in the configuration, `posterior` or `solver.time_grid`; its name, and what it is in a line."""

    key: str
    name: str
    line: str


@dataclass(frozen=True)
class Explanation:
    """Equations are LaTeX. `objective` is empty of a model that learns nothing by an objective; `parts` are the other parts."""

    name: str
    short: str
    equations: tuple[str, ...]
    objective: tuple[str, ...]
    objective_name: str
    objective_short: str
    parts: tuple[Chosen, ...]


def explain(settings: Mapping[str, Any]) -> Explanation | None:
    """What is known of the model of these `settings`, the section `model` of a configuration; None of one that is not there (any
    more), as where it is a plugin's.
    """
    try:
        builder = models[str(settings.get("name"))]
    except UserError:
        return None
    own, parts = words_of(builder), [*_parts(builder, settings)]
    criterion = next((part for key, _, part in parts if key == "objective"), None)
    trained_by = words_of(criterion) if criterion else None
    return Explanation(
        name=str(settings["name"]),
        short=own.short,
        equations=own.equations,
        objective=own.objective or (trained_by.equations if trained_by else ()),
        objective_name=str(settings["objective"]["name"]) if trained_by else "",
        objective_short=trained_by.short if trained_by else "",
        parts=tuple(Chosen(key, name, words_of(part).first) for key, name, part in parts if part is not criterion),
    )


def _parts(
    builder: Callable[..., Any], settings: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Each part that is chosen, parts of parts among them: key, name, and what builds it."""
    registries: Mapping[str, Registry[Any]] = parts_of(builder)
    for key, registry in registries.items():
        chosen = settings.get(key)
        name = chosen.get("name") if isinstance(chosen, Mapping) else None
        if name in registry.names():
            yield f"{above}{key}", str(name), registry[str(name)]
            yield from _parts(registry[str(name)], chosen, f"{above}{key}.")  # type: ignore[arg-type]
