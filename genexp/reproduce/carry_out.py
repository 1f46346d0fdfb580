"""Doing the cases, one after the other; the failure of one does not stop the others."""

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genexp.errors import UserError
from genexp.files import Replacing
from genexp.folder.run_folder import Busy, RunFolder
from genexp.reproduce.plan import Planned, State, read_mode, state_of


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


def carry_out(planned: Sequence[Planned]) -> dict[str, str]:
    """Run what is not finished yet. Returns case → what went wrong, for those that failed. Interrupted stops all."""
    from genexp.runs.experiment import resume, run

    failed = {}
    for number, one in enumerate(planned, 1):
        if state_of(one.path) == "finished":
            continue
        print(f"\n== {number} of {len(planned)}: {one.case.name}, {one.label}; {one.data}", flush=True)
        try:
            if make_way(one.path) == "to do":
                run(one.composed, str(one.path))
            else:
                resume(one.path)
        except UserError as mistake:
            failed[one.case.name] = mistake.message
            print(f"error: {one.case.name}: {mistake.message}", file=sys.stderr, flush=True)
        except Exception as failure:
            failed[one.case.name] = f"{type(failure).__name__}: {failure}"
            traceback.print_exc()
    return failed


def make_way(path: Path) -> State:
    """How the run in `path` stands now, whatever it was when all was planned. One that saved nothing is moved aside, as a run
    never overwrites another. UserError where another process works on it.
    """
    if not path.exists():
        return "to do"
    folder = RunFolder(path)
    with folder.lock():
        state = state_of(path)
        if state == "to do":
            print(f"what was begun before is kept as {folder.put_aside()}", flush=True)
    return state


def write_mode(folder: Path, quick: bool) -> None:
    """Say in the folder whether it is a quick reproduction."""
    with Replacing(folder / "reproduce.json") as (temporary, _):
        temporary.write_text(json.dumps({"quick": quick}) + "\n", encoding="utf-8")
