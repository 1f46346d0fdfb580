"""From Enter to an answer, and from Enter to the first training step: each in a new process, as a user starts it."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

PATIENCE = 300.0  # seconds


@dataclass(frozen=True)
class StartUp:
    """Seconds, one for each repeat."""

    help: Sequence[float]
    list: Sequence[float]
    first_step: Sequence[float]


def measure_startup(repeats: int, overrides: Sequence[str] = ()) -> StartUp:
    rounds = [(_answer("--help"), _answer("list"), _first_step(overrides)) for _ in range(repeats)]
    helps, lists, steps = map(list, zip(*rounds, strict=True))
    return StartUp(helps, lists, steps)


def _answer(*words: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "genexp", *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def _first_step(overrides: Sequence[str]) -> float:
    """Until `genexp run` has written the line of step 1."""
    with TemporaryDirectory() as scratch:
        history = Path(scratch) / "run" / "history.jsonl"
        words = [*overrides, "trainer.log_every=1", f"run_dir={history.parent}"]
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "genexp", "run", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while not (history.exists() and history.stat().st_size):
                if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                    raise RuntimeError(f"genexp run {' '.join(words)} made no step")
                time.sleep(0.005)
            return time.perf_counter() - began
        finally:
            process.kill()
            process.wait()
