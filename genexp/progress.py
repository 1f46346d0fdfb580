"""What a user sees while a model trains, and what happens when they press Ctrl-C."""

import signal
import sys
import time
from types import FrameType
from typing import Any

from tqdm import tqdm

from genexp.artifacts import RunFolder

QUIET_SECONDS = 15.0


class Interrupted(Exception):  # noqa: N818 (nothing went wrong)
    """Training was stopped by a signal after its checkpoint was written."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.exit_code = 128 + signum


class Interrupts:
    """Turns the first Ctrl-C or TERM into a request to stop after the current step; a second one stops at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        return self.signum is not None

    def raise_if_requested(self) -> None:
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
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum


class Reporter:
    """A progress bar on a terminal; elsewhere a line at each evaluation, or when nothing has been said for a while."""

    def __init__(self, folder: RunFolder, steps: int | None) -> None:
        self.folder = folder
        self.steps = steps
        self.last_said = time.perf_counter()
        self.loss = float("nan")

    def __enter__(self) -> "Reporter":
        self.bar = tqdm(total=self.steps, unit=" steps", leave=False, dynamic_ncols=True, disable=not sys.stderr.isatty())
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def step(self, step: int, seconds: float, loss: float, pace: float) -> None:
        """Training has come to `step`; `loss` is the mean since the last call, `pace` in examples per second."""
        self.loss = loss
        self.bar.set_postfix_str(f"loss {loss:.4f}, {pace:,.0f} examples/s")
        self.bar.update(step - self.bar.n)
        if self.bar.disable and time.perf_counter() - self.last_said > QUIET_SECONDS:
            self._say(step, seconds, "")

    def heldout(self, step: int, seconds: float, loss: float) -> None:
        """The held-out loss at `step`."""
        self._say(step, seconds, f"   held-out {loss:.4f}")

    def _say(self, step: int, seconds: float, more: str) -> None:
        total = f"/{self.steps}" if self.steps else ""
        left = "" if not self.steps else f"   {(self.steps - step) * seconds / max(step, 1):5.0f} s left"
        self.folder.say(f"  step {step:>6}{total}   loss {self.loss:.4f}{more}   {seconds:6.1f} s{left}")
        self.last_said = time.perf_counter()
