"""Doing the cases, one after the other; the failure of one does not stop the others."""

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from genexp.artifacts import Replacing
from genexp.errors import Interrupted, UserError
from genexp.reproduce.plan import Planned


def carry_out(planned: Sequence[Planned]) -> dict[str, str]:
    """Run what is not finished yet. Returns case → what went wrong, for those that failed. Interrupted stops all."""
    from genexp.experiment import resume, run

    failed = {}
    for number, one in enumerate(planned, 1):
        if one.state == "finished":
            continue
        print(f"\n== {number} of {len(planned)}: {one.case.name}, {one.label}; {one.data}", flush=True)
        try:
            if one.state == "to go on with":
                resume(one.path)
            else:
                put_aside(one.path)
                run(one.composed, str(one.path))
        except Interrupted:  # whoever stops a case stops all
            raise
        except UserError as mistake:
            failed[one.case.name] = mistake.message
            print(f"error: {one.case.name}: {mistake.message}", file=sys.stderr, flush=True)
        except Exception as failure:
            failed[one.case.name] = f"{type(failure).__name__}: {failure}"
            traceback.print_exc()
    return failed


def put_aside(path: Path) -> None:
    """Rename a folder that holds a run which saved nothing: a run never overwrites another."""
    if path.exists():
        names = (path.with_name(f"_{path.name}.{number}") for number in range(1, 10_000))
        path.rename(next(name for name in names if not name.exists()))


def write_mode(folder: Path, quick: bool) -> None:
    """Say in the folder whether it is a quick reproduction, so that it goes on as one."""
    folder.mkdir(parents=True, exist_ok=True)
    with Replacing(folder / "reproduce.json") as (temporary, _):
        temporary.write_text(json.dumps({"quick": quick}) + "\n", encoding="utf-8")
