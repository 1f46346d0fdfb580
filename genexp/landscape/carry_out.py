"""Doing the runs that are missing; the failure of one does not stop the others."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genexp.errors import UserError
from genexp.folder.run_folder import Busy, RunFolder
from genexp.landscape.plan import Wanted
from genexp.runs import several
from genexp.runs.several import Job


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make the folder, and let no other process work on it meanwhile. UserError where that cannot be."""
    lock = RunFolder(folder / ".lock")  # a folder of its own: taking one tidies up in it
    try:
        lock.path.mkdir(parents=True, exist_ok=True)
        with lock.lock():
            yield
    except Busy:
        raise UserError(f"{folder}: another process is working on this landscape") from None
    except (FileExistsError, NotADirectoryError, PermissionError) as failure:
        raise UserError(f"cannot make the folder {folder}: {failure.strerror}") from None


def carry_out(wanted: Sequence[Wanted], at_once: int = 1) -> dict[str, str]:
    """Run what is not finished yet, so many `at_once`. Returns run → what went wrong, for those that failed."""
    return several.carry_out([Job(one.name, "", one.path, one.composed) for one in wanted], at_once)
