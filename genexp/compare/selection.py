"""Which rows and columns of a comparison are wanted."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from genexp.compare.comparison import Comparison, Row
from genexp.errors import UserError, nearest
from genexp.folder.finding import natural

SIGNS = {
    "<": lambda own, wanted: own < wanted,
    "<=": lambda own, wanted: own <= wanted,
    ">": lambda own, wanted: own > wanted,
    ">=": lambda own, wanted: own >= wanted,
}


def choose_rows(comparison: Comparison, filters: Sequence[str], sort: str | None, reverse: bool = False) -> Comparison:
    """The rows for which every filter (`leak<0.02`, `status=finished`) holds, by a column; those without it come last."""
    rows = list(comparison.rows)
    for text in filters:
        rows = list(filter(condition(text, comparison.keys), rows))
    if sort is not None:
        key = find_key(sort, comparison.keys)
        there = sorted((row for row in rows if row.value(key) is not None), key=lambda row: _order(row.value(key)))
        rows = (there[::-1] if reverse else there) + [row for row in rows if row.value(key) is None]
    return replace(comparison, rows=tuple(rows))


def choose_columns(patterns: str, keys: Sequence[str]) -> list[str]:
    """The columns that comma-separated names and patterns (`leak,*lr,floor/*`) mean, in their order."""
    found: dict[str, None] = {}
    for pattern in filter(None, patterns.split(",")):
        matching = [key for key in keys if fnmatchcase(key, pattern) or fnmatchcase(_last(key), pattern)]
        if any(mark in pattern for mark in "*?["):
            if not matching:
                raise _no_column(f"no column matches '{pattern}'", None, keys)
            found |= dict.fromkeys(matching)
        else:
            found[find_key(pattern, keys)] = None
    return list(found)


def find_key(name: str, keys: Sequence[str]) -> str:
    """The column called `name`: its whole name, or its last part where that is one column's alone (`lr`)."""
    if name in keys:
        return name
    short = [key for key in keys if _last(key) == name]
    if len(short) > 1:
        raise UserError(f"'{name}' could be any of {', '.join(short)}")
    if not short:
        raise _no_column(f"no column is called '{name}'", nearest(name, [*keys, *map(_last, keys)]), keys)
    return short[0]


def _no_column(problem: str, guess: str | None, keys: Sequence[str]) -> UserError:
    some = ", ".join(key for key in keys if "/" not in key and "." not in key)
    return UserError(problem + (f"; did you mean '{guess}'?" if guess else ""), hint=f"there are: {some}, and the settings")


def condition(text: str, keys: Sequence[str]) -> Callable[[Row], bool]:
    """`leak<0.02` as a test of rows. A row that has no such number does not pass, except for `!=`."""
    match = re.fullmatch(r"\s*([^<>=!\s]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*?)\s*", text)
    if match is None:
        raise UserError(f"cannot read the filter '{text}'", hint="for example: 'leak<0.02', 'status=finished', 'lr!=0.001'")
    name, sign, wanted = match.groups()
    key, number = find_key(name, keys), as_number(wanted)
    if sign not in SIGNS:
        return lambda row: _same(row.value(key), wanted) == (sign != "!=")
    if number is None:
        raise UserError(f"cannot read the filter '{text}': '{wanted}' is not a number")

    def holds(row: Row) -> bool:
        own = as_number(row.value(key))
        return own is not None and SIGNS[sign](own, number)

    return holds


def as_number(value: Any) -> float | None:
    """`value` as a number, or None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def as_text(value: Any) -> str:
    """A value as a configuration writes it."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_text, value))}]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def _same(value: Any, wanted: str) -> bool:
    own, number = as_number(value), as_number(wanted)
    return own == number if own is not None and number is not None else as_text(value) == wanted


def _order(value: Any) -> tuple[bool, float, Any]:
    """Numbers before words, and words with numbers in them by those."""
    number = as_number(value)
    return (number is None, number or 0.0, natural(as_text(value)))


def _last(key: str) -> str:
    return key.rpartition(".")[2]
