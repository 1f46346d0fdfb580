"""Where a page is written: never over something that is not one."""

from pathlib import Path

from genexp.errors import UserError
from genexp.files import Replacing
from genexp.report.render import MARKER

BEGINNING = 2048  # bytes


def check_target(path: Path, kind: str = "report") -> None:
    """UserError where `path` cannot be written, is called as something else, or holds something that is not a page of ours, of
    that kind.
    """
    if path.is_dir():
        raise UserError(f"--out {path} is a folder", hint=f"--out {path / 'report.html'}")
    if path.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {path}: the page is HTML", hint=f"it ends in .html: --out {path.with_suffix('.html')}")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}")
    if path.exists() and not is_marked(path, MARKER.format(kind=kind)):
        raise UserError(f"{path} exists and is not a {kind} of genexp's", hint="name another file: --out F")


def is_marked(path: Path, mark: str) -> bool:
    """Whether a file has the mark of what wrote it near its beginning."""
    with path.open("rb") as file:
        return mark.encode() in file.read(BEGINNING)


def write_page(path: Path, page: str, kind: str = "report") -> None:
    """Write the page, whole or not at all."""
    check_target(path, kind)
    with Replacing(path) as (temporary, _):
        temporary.write_text(page, encoding="utf-8")
