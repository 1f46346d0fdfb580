"""Name → builder, for data sets, models and their parts.

A component is registered under a name and built from the keys of its configuration. Its schema *is* the
keyword-only part of its constructor's signature: the annotations say type and range, the defaults say defaults.

    @models.register("my_model")
    class MyModel(GenerativeModel):
        def __init__(self, spec: DataSpec, *, width: PositiveInt = 64, prior: Part[Prior] = priors.part("standard")) -> None:
            self.prior = prior(latent)

A **part** is a component of a component that is itself chosen by name. The keyword's type says of which kind it is; its value
in a configuration is the mapping `{name: flow, blocks: 6, …}`, held to the schema of the member it names; and the constructor
builds it by calling it with what the base class of that kind says that its members are told. Parts nest.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, create_model

from genexp.discovery import read_module, read_modules
from genexp.errors import UserError, unknown
from genexp.settings import Strict, validate

T = TypeVar("T")
Builder = TypeVar("Builder", bound=Callable[..., Any])


class Registry(Generic[T]):
    """The components of one kind. Of `package` the module that bears a member's name is read when that is looked up; all of
    them where there is none, or where all names are asked for.

    Args:
        kind: what a message calls one of them.
        package: where they are; "" of a kind that a plugin brings.
        base: their base class, of a kind of parts: `Part[base]` is what a constructor takes.
    """

    def __init__(self, kind: str, package: str = "", base: type[T] | None = None) -> None:
        self.kind = kind
        self.package = package
        self._builders: dict[str, Callable[..., T]] = {}
        self._discovered = not package
        if base is not None:
            kinds[base] = self

    def register(self, name: str) -> Callable[[Builder], Builder]:
        """Decorator: make the class or function available under `name`."""

        def add(builder: Builder) -> Builder:
            if not builder.__module__.startswith("genexp."):  # a plugin's, which may not take a name that there is
                self._discover()
            taken = self._builders.get(name)
            if taken is not None and taken.__module__ != builder.__module__:
                raise UserError(f"{self.kind} '{name}' is registered twice: by {taken.__module__} and {builder.__module__}")
            self._builders[name] = builder
            return builder

        return add

    def __getitem__(self, name: str) -> Callable[..., T]:
        if name not in self._builders and not self._discovered:
            read_module(self.package, name)
        if name not in self._builders:
            self._discover()
        if name not in self._builders:
            raise unknown(self.kind, name, self._builders)
        return self._builders[name]

    def names(self) -> list[str]:
        self._discover()
        return sorted(self._builders)

    def name_of(self, component: T) -> str:
        """The name that the class of a component is registered under."""
        names = (name for name, builder in self._builders.items() if builder is type(component))
        return next(names, type(component).__name__)

    def schema(self, name: str) -> type[BaseModel]:
        """The configuration that component `name` accepts, read off its constructor; a part of it is any mapping here."""
        return schema_of(self[name], name)

    def parts(self, name: str) -> "dict[str, Registry[Any]]":
        """The keys of component `name` that are parts, and what each may be."""
        return parts_of(self[name])

    def part(self, name: str, **settings: Any) -> "Part[T]":
        """The member `name` with these settings, to be built later: what a constructor takes, and its default."""
        return Part(self, {"name": name, **settings})

    def validate(self, settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        """The settings, those of parts too, with defaults filled in; UserError for an unknown key, a wrong type or an unusable
        value. `where` they are in a configuration: `model.prior`.
        """
        where = where or self.kind
        name = settings.get("name")
        if not isinstance(name, str):
            raise UserError(f"{where}.name is missing", hint=f"there are: {', '.join(self.names())}")
        values = validate(self.schema(name), settings, where).model_dump()
        for key, registry in self.parts(name).items():
            values[key] = registry.validate(values[key], f"{where}.{key}")
        return values

    def build(self, settings: Mapping[str, Any], *context: Any) -> T:
        """Build the component that `settings["name"]` names; of `context` it gets as many positional arguments as it has."""
        keys = self.validate(settings)
        name = keys.pop("name")
        parts = {key: Part(registry, keys[key]) for key, registry in self.parts(name).items()}
        return self[name](*context[: _positional(self[name])], **{**keys, **parts})

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        read_modules(self.package)


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part that is chosen and not yet built: call it with what its kind is told."""

    registry: Registry[T]
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    def __call__(self, *context: Any) -> T:
        return self.registry.build(self.settings, *context)


@cache
def schema_of(builder: Callable[..., Any], name: str) -> type[BaseModel]:
    """A pydantic model of the keyword-only parameters of `builder`, and of the `name` that picks it."""
    parts = parts_of(builder)
    fields: dict[str, Any] = {"name": (Literal[name], name)}
    for key, (annotation, default) in _keywords(builder).items():
        if key in parts:
            annotation, default = dict[str, Any], dict(default.settings) if isinstance(default, Part) else default
        fields[key] = (annotation, ... if default is inspect.Parameter.empty else default)
    return create_model(f"{name}_settings", __base__=Strict, **fields)


@cache
def parts_of(builder: Callable[..., Any]) -> dict[str, Registry[Any]]:
    """The keyword-only parameters of `builder` of type Part[…], and the registry of each one's kind."""
    annotations = {key: annotation for key, (annotation, _) in _keywords(builder).items()}
    return {key: kinds[get_args(found)[0]] for key, found in annotations.items() if get_origin(found) is Part}


@cache
def _positional(builder: Callable[..., Any]) -> int | None:
    """How many positional arguments a class or a function takes; None of any number."""
    kinds = [found.kind for found in inspect.signature(builder).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)


def _keywords(builder: Callable[..., Any]) -> dict[str, tuple[Any, Any]]:
    """The keyword-only parameters of a class or a function: key → type and default."""
    function = builder.__init__ if inspect.isclass(builder) else builder
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.items()
    return {key: (hints[key], found.default) for key, found in parameters if found.kind is inspect.Parameter.KEYWORD_ONLY}


kinds: dict[type, Registry[Any]] = {}  # of parts, by their base class
datasets: Registry[Any] = Registry("dataset", "genexp.data")
models: Registry[Any] = Registry("model", "genexp.models")
