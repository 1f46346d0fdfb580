"""Going on with a run: exactly, in every family of experiments; and what is said and refused."""

import os
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml

from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.fit.objective import Objective
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.models.base import Terms
from genexp.runs.resuming import check_budget, check_epochs, finished_already, other_threads
from genexp.settings import RunSettings, TrainerSettings
from genexp.subject import Subject
from tests.conftest import small_parts
from tests.parts import arrays
from tests.test_distributed import metrics, read
from tests.test_trainer import assert_same_state, strip

FAMILIES = ("qr_flowmatch", "qr_fourier", "double_gaussian", "double_well", "glyphs_vae", "drawn_fruit_vae_iaf", "mnist_gtm")
KEYS = ["figures.enabled=false", "trainer.eval_every=2", "trainer.checkpoint_every=3"]


def stop_in_step(step: int, monkeypatch: pytest.MonkeyPatch, signum: int = signal.SIGTERM) -> None:
    """A signal comes while the loss of `step` is computed."""
    calls = iter(range(1, 1000))
    compute = Objective.__call__

    def interrupted(self: Objective, batch: Batch) -> Terms:
        if next(calls) == step:
            os.kill(os.getpid(), signum)
        return compute(self, batch)

    monkeypatch.setattr(Objective, "__call__", interrupted)


@pytest.mark.parametrize("experiment", FAMILIES)
def test_going_on_equals_never_having_stopped(genexp, tiny: list[str], tmp_path: Path, experiment: str, monkeypatch) -> None:
    """Bit for bit: both checkpoints, the history, the samples, every number."""
    words = [
        f"experiment={experiment}",
        *small_parts(experiment),
        *tiny,
        *KEYS,
        "trainer.max_steps=4",
        "evaluation.num_samples=60",
    ]
    assert genexp("run", "run_dir=whole", *words)[0] == 0
    with monkeypatch.context() as patch:
        stop_in_step(3, patch)
        code, out, _ = genexp("run", "run_dir=parts", *words)
    assert code == 143
    assert "go on with: genexp resume parts" in out
    assert checkpoint.load(tmp_path / "parts" / "checkpoints" / "last.pt")["position"]["step"] == 3
    code, out, err = genexp("resume", "parts")
    assert code == 0, err
    assert "going on from step 3" in out
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for name in ("last", "best"):
        assert_same_state(*(checkpoint.load(run / "checkpoints" / f"{name}.pt") for run in (whole, parts)))
    assert strip(RunFolder(whole).history()) == strip(RunFolder(parts).history())
    assert metrics(whole) == metrics(parts)
    samples = [arrays(run / "samples" / "samples.npz") for run in (whole, parts)]
    for name in samples[0]:
        assert np.array_equal(samples[0][name], samples[1][name]), name


def test_a_finished_run_stays_as_it_is_until_it_is_given_more(genexp, tiny: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert genexp("run", "run_dir=run", "experiment=double_gaussian", *tiny, *KEYS)[0] == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, out, _ = genexp("resume", "run")
    assert code == 0
    assert "run has finished: 2 steps (trainer.max_steps=2)" in out
    assert "genexp resume run trainer.max_steps=4" in out
    Path("mine.py").touch()
    assert "genexp resume --plugin mine.py run trainer.max_steps=4" in genexp("resume", "--plugin", "mine.py", "run")[1]
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    code, _, err = genexp("resume", "run", "trainer.max_steps=1")
    assert (code, err.splitlines()[0]) == (2, "error: trainer.max_steps=1: the run has done 2 steps already")
    code, _, err = genexp("resume", "run", "trainer.max_seconds=1e-9")
    assert (code, err.splitlines()[0].partition("for ")[0]) == (2, "error: trainer.max_seconds=1e-09: the run has trained ")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    code, out, err = genexp("resume", "run", "trainer.max_steps=4")
    assert code == 0, err
    assert "trainer.max_steps: 2 → 4" in out
    assert "threads" not in out
    assert "the cosine schedule follows the new budget" in out
    assert "going on from step 2" in (run / "log.txt").read_text()
    assert yaml.safe_load((run / "config.yaml").read_text())["overrides"][-1] == "trainer.max_steps=4"
    assert read(run, "metrics.json")["steps"] == read(run, "run.json")["steps"] == 4
    code, out, _ = genexp("resume", "run", "evaluation.num_samples=300")  # measured again
    assert (code, "no step is left to do: it is measured where it was" in out) == (0, True)
    assert arrays(run / "samples" / "samples.npz")["samples"].shape == (300, 2)


def test_where_may_change_and_what_may_not(genexp, tiny: list[str], tmp_path: Path) -> None:
    assert genexp("run", "run_dir=run", "experiment=double_gaussian", *tiny, *KEYS)[0] == 0
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    for word in ("model.conditioner.width=7", "dataset.name=qr", "trainer.batch_size=64", "seed=3", "trainer.ema=0.5"):
        code, _, err = genexp("resume", "run", word)
        assert code == 2
        assert err.startswith(f"error: {word.split('=')[0]} cannot be changed when a run goes on")
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before
    (tmp_path / "elsewhere").mkdir()
    code, _, err = genexp("resume", "run", "device=cpu", "data_dir=elsewhere", "trainer.threads=2", "trainer.max_steps=3")
    assert code == 0, err
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data_dir"] == "elsewhere"


def budget(limit: float | None, clock: str = "wall") -> RunSettings:
    trainer = TrainerSettings.model_construct(max_steps=None, max_seconds=limit, clock=clock)
    return RunSettings.model_construct(trainer=trainer)


def test_seconds_that_are_spent_are_refused_where_they_are_new() -> None:
    """Those that it had it has overrun by a step, and it is measured all the same."""
    done = {"step": 5, "seconds": 20.1, "cpu_seconds": 9.0}
    check_budget(budget(20.0), budget(20.0), done)
    check_budget(budget(20.0), budget(20.2), done)
    check_budget(budget(20.0), budget(10.0, "cpu"), done)
    for less, unit in ((budget(15.0), "20.1 seconds"), (budget(8.0, "cpu"), "9 CPU seconds")):
        with pytest.raises(UserError, match=unit):
            check_budget(budget(20.0), less, done)


def test_epochs_that_are_done_are_refused() -> None:
    stream = SimpleNamespace(steps_per_epoch=3)
    data = SimpleNamespace(train_stream=lambda batch_size, seed: stream)
    for fitter, limit, enough in (("gradient", 4, True), ("gradient", 3, False), ("em", 10, True), ("em", 9, False)):
        trainer = TrainerSettings.model_construct(max_epochs=limit)
        subject = Subject(SimpleNamespace(fitter=fitter), data, RunSettings.model_construct(trainer=trainer), torch.device("cpu"))
        with nullcontext() if enough else pytest.raises(UserError, match="epochs already"):
            check_epochs(subject, {"step": 10})


def test_a_run_without_a_step_is_given_some() -> None:
    settings = RunSettings.model_construct(trainer=TrainerSettings.model_construct(max_steps=0))
    assert str(finished_already({"status": "finished", "steps": 0}, settings, "run")).endswith("trainer.max_steps=1000")


def test_another_number_of_threads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    (line,) = other_threads({"threads": 1})
    assert line.startswith("  1 → 3 threads: ")
    assert other_threads({"threads": 3}) == other_threads({}) == []


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_refused_leaves_nothing_behind(genexp, tiny: list[str], tmp_path: Path) -> None:
    """Neither a folder in the way of the next attempt, nor a setting that no later one could be rid of."""
    mistakes = {"evaluation.density_at=[0.5]": "not of one dimension", "trainer.max_epochs=1": "without epochs"}
    for wrong in mistakes:
        assert genexp("run", "experiment=double_gaussian", "run_dir=r", wrong, *tiny)[0] == 2
        assert not (tmp_path / "r").exists()
    assert genexp("run", "experiment=double_gaussian", "run_dir=r", *tiny, "figures.enabled=false")[0] == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()}
    for wrong, why in mistakes.items():
        code, _, err = genexp("resume", "r", wrong)
        assert code == 2
        assert why in err
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").rglob("*") if path.is_file()} == before
    assert genexp("resume", "r", "trainer.max_steps=3")[0] == 0


def test_a_run_whose_measuring_failed_is_measured_when_it_goes_on(genexp, tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    words = ["experiment=double_gaussian", *tiny, *KEYS]
    assert genexp("run", "run_dir=whole", *words)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("genexp.runs.experiment.measure", no_room)
        assert genexp("run", "run_dir=parts", *words)[0] == 2
    assert read(tmp_path / "parts", "run.json")["status"] == "failed"
    assert genexp("resume", "parts")[0] == 0
    assert read(tmp_path / "parts", "run.json")["status"] == "finished"
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_numbers_of_an_earlier_end_never_stand_beside_later_steps(genexp, tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    run = tmp_path / "run"
    words = ["experiment=double_gaussian", *tiny, "trainer.eval_every=2", "figures.gif=false"]
    assert genexp("run", "run_dir=run", *words)[0] == 0
    numbers = (run / "metrics.json").read_bytes()
    pictures = sorted(path.name for path in (run / "figures").iterdir())
    before = read(run, "run.json")["seconds"]
    with monkeypatch.context() as patch:
        stop_in_step(2, patch)
        code, out, _ = genexp("resume", "run", "trainer.max_steps=8")
    assert code == 143
    assert not (run / "metrics.json").exists()
    assert not (run / "figures").exists()
    (aside,) = (run / "_aside").iterdir()  # nothing is lost
    assert f"measured and drawn at step 2 is kept in {aside.relative_to(tmp_path)}" in out
    assert (aside / "metrics.json").read_bytes() == numbers
    assert sorted(path.name for path in (aside / "figures").iterdir()) == pictures
    assert (aside / "samples" / "samples.npz").exists()
    record = read(run, "run.json")
    assert (record["status"], record["steps"]) == ("interrupted", 4)
    assert record["seconds"] > before  # of both sessions
    assert "nll" not in genexp("compare", "run")[1]
    assert "nothing to compare them with" in genexp("evaluate", "run")[1]
    code, out, err = genexp("resume", "run", "trainer.max_steps=6")
    assert code == 0, err
    assert read(run, "metrics.json")["steps"] == read(run, "run.json")["steps"] == 6
    assert out.count("trainer.max_steps=") == 1  # in the line that does the same again: the last one alone
    assert "trainer.max_steps=6" in out
    assert genexp("resume", "run", "evaluation.num_samples=300")[0] == 0  # no further step: measured again where it was
    assert len(list((run / "_aside").iterdir())) == 1
