"""The user's own files that a data set is read from: an untrusted configuration may name any, and their content tells."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genexp.registry import datasets
from genexp.settings import RunSettings


@dataclass(frozen=True)
class OwnFiles:
    """Files, and the folder that their names are told from."""

    paths: Sequence[Path]
    below: Path

    def digest(self) -> str:
        """SHA-256 of every name, a zero and the SHA-256 of what is in that file; 32 zeros for what cannot be read."""
        digest = hashlib.sha256()
        for path in self.paths:
            content = bytes(32)
            with suppress(OSError):
                if path.is_file():  # and nothing that never ends
                    with path.open("rb") as file:
                        content = hashlib.file_digest(file, "sha256").digest()
            digest.update(f"{path.relative_to(self.below)}\0".encode(errors="surrogateescape") + content)
        return digest.hexdigest()


def own_files(settings: RunSettings) -> OwnFiles | None:
    """Those that the data set of a run is read from, none of them opened; None where there are none.

    A data set of such files finds them with a class method `own_files(settings, data_dir)`, its settings those of `dataset`.
    """
    find = getattr(datasets[settings.dataset["name"]], "own_files", None)
    return None if find is None else find(settings.dataset, Path(settings.data_dir))
