"""Doing the runs that are missing, one after the other; the failure of one does not stop the others."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genexp.errors import UserError
from genexp.folder.run_folder import Busy, RunFolder
from genexp.landscape.plan import Wanted
from genexp.reproduce.carry_out import make_way


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


def carry_out(wanted: Sequence[Wanted]) -> dict[str, str]:
    """Run what is not finished yet. Returns run → what went wrong, for those that failed. Interrupted stops all."""
    from genexp.runs.experiment import resume, run

    failed = {}
    for number, one in enumerate(wanted, 1):
        if one.state == "finished":
            continue
        print(f"\n== {number} of {len(wanted)}: {one.name}", flush=True)
        try:
            if make_way(one.path) == "to do":
                one.path.parent.mkdir(parents=True, exist_ok=True)
                run(one.composed(), str(one.path))
            else:
                resume(one.path)
        except UserError as mistake:
            failed[one.name] = mistake.message
        except Exception as failure:
            failed[one.name] = f"{type(failure).__name__}: {failure}"
        if one.name in failed:
            print(f"error: {one.name}: {failed[one.name]}", file=sys.stderr, flush=True)
    return failed
