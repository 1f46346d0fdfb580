"""Paths as users type them."""

from pathlib import Path

from genexp.errors import UserError


def expanded(path: str | Path) -> Path:
    """`path` with a leading ~ replaced by the user's home folder, where there is one. One that begins with - is made absolute:
    typed again it is no option.
    """
    try:
        found = Path(path).expanduser()
    except RuntimeError:  # no such user, or a user without a home
        found = Path(path)
    return found.absolute() if str(found).startswith("-") else found


def not_there(path: Path, wanted: str) -> str:
    """Why there is no `wanted` (a picture, a table, a folder) at `path`: something else, or nothing, lies there."""
    if path.exists():
        return f"a {'folder' if path.is_dir() else 'file'}, and not a {wanted}"
    return "no such folder" if wanted == "folder" else "no such file"


def make_parent(path: Path) -> None:
    """Make the folder in which `path` is to lie. UserError where a file is called so, or a link that leads nowhere."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as failure:
        raise UserError(f"cannot make {path}: {failure.filename} is not a folder") from None


def check_new(path: Path) -> None:
    """UserError where `--out` names a file that exists, or one in a folder that does not."""
    if path.exists() or path.is_symlink():
        raise UserError(f"--out {path}: exists already, and nothing is overwritten")
    if not path.parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.parent}")
