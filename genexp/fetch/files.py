"""What a file of a data set must be, and what lies on disk."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from genexp.errors import UserError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Form:
    """One form in which a file may lie below the data folder: its path there, its published sum, its size in bytes if known."""

    path: str
    digest: str
    size: int | None = None
    algorithm: Literal["sha256", "md5"] = "sha256"

    def sum_of(self, path: Path) -> str:
        """The sum of the file `path`; UserError where it cannot be read."""
        try:
            with path.open("rb") as file:
                return hashlib.file_digest(file, self.algorithm).hexdigest()
        except OSError as failure:
            raise UserError(f"{path}: cannot be read ({failure.strerror})") from None

    def holds(self, content: bytes) -> bool:
        return hashlib.new(self.algorithm, content).hexdigest() == self.digest


@dataclass(frozen=True)
class Item:
    """A file in the forms in which it may lie; where there are several the first is read. The last is what is fetched."""

    forms: tuple[Form, ...]

    @property
    def fetched(self) -> Form:
        return self.forms[-1]

    def lying(self, data_dir: Path) -> Form | None:
        """The form that is there and would be read."""
        return next((form for form in self.forms if (data_dir / form.path).is_file()), None)


@dataclass(frozen=True)
class Finding:
    """What `verify` has to say of one file: `problem` is None where it is as published."""

    path: str
    problem: str | None = None


def verify(items: Sequence[Item], data_dir: Path) -> Iterator[Finding]:
    """Every file against its published sum."""
    for item in items:
        form = item.lying(data_dir)
        if form is None:
            yield Finding(item.fetched.path, "is missing")
            continue
        try:
            found = form.sum_of(data_dir / form.path)
        except UserError as failure:
            yield Finding(form.path, failure.message.removeprefix(f"{data_dir / form.path}: "))
            continue
        kind = {"sha256": "SHA-256", "md5": "MD5"}[form.algorithm]
        differs = f"differs from the published file ({kind} {found[:12]}…, published {form.digest[:12]}…)"
        yield Finding(form.path, None if found == form.digest else differs)


def put_aside(path: Path) -> Path:
    """Rename a file that is not what it should be to NAME.bad, or NAME.bad2, …: nothing of the user's is ever lost."""
    names = (path.with_name(f"{path.name}.bad{number if number > 1 else ''}") for number in range(1, 10_000))
    aside = next(name for name in names if not name.exists())
    try:
        os.replace(path, aside)
    except OSError as failure:
        raise UserError(f"{path}: cannot be renamed ({failure.strerror})") from None
    print(f"  {path.name} was not as published, and is now {aside.name}")
    return aside


def settle(content: bytes | Path, path: Path) -> None:
    """Give a file its place: `content` is its bytes, or a file beside it. Whole or not at all; what was there is put aside."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp") if isinstance(content, bytes) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        if path.exists():
            put_aside(path)
        os.replace(temporary, path)
    except OSError as failure:
        if isinstance(content, bytes):  # and no download that is gone on with
            with suppress(OSError):
                temporary.unlink()
        raise UserError(f"{path}: cannot be written ({failure.strerror})") from None


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Only one process at a time fetches into a folder; another one waits. Folders that it made and nothing came into are gone
    afterwards.
    """
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY) if fcntl else None
    except OSError as failure:
        raise UserError(
            f"{folder}: cannot be made ({failure.strerror})", hint="--data-dir or GENEXP_DATA names another"
        ) from None
    try:
        if handle is None:  # Windows
            yield
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that fetches into {folder}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        if handle is not None:
            os.close(handle)
        with suppress(OSError):  # something is in it
            for place in new:
                place.rmdir()
