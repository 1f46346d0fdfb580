"""Name → builder, for data sets and models.

A component is registered under a name and built from the keys of its configuration. Its schema *is* the
keyword-only part of its constructor's signature: the annotations say type and range, the defaults say defaults.

    @models.register("my_model")
    class MyModel(GenerativeModel):
        def __init__(self, spec: DataSpec, *, width: PositiveInt = 64) -> None: ...
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, create_model

from genexp.errors import UserError, unknown
from genexp.settings import Strict, validate

T = TypeVar("T", bound=Callable[..., Any])


class Registry:
    """The components of one kind. Every module of `package` is imported the first time a name is looked up."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._builders: dict[str, Callable[..., Any]] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: make the class or function available under `name`."""

        def add(builder: T) -> T:
            taken = self._builders.get(name)
            if taken is not None and taken.__module__ != builder.__module__:
                raise UserError(f"{self.kind} '{name}' is registered twice: by {taken.__module__} and {builder.__module__}")
            self._builders[name] = builder
            return builder

        return add

    def __getitem__(self, name: str) -> Callable[..., Any]:
        self._discover()
        if name not in self._builders:
            raise unknown(self.kind, name, self._builders)
        return self._builders[name]

    def names(self) -> list[str]:
        self._discover()
        return sorted(self._builders)

    def schema(self, name: str) -> type[BaseModel]:
        """The configuration that component `name` accepts, read off its constructor."""
        return schema_of(self[name], name)

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings with defaults filled in; UserError for an unknown key, a wrong type or an unusable value."""
        name = settings.get("name")
        if not isinstance(name, str):
            raise UserError(f"{self.kind}.name is missing", hint=f"there are: {', '.join(self.names())}")
        return validate(self.schema(name), settings, self.kind).model_dump()

    def build(self, settings: Mapping[str, Any], *context: Any) -> Any:
        """Build the component that `settings["name"]` names; `context` are its positional arguments."""
        keys = self.validate(settings)
        return self[keys.pop("name")](*context, **keys)

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self.package}.{module.name}")


@cache
def schema_of(builder: Callable[..., Any], name: str) -> type[BaseModel]:
    """A pydantic model of the keyword-only parameters of `builder`, and of the `name` that picks it."""
    function = builder.__init__ if inspect.isclass(builder) else builder
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {"name": (Literal[name], name)}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter.name] = (hints[parameter.name], default)
    return create_model(f"{name}_settings", __base__=Strict, **fields)


datasets = Registry("dataset", "genexp.data")
models = Registry("model", "genexp.models")
