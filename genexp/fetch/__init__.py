"""The files of data sets: where they come from, whether they are there, whether they are right. Nothing here needs torch."""

import os
from pathlib import Path

from genexp.paths import expanded
from genexp.printable import command_line


def default_data_dir() -> Path:
    """Where data sets lie when nothing else is said."""
    return expanded(os.environ.get("GENEXP_DATA") or "data")


def how_to_fetch(name: str, data_dir: Path) -> str:
    """The command that fetches a set into `data_dir`."""
    elsewhere = [] if data_dir == default_data_dir() else ["--data-dir", str(data_dir)]
    return command_line(["genexp", "data", "fetch", name, *elsewhere])
