"""The two exceptions that are nobody's defect: "you asked for something that cannot be done", and "you stopped it"."""

import signal
from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """A mistake of the user's: printed as one line `error: …` (and one line `hint: …`), exit code 2."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = " ".join(message.split())
        self.hint = hint


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """A signal stopped what was going on; what there was to save is saved."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like `name`, or None when nothing is near."""
    by_folded = {candidate.lower(): candidate for candidate in allowed}
    match = get_close_matches(name.lower(), by_folded, n=1, cutoff=0.5)
    return by_folded[match[0]] if match else None


def unknown(what: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that does not exist: the nearest one that does, and all there are."""
    allowed = sorted(allowed)
    guess = nearest(name, allowed)
    message = f"unknown {what} '{name}'" + (f"; did you mean '{guess}'?" if guess else "")
    return UserError(message, hint=f"there are: {', '.join(allowed)}" if allowed else None)
