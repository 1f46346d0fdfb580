"""Where a page is written: never over something that is not one."""

from pathlib import Path

from genexp.errors import UserError
from genexp.files import Replacing
from genexp.report.render import MARKER


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
    if path.exists() and MARKER.format(kind=kind).encode() not in path.read_bytes()[:2048]:
        raise UserError(f"{path} exists and is not a {kind} of genexp's", hint="name another file: --out F")


def write_page(path: Path, page: str, kind: str = "report") -> None:
    """Write the page, whole or not at all."""
    check_target(path, kind)
    with Replacing(path) as (temporary, _):
        temporary.write_text(page, encoding="utf-8")
