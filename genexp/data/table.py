"""`dataset=table dataset.file=…`: the user's own numbers, each row an example."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field

from genexp.capabilities import Known
from genexp.data.own_files import OwnFiles
from genexp.data.points import PointData, PointSet, split
from genexp.data.table_files import SHOWN, Table, read_table
from genexp.data.units import Units
from genexp.errors import UserError
from genexp.paths import expanded
from genexp.registry import datasets
from genexp.settings import Seed

MOST_CLASSES = 1_000
MOST_COLUMNS = 4_096
Share = Annotated[float, Field(gt=0, lt=1)]
Column = str | Annotated[int, Field(ge=-MOST_COLUMNS, le=MOST_COLUMNS)]


@datasets.register("table")
class TableData(PointData):
    """Columns of a CSV, NPY or NPZ, each brought to mean 0 and standard deviation 1 of its training rows: x = (y − m)/s.

    Likelihoods in metrics.json are those of the columns in their own units, −ln p(y) = −ln p(x) + Σ ln s, and samples are written
    in these; losses in the history are of x. A CSV may begin with a header; empty cells, NA, NaN, null and ? are missing values,
    and so are infinities.

    Args:
        data_dir: where `file` is looked for when it is not found from the working directory.
        file: path of the table.
        columns: which to learn, by name or by number from 0; null: all but the class.
        label: the column of the class, by name or number; null: there are no classes.
        array: which array of an NPZ that has several.
        missing: of rows with a missing value: leave them out (`drop`), or refuse the table.
        validation_share, test_share: shares of the rows for validation and to test.
        seed: of the split.

    Raises:
        UserError: no such file or column, or none that can be read; a column of text; missing values (unless `drop`); fewer than
            three rows; no column that is not constant.
    """

    what = "rows"
    knows: frozenset[Known] = frozenset({"examples", "units"})

    def __init__(
        self,
        data_dir: Path,
        *,
        file: str | None = None,
        columns: list[Column] | None = None,
        label: Column | None = None,
        array: str | None = None,
        missing: Literal["refuse", "drop"] = "refuse",
        validation_share: Share = 0.1,
        test_share: Share = 0.1,
        seed: Seed = 0,
    ) -> None:
        table = read_table(find_table(file, data_dir), array)
        by = None if label is None else table.column(str(label))
        y, names, kept = numbers_of(table, columns, by, missing)
        classes, labels = ((), None) if by is None else classes_of(table, by, kept)
        train, validation, test = split(PointSet(torch.from_numpy(y), labels), validation_share, test_share, seed)
        moves = ((train.x.amax(0) > train.x.amin(0)) & (train.x.std(0, correction=0) > 0)).numpy()  # squares may underflow
        left_out = [name for name, moving in zip(names, moves, strict=True) if not moving]
        if not moves.any():
            raise UserError(f"{table.path}: every column is constant, and there is nothing to learn")
        columns_kept = tuple(name for name, moving in zip(names, moves, strict=True) if moving)
        shift, scale = train.x[:, moves].mean(0), train.x[:, moves].std(0, correction=0)
        self.units = Units(columns_kept, tuple(shift.tolist()), tuple(scale.tolist()))
        remarks = []
        if len(kept) < len(table.cells):
            remarks.append(f"{len(table.cells) - len(kept)} of {len(table.cells)} rows left out, as values are missing")
        if left_out:
            remarks.append(f"left out, as constant: {', '.join(left_out[:SHOWN])}{', …' * (len(left_out) > SHOWN)}")
        repeated = [name for name, x in zip(columns_kept, train.x[:, moves].T, strict=True) if len(x.unique()) <= len(x) // 2]
        if repeated:
            which = f"{', '.join(repeated[:SHOWN])}{', …' * (len(repeated) > SHOWN)}"
            remarks.append(f"the same numbers again and again, so that no density is high enough: {which}")
        self.remarks = (*remarks, f"nll in the columns' units, {self.units.log_scale:+.4f} nats to that of the standardised ones")
        train, validation, test = (PointSet(self.units.seen(part.x[:, moves]), part.label) for part in (train, validation, test))
        self.parts(train, validation, test, classes)

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles:
        path = find_table(settings.get("file"), data_dir)
        return OwnFiles([path], below=path)


def find_table(file: str | None, data_dir: Path) -> Path:
    """Where the table `file` is, if it is anywhere."""
    if file is None:
        raise UserError("dataset.file is missing: which table?", hint="dataset=table dataset.file=my.csv")
    path = expanded(file)
    return next((there for there in (path, data_dir / path) if there.exists()), path)


def numbers_of(
    table: Table, columns: list[Column] | None, label: int | None, missing: str
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """The chosen columns, float64 (rows, columns), their names, and the numbers of the rows in which nothing is missing."""
    everything = [index for index in range(len(table.names)) if index != label]
    chosen = everything if columns is None else [table.column(str(column)) for column in columns]
    if not chosen or len({*chosen}) < len(chosen) or len(chosen) > MOST_COLUMNS or label in chosen:
        raise UserError(
            f"dataset.columns: {len(chosen)} columns, {len({*chosen})} of them different; each once, at most {MOST_COLUMNS}, "
            "and not the class"
        )
    y = np.stack([table.numbers(index) for index in chosen], axis=1)
    whole = np.isfinite(y).all(1)
    if label is not None:
        whole &= np.array([text != "" for text in table.texts(label)])
    if not whole.all() and missing == "refuse":
        row = int(np.argmin(whole))
        where = [table.names[index] for index, value in zip(chosen, y[row], strict=True) if not np.isfinite(value)]
        raise UserError(
            f"{table.path}: {int((~whole).sum())} of {len(whole)} rows lack a value, the first is row {row + 1}"
            f" (column {where[0] if where else table.names[label or 0]})",
            hint="dataset.missing=drop leaves these rows out",
        )
    return y[whole], [table.names[index] for index in chosen], np.flatnonzero(whole)


def classes_of(table: Table, label: int, rows: np.ndarray) -> tuple[tuple[str, ...], torch.Tensor]:
    """The names of the classes in order, and the label of each of these rows."""
    texts = table.texts(label)
    found, labels = np.unique([texts[row] for row in rows] or [""], return_inverse=True)
    if len(found) > MOST_CLASSES:
        raise UserError(
            f"{table.path}: column {table.names[label]} has {len(found):,} values; classes are {MOST_CLASSES} at most"
        )
    return tuple(found.tolist()), torch.from_numpy(labels[: len(rows)]).long()
