"""A run folder that another process writes to."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexp.folder.run_folder import RunFolder
from genexp.folder.tracking import Tracker

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL.Image import Image


class SilentFolder(RunFolder):
    """Here everything can be said and saved, and nothing is."""

    silent = True

    @contextmanager
    def lock(self) -> Iterator[None]:
        yield

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def put_results_aside(self, step: int) -> None:
        pass

    def say(self, text: str = "") -> None:
        pass

    def track(self, tracker: Tracker) -> None:
        pass

    def cut_history(self, step: int) -> None:
        pass

    def save_checkpoint(self, name: str, state: dict[str, Any]) -> None:
        pass

    def save_samples(self, arrays: Mapping[str, "np.ndarray"], picture: "Figure | Image | None" = None) -> Path:
        return self.path / "samples" / "samples.npz"

    def save_gif(self, name: str, frames: Sequence["Image"], fps: int, hold_last: float = 1.5) -> Path:
        return self.path / "figures" / f"{name}.gif"

    def save_text(self, text: str) -> Path:
        return self.path / "samples" / "samples.txt"

    def save_trace(self, write: Callable[[Path], None]) -> Path:
        return self.path / "profile" / "trace.json"

    def _save_picture(self, name: Path, picture: "Figure | Image") -> Path:
        return self.path / name

    def _append(self, name: str, text: str | bytes) -> None:
        pass

    def _replace(self, name: str, content: bytes) -> None:
        pass
