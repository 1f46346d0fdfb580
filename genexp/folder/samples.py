"""What a run has kept in samples/samples.npz, for pages and galleries of many runs, whoever wrote it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from genexp.folder.records import check_links


def kept_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Of the arrays of these names those that the run folder `path` has; none where its file cannot be read."""
    try:
        check_links(path)
        with (path / "samples" / "samples.npz").open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return {name: kept[name] for name in names if name in kept}
    except Exception:  # a file that somebody else wrote, or that was copied in part, can be wrong in any way
        return {}
