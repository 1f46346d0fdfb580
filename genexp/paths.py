"""Paths as users type them."""

from pathlib import Path


def expanded(path: str | Path) -> Path:
    """`path` with a leading ~ replaced by the user's home folder, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user, or a user without a home
        return Path(path)
