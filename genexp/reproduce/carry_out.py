"""Doing the cases; the failure of one does not stop the others."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genexp.errors import UserError
from genexp.files import Replacing
from genexp.folder.run_folder import Busy, RunFolder
from genexp.reproduce.plan import Planned, read_mode
from genexp.runs import several
from genexp.runs.several import Job


@contextmanager
def alone_in(folder: Path, quick: bool) -> Iterator[None]:
    """Make the folder of a reproduction, say in it whether that is a quick one, so that it goes on as one, and let no other
    process work on it meanwhile. UserError where that cannot be.
    """
    lock = RunFolder(folder / ".lock")  # a folder of its own: taking one tidies up in it
    try:
        lock.path.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise UserError(f"cannot make the folder {folder}: {failure.strerror}") from None
    with ExitStack() as held:
        try:
            held.enter_context(lock.lock())
        except Busy:
            raise UserError(f"{folder}: another process is working on this reproduction") from None
        if read_mode(folder) not in (None, quick):
            raise UserError(f"{folder}: another process has begun it {'in full' if quick else 'with --quick'} meanwhile")
        write_mode(folder, quick)
        yield


def carry_out(planned: Sequence[Planned], at_once: int = 1) -> dict[str, str]:
    """Run what is not finished yet, so many `at_once`. Returns case → what went wrong, for those that failed."""
    return several.carry_out([_job(one) for one in planned], at_once)


def _job(one: Planned) -> Job:
    return Job(one.case.name, f", {one.label}; {one.data}", one.path, lambda: one.composed)


def write_mode(folder: Path, quick: bool) -> None:
    """Say in the folder whether it is a quick reproduction."""
    with Replacing(folder / "reproduce.json") as (temporary, _):
        temporary.write_text(json.dumps({"quick": quick}) + "\n", encoding="utf-8")
