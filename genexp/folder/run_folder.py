"""RunFolder: the only writer below a run folder.

    config.yaml run.json metrics.json history.jsonl log.txt checkpoints/ figures/ samples/ profile/ tensorboard/ _aside/

Every file is written to a temporary name, synced and renamed, so a reader never meets half a file; history.jsonl
and log.txt are appended to, whole lines at a time.
"""

import json
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tqdm import tqdm

from genexp.errors import UserError
from genexp.files import TEMPORARY, Replacing, write_gif
from genexp.folder.records import check_links, history_lines, own_folders, read_history, read_run
from genexp.folder.tracking import Tracker
from genexp.paths import expanded, make_parent
from genexp.printable import printable

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL.Image import Image


GLANCES = 5  # at a lock that is taken: a reader who looks whether it is free holds it for an instant


class Busy(UserError):  # noqa: N818 (a state, not a defect)
    """Another process works in the same run folder."""


class RunFolder:
    """One run on disk. `id` is the folder's name."""

    silent = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self._tracker: Tracker | None = None
        self._began = 0.0  # on the tracker's clock, in seconds since 1970

    @classmethod
    def create(cls, experiment: str, run_dir: str | None, root: Path = Path("outputs")) -> "RunFolder":
        """A new folder: `run_dir`, or outputs/<experiment>/<date>_<time>_<id>. Never an existing one."""
        path = root / experiment / new_id() if run_dir is None else expanded(run_dir)
        try:
            make_parent(path)
            path.mkdir()
        except FileExistsError:
            if run_dir is None and path.is_dir():  # in the same second, by a chance of one in 65,536
                return cls.create(experiment, run_dir, root)
            if not path.is_dir() or any(path.iterdir()):
                raise UserError(f"{path}: exists already, and a run never overwrites another") from None
        except OSError as failure:
            raise UserError(f"cannot make the run folder {path}: {failure.strerror}") from None
        return cls(path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Only one process at a time works in a run folder; UserError when another one does. Whoever does begins by clearing
        away what a killed one was writing.
        """
        check_links(self.path)
        handle = None if fcntl is None else os.open(self.path, os.O_RDONLY)  # None: Windows
        try:
            if handle is not None:
                self._take(handle)
            self._clear_away()
            yield
        finally:
            if handle is not None:
                os.close(handle)

    def _take(self, handle: int) -> None:
        try:
            for _ in range(GLANCES):
                with suppress(BlockingIOError):
                    return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                time.sleep(0.02)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{self.path}: another process is working on this run") from None
        except OSError as failure:  # a file system without locks
            self.say(f"warning: {self.path} cannot be locked ({failure.strerror}); let no other process work on this run")

    def _clear_away(self) -> None:
        """Remove the temporary files of a process that was killed, and end the line it was saying."""
        for folder in [self.path, *own_folders(self.path)]:
            for entry in [*folder.iterdir()]:
                if TEMPORARY.fullmatch(entry.name) and not entry.is_dir():
                    entry.unlink(missing_ok=True)
        log = self.path / "log.txt"
        if log.exists() and log.stat().st_size and not log.read_bytes().endswith(b"\n"):
            self._append("log.txt", "\n")

    def put_aside(self) -> Path:
        """Move the folder to _aside/<name>_<date>_<time>_<id> beside it, so that its name is free again."""
        aside = self.path.parent / "_aside" / f"{self.path.name}_{new_id()}"
        aside.parent.mkdir(exist_ok=True)
        self.path.rename(aside)
        return aside

    def put_results_aside(self, step: int) -> None:
        """What was measured and drawn at `step` goes to _aside/: the run trains on, and its results will be others."""
        results = [self.path / name for name in ("metrics.json", "figures", "samples") if (self.path / name).exists()]
        if not results:
            return
        aside = self.path / "_aside" / f"step_{step}_{new_id()}"
        aside.mkdir(parents=True)
        for part in results:
            part.rename(aside / part.name)
        self.say(f"what was measured and drawn at step {step} is kept in {aside}")

    # --- what a run is ---------------------------------------------------------------------------------------

    def write_config(self, settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """config.yaml: the whole resolved configuration and the overrides as typed."""
        text = yaml.safe_dump({**settings, "overrides": list(overrides)}, sort_keys=False, allow_unicode=True)
        self._replace("config.yaml", text.encode())

    def update(self, **fields: Any) -> None:
        """Merge `fields` into run.json, which also says when that was."""
        known = read_run(self.path) if (self.path / "run.json").exists() else {"id": self.id}
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        self._replace("run.json", _json({**known, **fields, "updated": now}, indent=2))

    def seconds(self) -> float:
        """The wall time of the run's sessions so far, as run.json has it."""
        seconds = read_run(self.path).get("seconds") if (self.path / "run.json").exists() else None
        return float(seconds) if isinstance(seconds, int | float) and math.isfinite(seconds) else 0.0

    def write_metrics(self, metrics: Mapping[str, float | int | str | None]) -> None:
        """metrics.json: flat {name: number | string | null}. A number that is not finite becomes null, and is said."""
        for name, value in metrics.items():
            if isinstance(value, float) and not math.isfinite(value):
                self.say(f"warning: {name} is {value}; metrics.json says null")
        self._replace("metrics.json", _json(finite(metrics), indent=2))

    # --- what a run says as it goes --------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """One line on the terminal and in log.txt. A terminal that is gone ends no run."""
        text = printable(text)
        with suppress(OSError, AttributeError):
            tqdm.write(text)
            sys.stdout.flush()
        self._append("log.txt", text + "\n")

    def log_history(self, line: Mapping[str, float | int]) -> None:
        """Append one line to history.jsonl; numbers that are not finite are left out."""
        kept = {name: value for name, value in finite(line).items() if value is not None}
        self._append("history.jsonl", _json(kept).decode())
        if self._tracker is not None:
            self._append(self._tracker.file, self._tracker.encode(kept, self._began + kept.get("seconds", 0)))

    def track(self, tracker: Tracker) -> None:
        """From now on the tracker's file grows with the history. What it said before is replaced by the history as it is."""
        lines = self.history()
        self._tracker, self._began = tracker, time.time() - max((line.get("seconds", 0) for line in lines), default=0)
        told = [tracker.encode(line, self._began + line.get("seconds", 0)) for line in lines]
        self._replace(tracker.file, tracker.head() + b"".join(told))

    def history(self) -> list[dict[str, float]]:
        """The lines of history.jsonl; a torn one is left out."""
        return read_history(self.path)

    def cut_history(self, step: int) -> None:
        """Forget the lines after `step`: a resumed run writes them again. However many there are, all others stay."""
        with self._temporary(Path("history.jsonl")) as (temporary, _), temporary.open("wb") as file:
            file.writelines(_json(finite(line)) for line in history_lines(self.path) if line["step"] <= step)

    # --- what a run makes ------------------------------------------------------------------------------------

    @property
    def checkpoints(self) -> Path:
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder

    def save_checkpoint(self, name: str, state: dict[str, Any]) -> None:
        """checkpoints/<name>.pt; afterwards it holds either all of `state` or what it held before."""
        from genexp.folder import checkpoint

        checkpoint.save(self.checkpoints / f"{name}.pt", state)

    def save_figure(self, name: str, picture: "Figure | Image") -> Path:
        """figures/<name>.png from a matplotlib figure or a Pillow image."""
        return self._save_picture(Path("figures") / f"{name}.png", picture)

    def save_gif(self, name: str, frames: Sequence["Image"], fps: int, hold_last: float = 1.5) -> Path:
        """figures/<name>.gif; the last frame stays for `hold_last` seconds before the loop begins again."""
        with self._temporary(Path("figures") / f"{name}.gif") as (temporary, final):
            write_gif(temporary, frames, fps, hold_last)
        return final

    def save_samples(self, arrays: Mapping[str, "np.ndarray"], picture: "Figure | Image | None" = None) -> Path:
        """samples/samples.npz and, beside it, a picture of the samples."""
        import numpy as np

        with self._temporary(Path("samples") / "samples.npz") as (temporary, final), temporary.open("wb") as file:
            np.savez_compressed(file, **dict(arrays))  # type: ignore[arg-type]
        if picture is not None:
            self._save_picture(Path("samples") / "samples.png", picture)
        return final

    def save_text(self, text: str) -> Path:
        """samples/samples.txt."""
        with self._temporary(Path("samples") / "samples.txt") as (temporary, final):
            temporary.write_text(text, encoding="utf-8")
        return final

    def save_trace(self, write: Callable[[Path], None]) -> Path:
        """profile/trace.json, by a function that writes a file of a given name."""
        with self._temporary(Path("profile") / "trace.json") as (temporary, final):
            write(temporary)
        return final

    def _save_picture(self, name: Path, picture: "Figure | Image") -> Path:
        with self._temporary(name) as (temporary, final):
            if hasattr(picture, "savefig"):
                picture.savefig(temporary, format="png", dpi=120)
            else:
                picture.save(temporary, "PNG")
        return final

    def _append(self, name: str, text: str | bytes) -> None:
        with (self.path / name).open("ab") as file:
            file.write(text.encode(errors="backslashreplace") if isinstance(text, str) else text)

    def _replace(self, name: str, content: bytes) -> None:
        with self._temporary(Path(name)) as (temporary, _):
            temporary.write_bytes(content)

    def _temporary(self, name: Path) -> "Replacing":
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        return Replacing(path)


def new_id() -> str:
    """A name for a new folder: date, time, and four hexadecimal digits for those started in the same second."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{secrets.token_hex(2)}"


def finite(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None in place of numbers that are not finite: what the JSON files of a run say."""
    return {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in numbers.items()}


def _json(value: Any, indent: int | None = None) -> bytes:
    text = json.dumps(value, indent=indent, allow_nan=False, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")  # a name of bytes that are no text stays valid JSON
