"""Tables of the user's own, as columns: CSV, NPY, NPZ."""

import csv
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genexp.errors import UserError, unknown
from genexp.paths import not_there
from genexp.printable import printable

ENDINGS = (".csv", ".tsv", ".txt", ".npy", ".npz")
LARGEST = 2**31  # bytes of a file
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})  # in lower case
SHOWN = 6  # names in a message
MOST = 1e100  # the largest number: the variance of larger ones overflows
BROKEN = (OSError, ValueError, EOFError, KeyError, MemoryError, SyntaxError, csv.Error, zipfile.BadZipFile, zlib.error)
DECIMAL_COMMA = re.compile(r"\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*")


@dataclass(frozen=True)
class Table:
    """Columns by name. `cells` (rows, columns) are numbers, NaN where one is missing, or texts of a CSV, as they stand."""

    path: Path
    names: tuple[str, ...]
    cells: np.ndarray

    def column(self, which: str) -> int:
        """Of a name, or of a number: from 0, or from −1 backwards."""
        if which in self.names:
            return self.names.index(which)
        try:
            index = int(which)
        except ValueError:
            raise unknown("column", which, self.names) from None
        if not -len(self.names) <= index < len(self.names):
            raise UserError(f"{self.path}: there is no column {index}; it has {len(self.names)}, the first of which is 0")
        return index % len(self.names)

    def texts(self, index: int) -> list[str]:
        """A column as texts; a whole number has no point."""
        if self.cells.dtype.kind == "O":
            return [str(cell).strip() for cell in self.cells[:, index]]
        return ["" if np.isnan(cell) else f"{cell:.15g}" for cell in self.cells[:, index]]

    def numbers(self, index: int) -> np.ndarray:
        """A column in float64, NaN where a number is missing; UserError where it holds something else."""
        found = np.empty(len(self.cells)) if self.cells.dtype.kind == "O" else self.cells[:, index]
        for row, text in enumerate(self.texts(index) if self.cells.dtype.kind == "O" else ()):
            number = _number(text)
            if number is None:
                raise UserError(
                    f"{self.path}: column {self.names[index]} is text: {printable(text[:30])!r} in row {row + 1}",
                    hint="leave it out by dataset.columns, or make it the class: dataset.label",
                )
            found[row] = number
        if (np.abs(found[np.isfinite(found)]) > MOST).any():
            raise UserError(f"{self.path}: column {self.names[index]} has numbers beyond {MOST:.0e}")
        return found


def read_table(path: Path, array: str | None = None) -> Table:
    """The table in a file, `array` the one to take of an NPZ with several.

    Raises:
        UserError: no such file, none of these kinds, too large, not readable, ragged, empty, or an array of another shape.
    """
    if not path.is_file():
        raise UserError(f"dataset.file={path}: {not_there(path, 'table')}")
    if path.suffix.lower() not in ENDINGS:
        raise UserError(f"{path}: not a table that can be read", hint=f"one of {', '.join(ENDINGS)}")
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: larger than {LARGEST >> 30} GB")
    try:
        table = _read_arrays(path, array) if path.suffix.lower() in (".npy", ".npz") else _read_text(path)
    except BROKEN as failure:
        raise UserError(f"{path}: cannot be read: {printable(' '.join(str(failure).split()))[:200]}") from None
    if not table.cells.size:
        raise UserError(f"{path}: there is no row in it")
    return table


def _read_arrays(path: Path, array: str | None) -> Table:
    """Of an NPY, or of the array `array` of an NPZ; objects, which would be executed, are never loaded."""
    with path.open("rb") as file:
        opened = np.load(file, allow_pickle=False)
        if isinstance(opened, np.lib.npyio.NpzFile):  # whatever the file is called
            names = opened.files
            if array is None and len(names) != 1:
                raise UserError(f"{path}: which of its arrays? {_several(names)}", hint=f"dataset.array={(names or ['x'])[0]}")
            if array is not None and array not in names:
                raise unknown("array", array, names)
            opened = opened[names[0] if array is None else array]
    fields = opened.dtype.names or ()
    if fields and all(opened[name].ndim == 1 for name in fields):
        return Table(path, tuple(fields), np.stack([opened[name].astype(np.float64) for name in fields], axis=1))
    if opened.ndim not in (1, 2) or opened.dtype.kind not in "biuf":
        raise UserError(f"{path}: an array {opened.shape} of {opened.dtype}; a table is (rows, columns) of numbers")
    cells = opened[:, None] if opened.ndim == 1 else opened
    return Table(path, tuple(f"x{index}" for index in range(cells.shape[1])), cells.astype(np.float64))


def _read_text(path: Path) -> Table:
    """Of a CSV, its cells apart by commas, tabs, blanks, or semicolons (where 1,5 is a number); a line with # is none of it."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="strict")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("there is nothing in it")
    comma = _delimiter(lines[0])
    rows = [line.split() for line in lines] if comma is None else [*csv.reader(lines, delimiter=comma)]
    if comma == ";":
        rows = [[DECIMAL_COMMA.sub(r"\1.\2", cell) if DECIMAL_COMMA.fullmatch(cell) else cell for cell in row] for row in rows]
    width = len(rows[0])
    for index, row in enumerate(rows):
        if len(row) != width:
            raise ValueError(f"row {index + 1} has {len(row)} cells, the first {width}")
    head, body = rows[0], rows[1:]
    if not _is_header(head, body):
        head, body = [f"x{index}" for index in range(width)], rows
    names = tuple(printable(name.strip()) or f"x{index}" for index, name in enumerate(head))
    if len({*names}) < width:
        raise ValueError(f"two columns of one name: {_several([name for name in names if names.count(name) > 1])}")
    return Table(path, names, np.array(body, dtype=object).reshape(len(body), width))


def _delimiter(line: str) -> str | None:
    """The first of tab, semicolon and comma that is in the line; None for blanks."""
    return next((mark for mark in "\t;," if mark in line), None)


def _is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names columns: none of its cells is a number, and one of those below is; or nothing is one at all."""
    if any(_number(cell.strip()) is not None and cell.strip().lower() not in MISSING for cell in first):
        return False
    return not rest or any(_number(cell.strip()) is not None for row in rest[:20] for cell in row)


def _number(text: str) -> float | None:
    """NaN where it is missing; None where it is none."""
    if text.lower() in MISSING:
        return float("nan")
    try:
        return float(text.replace("_", "x"))
    except ValueError:
        return None


def _several(names: Sequence[str]) -> str:
    return ", ".join(printable(name) for name in names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
