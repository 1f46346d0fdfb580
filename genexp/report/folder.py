"""Reading a run folder that is not trusted: nothing is followed out of it, nothing is read without bound."""

import os
from functools import partial
from pathlib import Path

import numpy as np

from genexp.folder.samples import kept_arrays

MEGABYTE = 1 << 20


class Unreadable(Exception):  # noqa: N818 (said in the page, not raised to the user)
    """A file that is left out of the report, and why, in a few words."""


class Folder:
    """A run folder. `notes` is what had to be left out, one line each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    def file(self, name: str) -> Path:
        """The path of a file of this folder; Unreadable where it is missing, a link, or behind one."""
        path = self.path
        for part in Path(name).parts:
            path = path / part
            if path.is_symlink():
                raise Unreadable("a link, and links are not followed")
        if not path.is_file():
            raise Unreadable("missing")
        return path

    def read(self, name: str, limit: int = 4 * MEGABYTE) -> bytes:
        """The bytes of a file; Unreadable where there are more than `limit`."""
        path = self.file(name)
        try:
            with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
                content = file.read(limit + 1)
        except OSError as failure:
            raise Unreadable(failure.strerror or "cannot be read") from None
        if len(content) > limit:
            raise Unreadable(f"larger than {limit // MEGABYTE} MB")
        return content

    def names(self, folder: str, ending: str) -> list[str]:
        """The files in one of its folders, in order of name."""
        path = self.path / folder
        if path.is_symlink() or not path.is_dir():
            return []
        return sorted(f"{folder}/{entry.name}" for entry in path.iterdir() if entry.suffix == ending and entry.name[0] != ".")

    def arrays(self, *names: str) -> dict[str, np.ndarray]:
        """Those of `names` that samples.npz holds."""
        return kept_arrays(self.path, names, partial(self.leave_out, "samples/samples.npz"))

    def leave_out(self, name: str, why: str) -> None:
        self.notes.append(f"{name}: left out, {why}")
