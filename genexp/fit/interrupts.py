"""What happens when somebody presses Ctrl-C, or a cluster sends TERM."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from genexp.errors import Interrupted


class Interrupts:
    """Inside `with Interrupts() as interrupts:`, Ctrl-C and TERM raise Interrupted.

    Inside `with interrupts.deferred():` the first one only sets `requested`, so that a step and its checkpoint can be
    finished; Interrupted is raised at the end of that block. A second signal stops at once.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._deferred = False
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.signum is not None

    @contextmanager
    def deferred(self) -> Iterator[None]:
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self.signum is not None:
            raise Interrupted(self.signum)

    def __enter__(self) -> "Interrupts":
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._request)
        except ValueError:  # not the main thread: somebody else handles signals
            pass
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        first, self.signum = self.signum is None, signum
        if not (first and self._deferred):
            raise Interrupted(signum)
