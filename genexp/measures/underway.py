"""What a user sees while a model is measured and drawn."""

import sys
import time
from collections.abc import Callable
from threading import Event, Thread

from tqdm import tqdm

QUIET_SECONDS = 15.0  # without a word, as a training is
REFRESHED = 1.0  # seconds: how often a terminal's bar says how long it has taken


class Underway:
    """Says what is being found, of how many, and for how long: a bar on a terminal; elsewhere a line when nothing has been said
    for a while. A thread looks at the clock, so that no measure has to say how far it is.

    Args:
        doing: `measuring`, `drawing`.
        total: how many there are.
        say: where lines go; None: no lines are wanted.
        shown: whether a terminal has a bar.
    """

    def __init__(self, doing: str, total: int, say: Callable[[str], None] | None, shown: bool = True) -> None:
        self.doing, self.total, self.say, self.shown = doing, total, say, shown
        self.name, self.count, self.ended = "", 0, Event()

    def __enter__(self) -> "Underway":
        self.began = self.last_said = time.perf_counter()
        quiet = not (self.shown and sys.stderr.isatty())
        self.bar = tqdm(total=self.total, desc=self.doing, leave=False, dynamic_ncols=True, disable=quiet, file=sys.stderr)
        self.watch = Thread(target=self._watch, name=self.doing, daemon=True)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.watch.join()
        self.bar.close()

    def now(self, name: str) -> None:
        """The next is `name`."""
        self.bar.update(self.count - self.bar.n)  # those before it are done
        self.bar.set_postfix_str(name)
        self.name, self.count = name, self.count + 1

    def _watch(self) -> None:
        while not self.ended.wait(min(REFRESHED, QUIET_SECONDS)):
            self.bar.refresh()
            if self.bar.disable and self.say and self.name and time.perf_counter() - self.last_said > QUIET_SECONDS:
                self.last_said = time.perf_counter()
                seconds = self.last_said - self.began
                self.say(f"  {self.doing} {self.name}, {self.count} of {self.total}   {seconds:6.1f} s")
