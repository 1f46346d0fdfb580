"""What a user sees while a model trains."""

import math
import sys
import time
import warnings

from tqdm import tqdm

from genexp.fit.budget import Budget, Timed
from genexp.folder.run_folder import RunFolder

QUIET_SECONDS = 15.0


class Reporter:
    """A progress bar on a terminal and in a notebook; elsewhere a line at each evaluation, or when nothing has been said for a
    while.
    """

    def __init__(self, folder: RunFolder, budget: Budget) -> None:
        self.folder = folder
        self.budget = budget
        self.last_said = time.perf_counter()
        self.loss = float("nan")

    def __enter__(self) -> "Reporter":
        notebook = in_notebook()
        quiet = self.folder.silent or not (notebook or sys.stderr.isatty())
        bar, stream = (notebook_bar(), sys.stdout) if notebook else (tqdm, sys.stderr)
        self.bar = bar(total=self.budget.steps, unit=" steps", leave=False, dynamic_ncols=True, disable=quiet, file=stream)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def step(self, step: int, timed: Timed, loss: float, pace: float) -> None:
        """Training has come to `step`; `loss` is the mean since the last call, `pace` in examples per second."""
        self.loss = loss
        self.bar.set_postfix_str(f"loss {loss:.4f}, {pace:,.0f} examples/s")
        self.bar.update(step - self.bar.n)
        if self.bar.disable and time.perf_counter() - self.last_said > QUIET_SECONDS:
            self._say(step, timed, "")

    def heldout(self, step: int, timed: Timed, loss: float) -> None:
        """The held-out loss at `step`."""
        self._say(step, timed, f"   held-out {loss:.4f}")

    def _say(self, step: int, timed: Timed, more: str) -> None:
        total = f"/{self.budget.steps}" if self.budget.steps else ""
        seconds, done = timed.seconds, self.budget.progress(step, self.budget.reading(timed))
        left = f"   {seconds * (1 - done) / done:5.0f} s left" if done > 0 and step > 1 else ""  # the first starts torch
        loss = "" if math.isnan(self.loss) else f"   loss {self.loss:.4f}"  # before the first is known
        self.folder.say(f"  step {step:>6}{total}{loss}{more}   {seconds:6.1f} s{left}")
        self.last_said = time.perf_counter()


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, as IPython says."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})


def notebook_bar() -> type[tqdm]:
    """tqdm's widget; where ipywidgets is not installed, a line of text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's advice to install it
        from tqdm.auto import tqdm as bar
    return bar  # type: ignore[no-any-return]
