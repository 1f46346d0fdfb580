"""How a run stands that somebody wants done."""

from pathlib import Path
from typing import Literal

from genexp.errors import UserError
from genexp.folder.records import read_run

State = Literal["finished", "to go on with", "to do"]


def state_of(path: Path) -> State:
    """Of the run in the folder `path`, whether there is one or not."""
    try:
        status = read_run(path).get("status")
    except UserError:
        return "to do"
    if status == "finished":
        return "finished"
    return "to go on with" if (path / "checkpoints" / "last.pt").is_file() else "to do"
