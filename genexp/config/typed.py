"""What was typed for a key that takes a text: that text, where Hydra's grammar would read a number, a list or an interpolation.

A key's kind is that of its field in the schema:

    TEXT   `str`, or names to choose from: outside a sweep the value is what stands after the first `=`, whatever it is
    TEXTS  a list of such: its elements, and in a sweep the values of a TEXT between commas, keep the digits that were typed
    None   anything else: Hydra reads it

`null` is no text where the field may be null; a pair of quotes around all of it is taken off, and 'null' in quotes is a text.
"""

import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import (
    CommonTokenStream,
    Functions,
    InputStream,
    OverrideLexer,
    OverrideParser,
    OverridesParser,
    create_functions,
)
from hydra.core.override_parser.overrides_visitor import HydraErrorListener, HydraOverrideVisitor
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString
from hydra.errors import HydraException
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genexp.config.catalogue import COMPONENTS, GROUPS, options
from genexp.errors import UserError
from genexp.settings import EvaluationSettings, FigureSettings, RunSettings, TrainerSettings, shown

TEXT, TEXTS = "text", "texts"
SECTIONS: dict[str, type[BaseModel]] = {
    "": RunSettings,
    "trainer": TrainerSettings,
    "evaluation": EvaluationSettings,
    "figures": FigureSettings,
}
OF_NUMBERS = ("range", "interval", "int", "float", "bool", "json_str", "sort")  # functions of Hydra's


def key_of(typed: str) -> str:
    """The key of an override as typed, without what stands before it: `+model.width=3` is of model.width."""
    return typed.partition("=")[0].lstrip("+~")


def kind_of(annotation: Any) -> str | None:
    """TEXT, TEXTS or None: what a field of this type takes."""
    if get_origin(annotation) is Annotated:
        return kind_of(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return TEXT if all(isinstance(choice, str) for choice in get_args(annotation)) else None
    if get_origin(annotation) in (Union, UnionType):
        kinds = {kind_of(part) for part in get_args(annotation) if part is not NoneType}
        return kinds.pop() if len(kinds) == 1 else None
    if get_origin(annotation) in (tuple, list):
        return TEXTS if {kind_of(part) for part in get_args(annotation) if part is not ...} == {TEXT} else None
    return TEXT if annotation is str else None


def annotation_of(key: str, values: Mapping[str, Any]) -> Any:
    """The type of a key's field in the schema; `values` say which data set and which model. None where there is no such key."""
    section, _, name = key.rpartition(".")
    if section.partition(".")[0] in COMPONENTS:
        fields = _component(section.split("."), values)
    else:
        fields = SECTIONS[section].model_fields if section in SECTIONS else {}
    return fields[name].annotation if name in fields else None


def _component(path: Sequence[str], values: Any) -> Mapping[str, FieldInfo]:
    """The fields of what a configuration names at `path`: a data set, a model or a part; none where it names nothing there."""
    from genexp.registry import Registry, datasets, models  # they import torch

    registries: dict[str, Registry[Any]] = {"dataset": datasets, "model": models}
    fields: Mapping[str, FieldInfo] = {}
    for key in path:
        values = values.get(key)
        name = values.get("name") if isinstance(values, Mapping) else None
        if key not in registries or name not in registries[key].names():
            return {}
        fields, registries = registries[key].schema(name).model_fields, registries[key].parts(name)
    return fields


def check_form(typed: str) -> None:
    """UserError where an override is not of the form key=value (or ~key)."""
    if not key_of(typed) or not ("=" in typed or typed.startswith("~")):
        raise UserError(f"'{shown(typed)}' is not of the form key=value", hint=_meant(typed))


def _meant(typed: str) -> str:
    """What somebody may have meant who typed a word alone."""
    group = next((group for group in GROUPS if typed in options(group)), None)
    if group is not None:
        return f"{group}={typed}"
    return f"without spaces: {typed}=NAME" if typed in GROUPS else "for example: trainer.lr=3e-4"


def parse_override(typed: str, annotation: Any = None, several: bool = False) -> Override:
    """One override for a field of the type `annotation`, in a sweep if `several`; UserError where it is not key=value."""
    check_form(typed)
    key, equals, value = typed.partition("=")
    kind = kind_of(annotation)
    try:
        if kind == TEXT and equals and not several:
            null = value == "null" and NoneType in get_args(annotation)
            return _parsed(typed if null else f"{key}={_quoted(_without_quotes(value))}")
        return parse_texts(typed, lists=kind == TEXTS) if kind else _parsed(typed)
    except (HydraException, RecursionError):
        quoted = shown(value).strip("\"'").replace('"', '\\"')
        name = shown(key)
        unclosed = any(value.count(opening) > value.count(closing) for opening, closing in ("()", "[]", "{}"))
        hint = "a bracket is not closed; of a text, " if unclosed else ""
        raise UserError(
            f"cannot read the value of '{name}': {shown(value)}", hint=f"{hint}quote it: '{name}=\"{quoted}\"'"
        ) from None


def parse_texts(typed: str, lists: bool = False) -> Override:
    """Hydra's reading of an override, in which a number, a truth value and (unless there are `lists` of texts) what stands in
    brackets is the text that was typed.
    """
    lexer = OverrideLexer(InputStream(typed))
    parser = OverrideParser(CommonTokenStream(lexer))
    for part in (lexer, parser):
        part.removeErrorListeners()
        part.addErrorListener(HydraErrorListener())
    item: Override = _Verbatim(create_functions(), lists).visit(parser.override())
    item.input_line = typed
    return item


def spelled(item: Override) -> list[str]:
    """The overrides that one stands for, one for each value of a sweep, in Hydra's grammar."""
    try:
        return [text for batch in BasicSweeper.split_arguments([item], None) for job in batch for text in job]
    except HydraException:
        return []  # an interval, which is no list of values


def as_hydra_reads(item: Override, annotation: Any) -> str:
    """An override that `parse_override` made, for Hydra to compose: no text is taken for an interpolation."""
    if kind_of(annotation) is None:
        return str(item.input_line)
    return f"{item.get_key_element()}={Override._get_value_element_as_str(_literal(item.value()))}"


def _literal(value: Any) -> Any:
    """A value in which every text is quoted, and comes back from OmegaConf as it is."""
    if isinstance(value, list):
        return [_literal(part) for part in value]
    return QuotedString(_no_interpolation(value), Quote.single) if isinstance(value, str) else value


def _without_quotes(value: str) -> str:
    """What stands between two quotes, where these are the first and the last character, and one string to Hydra."""
    if len(value) > 1 and value[0] in "\"'" and value[-1] == value[0]:
        try:
            inner = _parsed(f"x={value}")._value
        except (HydraException, RecursionError):
            return value
        return inner.text if isinstance(inner, QuotedString) else value
    return value


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def _no_interpolation(text: str) -> str:
    """`text` as OmegaConf gives it back, ${…} and all."""
    return re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", text)


class _Verbatim(HydraOverrideVisitor):
    """Hydra's reading of a value, in which what would be a number, or would lose an escape, stays the text that was typed."""

    def __init__(self, functions: Functions, lists: bool) -> None:
        super().__init__(functions)
        self.lists = lists
        self.reads_numbers = False  # inside a function of numbers

    def visitListContainer(self, ctx: Any) -> Any:  # noqa: N802 (Hydra's names)
        return super().visitListContainer(ctx) if self.lists else _source(ctx)

    def visitDictContainer(self, ctx: Any) -> Any:  # noqa: N802
        return _source(ctx)

    def _createPrimitive(self, ctx: Any) -> Any:  # noqa: N802
        value = super()._createPrimitive(ctx)
        if value is None or isinstance(value, QuotedString) or self.reads_numbers:
            return value
        return _kept(value if isinstance(value, str) else ctx.getText().strip())

    def visitFunction(self, ctx: Any) -> Any:  # noqa: N802
        before, self.reads_numbers = self.reads_numbers, ctx.getChild(0).getText() in OF_NUMBERS
        try:
            value = super().visitFunction(ctx)
        finally:
            self.reads_numbers = before
        if isinstance(value, ChoiceSweep):  # a function takes the quotes off what it is given
            value.list = [_kept(part) if isinstance(part, str) else part for part in value.list]
        return value


def _kept(text: str) -> str | QuotedString:
    return text if _is_plain(text) else QuotedString(text, Quote.single)


def _is_plain(text: str) -> bool:
    """Whether Hydra's own reading of a bare `text`, written again, is just that."""
    try:
        value: Any = _parsed(f"x={text}")._value
    except (HydraException, RecursionError):
        return False
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    return str(value) == text == Override._get_value_element_as_str(value)


def _source(ctx: Any) -> QuotedString:
    """What was typed, spaces and all, for a part of a value."""
    return QuotedString(ctx.start.getInputStream().getText(ctx.start.start, ctx.stop.stop), Quote.single)


def _parsed(typed: str) -> Override:
    return OverridesParser.create().parse_override(typed)
