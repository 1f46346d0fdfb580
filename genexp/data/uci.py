"""`dataset=uci`: the five tables of the MAF paper, from the folder of who has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from genexp.data.own_files import OwnFiles
from genexp.data.points import PointData, PointSet
from genexp.data.table_files import BROKEN
from genexp.errors import UserError
from genexp.paths import expanded
from genexp.registry import datasets

Name = Literal["power", "gas", "hepmass", "miniboone", "bsds300"]
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # train, validation, test
ALIKE = 0.98  # correlation of two columns of GAS, the first of which is left out
OFTEN = 5  # a column of HEPMASS whose least value comes more often is left out


@dataclass(frozen=True)
class Source:
    """The files of one table below the folder, and how they become its three parts."""

    files: tuple[str, ...]
    read: Callable[..., Parts]  # is given the files' paths


@datasets.register("uci")
class UCI(PointData):
    """POWER (6 numbers), GAS (8), HEPMASS (21), MINIBOONE (43), BSDS300 (63), prepared and split as for the MAF paper.

    The folder is what its `data.zip` (Zenodo, record 1161203) holds: power/data.npy, gas/ethylene_CO.csv,
    hepmass/1000_train.csv and 1000_test.csv, miniboone/data.npy, BSDS300/BSDS300.hdf5. GAS comes there as a pickle, which could
    run any program when it is opened, and so has to be made a CSV first. Likelihoods are those of the prepared numbers, as in
    the papers.
    Source: Papamakarios et al., Masked Autoregressive Flow (2017), and its code, gpapamak/maf.

    Args:
        data_dir: where the folder is, unless `path` says it.
        table: which of the five.
        path: of the folder; null: `data_dir`.

    Raises:
        UserError: a file is not there, or not as expected; BSDS300 without h5py.
    """

    def __init__(self, data_dir: Path, *, table: Name = "miniboone", path: str | None = None) -> None:
        files = find_files(table, path, data_dir)
        for file in files:
            if not file.is_file():
                raise UserError(f"dataset.table={table}: {file} is not there", hint=how_to_get(table, file))
        try:
            parts = SOURCES[table].read(*files)
        except (*BROKEN, IndexError) as failure:
            raise UserError(f"{files[0]}: cannot be read: {' '.join(str(failure).split())[:200]}") from None
        if not all(part.ndim == 2 and part.size and np.isfinite(part).all() for part in parts):
            raise UserError(f"{files[0]}: not the table that dataset.table={table} is: numbers are missing, or rows")
        self.what = f"{table.upper()}, rows"
        train, validation, test = (PointSet(torch.from_numpy(part.astype(np.float32))) for part in parts)
        self.parts(train, validation, test)

    @classmethod
    def own_files(cls, settings: Mapping[str, Any], data_dir: Path) -> OwnFiles:
        files = find_files(settings.get("table", "miniboone"), settings.get("path"), data_dir)
        return OwnFiles([file for file in files if file.is_file()], files[0].parent)


def find_files(table: str, path: str | None, data_dir: Path) -> list[Path]:
    """Where the files of a table are, or would be."""
    folder = data_dir if path is None else expanded(path)
    if not folder.is_dir():
        folder = next((there for there in (data_dir / folder,) if there.is_dir()), folder)
    return [folder / name for name in SOURCES[table].files]


def how_to_get(table: str, file: Path) -> str:
    """What to do where a file is missing."""
    pickle = file.with_suffix(".pickle")
    if table == "gas" and pickle.is_file():
        return f"""python -c "import pandas; pandas.read_pickle('{pickle}').to_csv('{file}', index=False)" """
    return "unpack data.zip of https://zenodo.org/record/1161203, and name the folder: dataset.path=…"


# --- the five --------------------------------------------------------------------------------------------------------


def tenths(x: np.ndarray) -> Parts:
    """The last tenth of the rows to test, the last tenth of the others for validation."""
    rest, test = x[: len(x) - len(x) // 10], x[len(x) - len(x) // 10 :]
    return rest[: len(rest) - len(rest) // 10], rest[len(rest) - len(rest) // 10 :], test


def standardised(parts: Parts) -> Parts:
    """By the mean and the standard deviation of training and validation rows."""
    train, validation, test = parts
    rest = np.concatenate([train, validation])
    mean, std = rest.mean(0), rest.std(0)
    if not (std > 0).all():
        raise ValueError("a column is constant")
    return (train - mean) / std, (validation - mean) / std, (test - mean) / std


def power(file: Path) -> Parts:
    """Shuffled, without columns 1 and 3, and with noise as wide as the last digit of each measurement; time has none."""
    random = np.random.RandomState(42)
    x = load(file)
    random.shuffle(x)
    x = np.delete(x, (1, 3), axis=1)
    voltage, active = 0.01 * random.rand(len(x), 1), 0.001 * random.rand(len(x), 1)
    noise = np.hstack([active, voltage, random.rand(len(x), 3), np.zeros((len(x), 1))])
    return standardised(tenths(x + noise))


def gas(file: Path) -> Parts:
    """Without the time and the concentrations, and without the first of two columns as long as two are nearly the same."""
    names, x = read_csv(file)
    x = x[:, [index for index, name in enumerate(names) if name not in ("Time", "Meth", "Eth")]]
    while True:
        like = (np.corrcoef(x, rowvar=False) > ALIKE).sum(1)
        if not (like > 1).any():
            break
        x = np.delete(x, int(np.argmax(like > 1)), axis=1)
    return tenths((x - x.mean(0)) / x.std(0, ddof=1))


def hepmass(train_file: Path, test_file: Path) -> Parts:
    """The signal (class 1) alone, standardised by the training rows, without columns of values that come again and again."""
    train, test = (x[x[:, 0] == 1][:, 1:] for _, x in (read_csv(file) for file in (train_file, test_file)))
    test = test[:, : train.shape[1]]  # the published file ends every row with one number more
    mean, std = train.mean(0), train.std(0, ddof=1)
    kept = (train == train.min(0)).sum(0) <= OFTEN
    train, test = (((x - mean) / np.where(std > 0, std, 1))[:, kept] for x in (train, test))
    first = len(train) - len(train) // 10
    return train[:first], train[first:], test


def miniboone(file: Path) -> Parts:
    return standardised(tenths(load(file)))


def bsds300(file: Path) -> Parts:
    """As it is: the file is already prepared."""
    try:
        import h5py
    except ImportError:
        raise UserError("dataset.table=bsds300 is an HDF5 file", hint="pip install h5py") from None
    with h5py.File(file, "r") as archive:
        train, validation, test = (np.asarray(archive[name]) for name in ("train", "validation", "test"))
    return train, validation, test


def load(file: Path) -> np.ndarray:
    """A table (rows, columns) of an NPY, in float64."""
    with file.open("rb") as opened:
        x = np.load(opened, allow_pickle=False)
    if not isinstance(x, np.ndarray):
        raise ValueError("an archive of arrays, and no table of numbers")
    if x.ndim != 2 or x.dtype.kind not in "biuf":
        raise ValueError(f"an array {x.shape} of {x.dtype}, and no table of numbers")
    return x.astype(np.float64)


def read_csv(file: Path) -> tuple[list[str], np.ndarray]:
    """Names and numbers of a CSV with a header. A row may have one cell more than that."""
    with file.open(encoding="utf-8") as lines:
        names = [name.strip().strip('"') for name in next(lines, "").split(",")]
        return names, np.loadtxt(lines, delimiter=",", ndmin=2)


SOURCES: dict[str, Source] = {
    "power": Source(("power/data.npy",), power),
    "gas": Source(("gas/ethylene_CO.csv",), gas),
    "hepmass": Source(("hepmass/1000_train.csv", "hepmass/1000_test.csv"), hepmass),
    "miniboone": Source(("miniboone/data.npy",), miniboone),
    "bsds300": Source(("BSDS300/BSDS300.hdf5",), bsds300),
}
