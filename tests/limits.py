"""Every numeric limit of every setting, read off the schemas: a new setting is among them by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genexp.registry import datasets, kinds, models
from genexp.settings import RunSettings

SIGNS = {"ge": 1, "gt": 1, "le": -1, "lt": -1}  # the way from a limit to the values that are allowed


PLACES = {  # of parts of parts, and of parts that are not called by their kind
    "model/time_grid": "model/solver/time_grid",
    "model/flow_objective": "model/objective",
    "model/local_kernel": "model/kernel/local",
    "model/energy_network": "model/network",
    "model/energy_objective": "model/objective",
}
STEP = 1e-9  # from a limit to a number that is as good as there


@dataclass(frozen=True)
class Limit:
    """One limit of the setting `key`. `component` is what has the key: `trainer`, `dataset=qr`, `model/prior=flow`, …; "" of the
    run itself.

    `value` is the last allowed value, with the setting's default around it where the number is part of a list; `beyond` the
    first that is not.
    """

    component: str
    key: str
    side: str
    value: Any
    beyond: Any

    @property
    def name(self) -> str:
        group = self.component.partition("=")[0]
        section = PLACES.get(group, group).replace("/", ".")
        return f"{section}.{self.key}" if section else self.key

    def __str__(self) -> str:
        return f"{self.component + ' ' if '=' in self.component else ''}{self.name}={self.value}"


def limits() -> list[Limit]:
    """All of them."""
    return [limit for component, schema in schemas().items() for limit in of_schema(component, schema)]


def schemas() -> dict[str, type[BaseModel]]:
    """What has settings → its schema."""
    sections: dict[str, type[BaseModel]] = {"": RunSettings}
    sections |= {name: RunSettings.model_fields[name].annotation for name in ("trainer", "evaluation", "figures")}
    models.names()  # reading the models brings the kinds of their parts
    groups = {"dataset": datasets, "model": models} | {f"model/{registry.kind}": registry for registry in kinds.values()}
    for group, registry in groups.items():
        sections |= {f"{group}={name}": registry.schema(name) for name in registry.names()}
    return sections


def of_schema(component: str, schema: type[BaseModel]) -> Iterator[Limit]:
    """Those of one section."""
    for key, field in schema.model_fields.items():
        found = numbers(field.annotation, field.metadata)
        for path, side, bound, whole in ((path, *limit, whole) for path, bounds, whole in found for limit in bounds.items()):
            step = SIGNS[side] * (1 if whole else STEP * max(1, abs(bound)))
            inner, outer = bound + step, bound - step
            last, first_wrong = (bound, outer) if side in ("ge", "le") else (inner, bound)
            value, beyond = (_placed(field.get_default(), path, number) for number in (last, first_wrong))
            yield Limit(component, key, side, value, beyond)


def numbers(
    annotation: Any, metadata: Any = (), path: tuple[int, ...] = ()
) -> Iterator[tuple[tuple[int, ...], dict[str, float], bool]]:
    """Where in a value there is a number, its limits (kind → number), and whether it is a whole one."""
    if get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        metadata = [*metadata, *more]
    if annotation in (int, float):
        flat = [inner for item in metadata for inner in (item.metadata if isinstance(item, FieldInfo) else [item])]
        bounds = {side: getattr(item, side) for item in flat for side in SIGNS if getattr(item, side, None) is not None}
        yield path, bounds, annotation is int
    elif get_origin(annotation) in (list, tuple):
        for index, part in enumerate(get_args(annotation)):
            yield from numbers(part, (), (*path, index))
    elif get_origin(annotation) is not Literal:  # of several kinds
        for part in get_args(annotation):
            yield from numbers(part, metadata, path)


def _placed(default: Any, path: tuple[int, ...], number: float) -> Any:
    """`default` with `number` in one of its places."""
    if not path:
        return number
    values = list(default or [0, 1])  # as many as any that is null, or empty, by default
    values[path[0]] = _placed(values[path[0]], path[1:], number)
    return values
