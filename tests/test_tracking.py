"""What TensorBoard shows is what history.jsonl says, number by number."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from genexp.folder.run_folder import RunFolder
from genexp.folder.tracking import TensorBoard
from genexp.measures.take import Taken
from genexp.runs.results import Results

RUN = ["run", "experiment=double_gaussian", "run_dir=run", "trainer.eval_every=2", "trainer.checkpoint_every=2"]


@pytest.fixture(autouse=True)
def _only_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is measured or drawn after training: only the history matters here."""
    monkeypatch.setattr("genexp.runs.experiment.measure", lambda *_: Results(Taken(), {}))
    monkeypatch.setattr("genexp.runs.experiment.keep", lambda *_: None)


def history(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


def shown(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar in the event files, as TensorBoard's own reader finds it: tag → (step, value)."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found: dict[str, list[tuple[int, float]]] = {}
    (file,) = (run / "tensorboard").iterdir()
    times = []
    for event in LegacyEventFileLoader(str(file)).Load():
        for value in event.summary.value:
            found.setdefault(value.tag, []).append((event.step, value.simple_value))
            times.append(event.wall_time)
    assert times == sorted(times)
    return found


def expected(lines: list[dict[str, float]]) -> dict[str, list[tuple[int, float]]]:
    """The same of the history: in single precision, and `seconds` once for each step."""
    found: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name != "step" and not (name in ("seconds", "cpu_seconds") and (line["step"] in dict(found.get(name, [])))):
                found.setdefault(name, []).append((int(line["step"]), float(np.float32(value))))
    return found


def test_the_same_numbers_and_each_once_after_a_resume(genexp, tiny: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert genexp(*RUN, *tiny, "trainer.max_steps=4", "tracking=tensorboard")[0] == 0
    scalars = shown(run)
    assert scalars == expected(history(run))
    assert {"loss", "heldout/loss", "lr", "samples_per_second", "seconds"} <= {*scalars}
    assert [step for step, _ in scalars["loss"]] == [1, 2, 3, 4]
    RunFolder(run).track(TensorBoard())  # the file is a function of the history
    assert shown(run) == scalars
    lost = RunFolder(run)  # as if it had been killed after its last checkpoint
    lost.track(TensorBoard())
    lost.log_history({"step": 5, "seconds": 99.0, "loss": 77.0})
    assert (5, 77.0) in shown(run)["loss"]
    assert genexp("resume", "run", "trainer.max_steps=6")[0] == 0
    assert shown(run) == expected(history(run))
    assert [step for step, _ in shown(run)["loss"]] == [1, 2, 3, 4, 5, 6]
    assert (5, 77.0) not in shown(run)["loss"]


def test_a_run_can_begin_to_be_tracked_when_it_goes_on(genexp, tiny: list[str], tmp_path: Path) -> None:
    assert genexp(*RUN, *tiny, "trainer.max_steps=2")[0] == 0
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert genexp("resume", "run", "trainer.max_steps=3", "tracking=tensorboard")[0] == 0
    assert [step for step, _ in shown(tmp_path / "run")["loss"]] == [1, 2, 3]


def test_what_is_not_finite_is_left_out_of_both(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.track(TensorBoard())
    folder.log_history({"step": 1, "loss": float("nan"), "lr": 0.5})
    assert shown(tmp_path) == expected(history(tmp_path)) == {"lr": [(1, 0.5)]}


def test_without_tensorboard_it_is_said_before_anything_runs(genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "tensorboard" else find(name, *more))
    code, _, err = genexp(*RUN, "tracking=tensorboard")
    assert code == 2
    assert err == "error: tracking=tensorboard: tensorboard is not installed\nhint: pip install 'genexp[tensorboard]'\n"
    assert not list(tmp_path.iterdir())
    code, _, err = genexp(*RUN, "tracking=tensorbord")
    assert code == 2
    assert "must be one of none, tensorboard; did you mean 'tensorboard'?" in err
