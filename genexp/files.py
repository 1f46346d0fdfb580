"""Files that are there whole or not at all: written under a temporary name, synced, renamed."""

import hashlib
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

TEMPORARY = re.compile(r"\..+\.[0-9]+\.tmp", re.DOTALL)  # the names that Replacing gives


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_gif(path: Path, frames: Sequence["Image"], fps: int, hold_last: float = 1.5) -> None:
    """An endless film; its last frame stays for `hold_last` seconds."""
    durations = [round(1000 / fps)] * len(frames)
    durations[-1] = round(1000 * hold_last)
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


class Replacing:
    """`with Replacing(path) as (temporary, path)`: what is written to `temporary` becomes `path`, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def __enter__(self) -> tuple[Path, Path]:
        return self.temporary, self.path

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, *_: object) -> None:
        if kind is not None:
            if isinstance(failure, OSError) and str(failure.filename) == str(self.temporary):
                failure.filename = str(self.path)  # the name that the user knows
            with suppress(OSError):
                self.temporary.unlink()
            return
        sync(self.temporary)
        os.replace(self.temporary, self.path)
        if sys.platform != "win32":
            sync(self.path.parent)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
