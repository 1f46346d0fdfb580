"""Trackers: other programs' files of the same numbers as history.jsonl, written as it is written."""

import importlib.util
from collections.abc import Callable, Mapping
from typing import Protocol

from genexp.errors import UserError


class Tracker(Protocol):
    """A file below the run folder that grows with the history, and how a line of the history looks in it."""

    file: str

    def head(self) -> bytes: ...

    def encode(self, line: Mapping[str, float], at: float) -> bytes: ...


class TensorBoard:
    """Event files of TensorBoard: every number of a line is a scalar at the line's step.

    TensorBoard keeps single precision. Its wall time is the `at` of a line, seconds since 1970.
    """

    file = "tensorboard/events.out.tfevents.genexp"

    def __init__(self) -> None:
        self._step = -1

    def head(self) -> bytes:
        from tensorboard.compat.proto.event_pb2 import Event

        return _record(Event(file_version="brain.Event:2").SerializeToString())

    def encode(self, line: Mapping[str, float], at: float) -> bytes:
        """One record with the line's scalars; of two lines of the same step, only the first one says `seconds`."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        left_out = ("step", "seconds", "cpu_seconds") if line["step"] == self._step else ("step",)
        self._step = int(line["step"])
        values = [Summary.Value(tag=name, simple_value=value) for name, value in line.items() if name not in left_out]
        return _record(Event(wall_time=at, step=self._step, summary=Summary(value=values)).SerializeToString())


TRACKERS: dict[str, Callable[[], Tracker]] = {"tensorboard": TensorBoard}


def make_tracker(name: str) -> Tracker | None:
    """The tracker that `tracking=name` asks for; None for `none`."""
    return TRACKERS[name]() if name in TRACKERS else None


def check_tracker(name: str) -> None:
    """UserError where the package that `tracking=name` needs is not installed."""
    if name in TRACKERS and importlib.util.find_spec(name) is None:
        raise UserError(f"tracking={name}: {name} is not installed", hint=f"pip install 'genexp[{name}]'")


def _record(content: bytes) -> bytes:
    """`content` as TensorBoard frames it: with its length and check sums."""
    import io

    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    RecordWriter(file).write(content)
    return file.getvalue()
