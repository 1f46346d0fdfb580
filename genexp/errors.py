"""The two exceptions that are nobody's defect: "you asked for something that cannot be done", and "you stopped it"."""

import errno
import signal
from collections.abc import Iterable
from difflib import get_close_matches

LISTED, FEW = ("experiment", "dataset", "model"), 12  # what `genexp list` lists; more names than that are no hint


class UserError(Exception):
    """A mistake of the user's: printed as one line `error: …` (and one line `hint: …`), exit code 2."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = hint and " ".join(hint.split())

    def __str__(self) -> str:
        return self.message + (f"\nhint: {self.hint}" if self.hint else "")


class Interrupted(BaseException):
    """A signal stopped what was going on; what there was to save is saved. No `except Exception` stops it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


MEMORY = ("can't allocate memory", "bad_alloc", "CUDA out of memory", "array is too big", "could not create a memory object")
NO_DEFECT = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "free some space, or choose another place"),
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "another place, or other permissions"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP), None),
    **dict.fromkeys((errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENODEV, errno.ENXIO), None),
}


def circumstance(failure: BaseException) -> UserError | None:
    """What a disk or a memory that had enough says, in one line; None where the failure is something else: a defect."""
    if isinstance(failure, OSError) and failure.errno in NO_DEFECT:
        where = f"{failure.filename}: " if failure.filename else ""
        return UserError(f"{where}{(failure.strerror or '').lower()}", hint=NO_DEFECT[failure.errno])
    said = f"{type(failure).__name__}: {failure}"
    if isinstance(failure, MemoryError) or (isinstance(failure, RuntimeError) and any(word in said for word in MEMORY)):
        return UserError(
            "there is not enough memory for this", hint="a smaller trainer.batch_size, evaluation.*, dataset.size or model"
        )
    return None


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like `name`, or None when nothing is near."""
    by_folded = {candidate.lower(): candidate for candidate in allowed}
    match = get_close_matches(name.lower(), by_folded, n=1, cutoff=0.5)
    return by_folded[match[0]] if match else None


def unknown(what: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that does not exist: the nearest one that does, and all there are, or the command that lists them."""
    allowed = sorted(allowed)
    guess = nearest(name, allowed)
    message = f"unknown {what} '{name}'" + (f"; did you mean '{guess}'?" if guess else "")
    if what in LISTED and len(allowed) > FEW:
        return UserError(message, hint=f"genexp list {what}s")
    return UserError(message, hint=f"there are: {', '.join(allowed)}" if allowed else None)
