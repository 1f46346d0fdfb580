"""What a run has kept in samples/samples.npz, for pages and galleries, whoever wrote it."""

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

MOST_BYTES = 1 << 30  # of one array


def kept_arrays(path: Path, names: Iterable[str], leave_out: Callable[[str], object] = str) -> dict[str, np.ndarray]:
    """Of the arrays of these names those that the run folder `path` has, if they are of numbers and not too large.

    None where the file cannot be read, or is a link out of the folder: `leave_out` is told why, in a word.
    """
    file = path / "samples" / "samples.npz"
    try:
        file.resolve().relative_to(path.resolve())
        if not file.is_file():
            return {}
        with zipfile.ZipFile(file) as parts:
            small = {part.filename for part in parts.infolist() if part.file_size <= MOST_BYTES}
        with np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in names if f"{name}.npy" in small}
        return {name: array for name, array in found.items() if array.dtype.kind in "biuf"}
    except Exception as failure:  # a file that somebody else wrote, or that was copied in part, can be wrong in any way
        leave_out(type(failure).__name__)
        return {}
