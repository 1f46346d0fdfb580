"""Sweeps: many jobs, one folder, one table; what is interrupted or fails, and what becomes of it."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from genexp.errors import Interrupted, UserError
from genexp.figures.sweep import Line, metric_against
from genexp.fit.average import Average
from genexp.folder import checkpoint
from genexp.folder.records import Record
from genexp.folder.run_folder import RunFolder
from genexp.sweep.job import STOP, _preempted, carry_out
from genexp.sweep.launchers import Launch
from genexp.sweep.plan import Plan, SweepSettings, check_metric, jobs, make_folder, make_plan, write_plan
from genexp.sweep.run import News, _stopping
from genexp.sweep.run import carry_out as sweep_of
from genexp.sweep.table import draw, table, x_key
from tests.conftest import TINY
from tests.subjects import timeless

SMALL = [
    "experiment=qr_coupling",
    "model.depth=2",
    "figures.enabled=false",
    *TINY,
    "trainer.max_steps=6",
    "trainer.checkpoint_every=2",
]
ROOT = "sweep.dir=s"


def read(path: Path, name: str) -> dict[str, Any]:
    return json.loads((path / name).read_text())


def statuses(root: str | Path = "s") -> list[str]:
    found = sorted(Path(root).glob("[0-9]*/run.json"), key=lambda path: int(path.parent.name))
    return [json.loads(path.read_text())["status"] for path in found]


def measured(run: Path) -> dict[str, Any]:
    """The metrics that do not depend on the machine's speed."""
    return timeless(read(run, "metrics.json"))


def table_of(root: str | Path = "s") -> list[dict[str, str]]:
    with (Path(root) / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def at_update(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, Callable[[], object]], None]]:
    """`at_update(n, act)`: act after the n-th training step from now, counted over all jobs."""
    update, count = Average.update, 0

    def arrange(n: int, act: Callable[[], object]) -> None:
        def counting(self: Average, step: int) -> None:
            nonlocal count
            update(self, step)
            count += 1
            if count == n:
                act()

        monkeypatch.setattr(Average, "update", counting)

    yield arrange
    monkeypatch.undo()


# --- what is to be done ------------------------------------------------------------------------------------------


def test_jobs_are_the_product_of_all_values() -> None:
    assert jobs(["seed=range(2)", "model.depth=1,3", "sweep.metric=kl", "hydra/launcher=joblib"]) == [
        ["seed=0", "model.depth=1"],
        ["seed=0", "model.depth=3"],
        ["seed=1", "model.depth=1"],
        ["seed=1", "model.depth=3"],
    ]


@pytest.mark.parametrize("name", [None, "nll", "floor/nll", "nll_error", "diversity/distinct", "iwae_nll/dynamic", "steps"])
def test_a_metric_is_a_measure_a_part_of_one_or_what_stands_beside_it(name: str | None) -> None:
    check_metric(name)


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        (["sweep.skp_finished=true"], "did you mean 'sweep.skip_finished'", "sweep.metric"),
        (["sweep.metric=nlll"], "unknown metric 'nlll'; did you mean 'nll'", None),
        (["sweep.metric=flor/nll"], "unknown metric 'flor/nll'", None),
        (["sweep.skip_finished=maybe"], "sweep.skip_finished=maybe", None),
        (["hydra/launcher=jolib"], "unknown hydra/launcher 'jolib'; did you mean 'joblib'", "submitit_slurm"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jbos=2"], "did you mean 'hydra.launcher.n_jobs'", None),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=x"], "n_jobs", None),
        (["hydra/launcher=submitit_slurm"], "there is no sbatch here", "cluster"),
        (["hydra/sweeper=basic"], "hydra/sweeper cannot be chosen", None),
        (["trainer.lr=interval(0,1)"], "not a list of values", "range"),
        (["seed=0,1", "trainer.lr=1e-3,-1"], "trainer.lr=-1", None),
        (["run_dir=here"], "every job has a folder of its own", "sweep.dir"),
        (["sweep.dir=nothing", "sweep.skip_finished=true"], "is no sweep", None),
        (["sweep.dir=there"], "never overwrites another", "sweep.skip_finished=true"),
        (["seed=1", "sweep.dir=there", "sweep.skip_finished=true"], "is no sweep", None),
    ],
)
def test_a_mistake_is_named_before_anything_runs(
    genexp, monkeypatch: pytest.MonkeyPatch, typed: list[str], error: str, hint: str | None
) -> None:
    monkeypatch.setattr("genexp.sweep.launchers.which", lambda program: None)
    Path("there").mkdir()
    Path("there/mine").touch()
    code, _, err = genexp("run", "-m", *typed)
    lines = err.splitlines()
    assert code == 2
    assert error in lines[0]
    assert hint is None or hint in lines[1]
    assert sorted(map(str, Path().rglob("*"))) == ["there", "there/mine"]


def test_a_launcher_that_is_not_installed_says_how_to_install_it(genexp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexp.sweep.launchers.find_spec", lambda name: None)
    for launcher, extra in (("joblib", "joblib"), ("submitit_local", "slurm"), ("submitit_slurm", "slurm")):
        code, _, err = genexp("run", "-m", f"hydra/launcher={launcher}", "seed=0,1")
        assert code == 2
        assert err == (f"error: hydra/launcher={launcher}: its plugin is not installed\nhint: pip install 'genexp[{extra}]'\n")


def test_sweeps_of_one_second_have_two_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = iter(["same", "same", "same", "other"])
    monkeypatch.setattr("genexp.sweep.plan.new_id", lambda: next(names))
    plans = [make_folder(make_plan(["seed=0,1"], [], [])) for _ in range(2)]
    assert [plan.root for plan in plans] == [Path("outputs/sweeps/same"), Path("outputs/sweeps/other")]


def test_where_outputs_lead_nowhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to a disk that is not there: a sweep looked for another name for ever."""
    monkeypatch.chdir(tmp_path)
    names = iter("abc")
    monkeypatch.setattr("genexp.sweep.plan.new_id", lambda: next(names))
    Path("outputs").symlink_to("/no/such/disk")
    with pytest.raises(UserError, match="cannot make outputs/sweeps/a: outputs is not a folder"):
        make_folder(make_plan(["seed=0,1"], [], []))
    with pytest.raises(UserError, match="outputs is not a folder"):
        RunFolder.create("qr", None)


def test_the_latest_sweep_of_the_same_jobs_is_the_one_to_finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = iter("abcd")
    monkeypatch.setattr("genexp.sweep.plan.new_id", lambda: next(names))
    for seeds in ("0,1", "0,1", "0,1,2"):
        write_plan(make_folder(make_plan([f"seed={seeds}", "dataset.text=a b"], [], [])))
    again = make_plan(["dataset.text=a b", "seed=1,0", "sweep.skip_finished=true"], [], [])
    assert again.root == Path("outputs/sweeps/b")
    assert [job[0] for job in again.jobs] == ["seed=0", "seed=1"]  # by the numbers that they have
    assert make_plan(["seed=5,6", "sweep.skip_finished=true"], [], []).nameless


def test_two_sweeps_that_begin_at_once_in_one_folder_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each was planned before the other had written anything: the one that gets the folder says what is in it."""
    monkeypatch.chdir(tmp_path)
    finishing = "sweep.skip_finished=true"
    typed = (["seed=0,1"], ["seed=5,6"], ["seed=1,0"], ["seed=1,0", finishing], ["seed=0,1", finishing])
    first, *others, same = (make_folder(make_plan([*words, "sweep.dir=s"], [], [])) for words in typed)
    lock = RunFolder(tmp_path / "s" / ".lock")
    lock.path.mkdir()
    write_plan(first)
    before = Path("s/sweep.yaml").read_text()
    for other in others:
        with lock.lock(), pytest.raises(UserError, match="another process is working on this sweep"):
            sweep_of(other)
        with pytest.raises(UserError, match="another process has begun a sweep in it meanwhile"):
            sweep_of(other)
    assert Path("s/sweep.yaml").read_text() == before
    write_plan(same)
    Path("s/sweep.yaml").unlink()  # as where the first was killed before it wrote
    assert make_plan(["seed=0,1", "sweep.dir=s"], [], []).root == Path("s")


# --- one after the other -----------------------------------------------------------------------------------------


def test_a_failure_is_shown_at_once_and_stops_nobody(genexp) -> None:
    code, out, err = genexp("run", "-m", *SMALL, "trainer.monitor=null,losss,loss", ROOT)
    assert code == 2
    assert statuses() == ["finished", "failed", "finished"]
    (line,) = err.splitlines()
    assert line.startswith("error: job 1 (trainer.monitor=losss): unknown")
    before, after = out.split("== job 2")
    assert "finished: leak" in before
    assert "2 of 3 jobs finished" in after
    assert "finish it with: genexp run -m" in after
    rows = table_of()
    assert [(row["job"], row["trainer.monitor"], row["status"]) for row in rows] == [
        ("0", "null", "finished"),
        ("1", "losss", "failed"),
        ("2", "loss", "finished"),
    ]
    assert float(rows[2]["leak"]) == read(Path("s/2"), "metrics.json")["leak"]
    assert "unknown trainer.monitor" in rows[1]["error"]
    assert yaml.safe_load(Path("s/sweep.yaml").read_text())["overrides"][-1] == "trainer.monitor=null,losss,loss"
    with Image.open("s/sweep.png") as picture:
        assert picture.width > 300

    # finished again: what has finished is left alone, what failed is kept aside
    kept = {path: path.read_bytes() for job in "02" for path in Path("s", job).rglob("*") if path.is_file()}
    code, out, err = genexp("run", "-m", ROOT, "sweep.skip_finished=true", "sweep.metric=kl")
    assert (code, out.splitlines()[0]) == (2, "1 of 3 jobs to do, in s")
    assert "warning: no metric 'kl'" in err  # there is such a measure, of other runs
    assert {path: path.read_bytes() for path in kept} == kept
    (aside,) = Path("s/_aside").iterdir()
    assert aside.name.startswith("1_")
    assert read(aside, "run.json")["status"] == "failed"


def test_a_defect_is_shown_and_kept_and_is_no_mistake_of_the_users(genexp, at_update) -> None:
    def break_down() -> None:
        raise RuntimeError("out of cheese")

    at_update(3, break_down)
    code, _, err = genexp("run", "-m", *SMALL, "seed=0,1", ROOT)
    assert code == 1
    assert "error: job 0 (seed=0): RuntimeError: out of cheese" in err
    assert statuses() == ["failed", "finished"]
    assert "Traceback" in Path("s/0/log.txt").read_text()


def test_an_interrupted_sweep_is_finished_exactly(genexp, at_update) -> None:
    assert genexp("run", "-m", *SMALL, "seed=0,1,2", "sweep.dir=whole")[0] == 0
    at_update(9, lambda: signal.raise_signal(signal.SIGINT))  # in the middle of job 1
    code, out, _ = genexp("run", "-m", *SMALL, "seed=0,1,2")
    (root,) = Path("outputs/sweeps").iterdir()
    assert code == 130
    assert statuses(root) == ["finished", "interrupted"]
    assert f"sweep.dir={root} sweep.skip_finished=true" in out
    assert [row["status"] for row in table_of(root)] == ["finished", "interrupted", "not started"]
    log = (root / "0" / "log.txt").read_bytes()

    assert genexp("run", "-m", *SMALL, "seed=0,1,2", "sweep.skip_finished=true")[0] == 0
    assert [path.name for path in Path("outputs/sweeps").iterdir()] == [root.name]
    assert not (root / "_aside").exists()  # resumed, not begun anew
    assert (root / "0" / "log.txt").read_bytes() == log
    for job in "012":
        assert measured(root / job) == measured(Path("whole", job))
        configs = [yaml.safe_load((place / job / "config.yaml").read_text()) for place in (root, Path("whole"))]
        assert configs[0] == configs[1]
        assert "sweep" not in configs[0]


def test_a_job_of_an_older_configuration_keeps_it_and_is_named(genexp) -> None:
    Path("conf/experiment").mkdir(parents=True)
    mine = Path("conf/experiment/mine.yaml")
    text = "# @package _global_\n# mine\ndefaults:\n  - qr_coupling\n  - _self_\ntrainer:\n  lr: {}\n"
    mine.write_text(text.format(0.001))
    words = ["run", "-m", "--config-dir", "conf", "experiment=mine", *SMALL[1:], "seed=0", ROOT]
    assert genexp(*words)[0] == 0
    mine.write_text(text.format(0.002))
    code, _, err = genexp(*words, "sweep.skip_finished=true")
    assert code == 0
    assert err.splitlines() == [
        "warning: job 0 has another value of trainer.lr than what was typed gives today; it keeps its own"
    ]


def test_what_was_killed_before_it_saved_begins_anew(genexp) -> None:
    assert genexp("run", "-m", *SMALL, "seed=0,1", ROOT)[0] == 0
    record = read(Path("s/1"), "run.json")
    Path("s/1/run.json").write_text(json.dumps({**record, "status": "running"}))
    for path in Path("s/1/checkpoints").iterdir():
        path.unlink()
    code, out, _ = genexp("run", "-m", ROOT, "sweep.skip_finished=true")
    assert code == 0
    (aside,) = Path("s/_aside").iterdir()
    assert f"what was in s/1 before is kept as {aside}" in out
    assert statuses() == ["finished", "finished"]


# --- at the same time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "at_once"), [("joblib", ["hydra.launcher.n_jobs=2"]), pytest.param("submitit_local", [], marks=pytest.mark.slow)]
)
def test_jobs_at_once_share_the_threads_and_fail_alone(launcher: str, at_once: list[str], genexp, monkeypatch) -> None:
    pytest.importorskip(f"hydra_plugins.hydra_{launcher.partition('_')[0]}_launcher")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code, out, err = genexp("run", "-m", *SMALL, "trainer.monitor=null,losss", ROOT, f"hydra/launcher={launcher}", *at_once)
    assert code == 2, err
    assert "error: job 1 (trainer.monitor=losss): unknown" in err
    assert "job 0 (trainer.monitor=null) finished: leak" in out
    assert statuses() == ["finished", "failed"]
    threads = [read(Path("s", job), "run.json")["threads"] for job in "01"]
    assert sum(threads) <= max(2, os.cpu_count() or 1)
    assert len(table_of()) == 2


@pytest.mark.parametrize(
    ("overrides", "jobs", "threads"),
    [
        ([], 6, None),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], 6, 2),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"], 2, 4),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=1"], 6, None),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=50"], 50, 1),
        (["hydra/launcher=submitit_local"], 4, 2),
        (["hydra/launcher=submitit_slurm"], 4, None),
        (["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=5"], 4, 5),
    ],
)
def test_the_threads_of_one_run_are_divided_among_jobs(
    overrides: list[str], jobs: int, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    assert Launch(overrides).threads(jobs) == threads


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Two jobs that train until somebody stops them."""
    monkeypatch.chdir(tmp_path)
    typed = [*SMALL, "trainer.max_steps=100000000", "seed=0,1"]
    return make_folder(Plan(Path("s"), tuple(map(tuple, jobs(typed))), tuple(typed), (), SweepSettings()))


def test_a_machine_that_is_too_small_is_no_defect(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_large(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("genexp.runs.experiment.run", too_large)
    carry_out(plan, 0)
    assert read(plan.folder(0), "run.json")["error"].startswith("UserError: there is not enough memory for this (a smaller")
    assert not (plan.folder(0) / "log.txt").exists()  # no traceback


def test_a_job_elsewhere_saves_when_the_sweep_is_stopped(plan: Plan, at_update) -> None:
    at_update(3, (plan.root / STOP).touch)
    with pytest.raises(Interrupted):
        carry_out(plan, 0, plan.root / STOP)
    assert plan.status(0) == "interrupted"
    assert checkpoint.load(plan.folder(0) / "checkpoints" / "last.pt")["position"]["step"] >= 3


def test_ctrl_c_asks_all_jobs_to_stop_and_kills_none(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    with _stopping(plan, News(plan, [0, 1])) as stopped:
        child = [sys.executable, "-c", "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"]
        os.kill(os.getpid(), signal.SIGINT)
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout == "True\n"
        while not stopped or not (plan.root / STOP).exists():
            os.sched_yield()
    assert stopped == [signal.SIGINT]
    assert "save and end" in capsys.readouterr().out
    with pytest.raises(KeyboardInterrupt):  # a second one is not waited for
        _press_ctrl_c_for_ever(plan)


def _press_ctrl_c_for_ever(plan: Plan) -> None:
    with _stopping(plan, News(plan, [])):
        while True:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_preempted_job_is_saved_before_it_goes_back_to_the_queue(plan: Plan, at_update) -> None:
    requeued: list[int] = []
    previous = signal.signal(signal.SIGUSR2, lambda number, frame: requeued.append(number))
    try:
        at_update(3, lambda: signal.raise_signal(signal.SIGUSR2))
        with _preempted() as give_back:
            with pytest.raises(Interrupted):
                carry_out(plan, 0)
            assert not requeued
            assert (plan.folder(0) / "checkpoints" / "last.pt").exists()
            give_back()
        assert requeued == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, previous)


# --- what it shows -----------------------------------------------------------------------------------------------

SWEPT = {"trainer.lr": [1e-4, 1e-4, 1e-2, 1e-2, 1e-3, 1e-3], "model": ["vae"] * 3 + ["flow"] * 3, "seed": [0, 1] * 3}


def test_x_is_the_first_swept_number_and_never_the_seed_unless_alone() -> None:
    assert x_key(SWEPT) == "trainer.lr"
    assert x_key({"model": ["a", "b"], "seed": [0, 1]}) == "model"
    assert x_key({"seed": [0, 1]}) == "seed"


def test_a_line_is_the_mean_its_band_one_standard_deviation() -> None:
    line = Line("depth=2", np.array([1.0, 1.0, 2.0]), np.array([3.0, 5.0, 7.0]))
    (axes,) = metric_against([line], "model.depth", "kl", floor=0.0).axes
    mean, dots, floor = axes.get_lines()
    assert mean.get_xydata().tolist() == [[1, 4], [2, 7]]
    assert dots.get_xydata().tolist() == [[1, 3], [1, 5], [2, 7]]
    assert floor.get_ydata() == [0, 0]
    band = axes.collections[0].get_paths()[0].vertices
    assert sorted(set(band[band[:, 0] == 1][:, 1].round(9))) == [round(4 - 2**0.5, 9), round(4 + 2**0.5, 9)]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("model.depth", "kl")


@pytest.mark.parametrize(
    ("x", "y", "scales"),
    [
        ([1e-4, 1e-3, 1e-2], [1, 2, 3], ("log", "linear")),
        ([1, 2, 3], [1e-4, 1e-3, 1e-1], ("linear", "log")),
        ([0, 10, 100], [-1, 10, 100], ("linear", "linear")),
    ],
)
def test_axes_are_logarithmic_where_values_are_spread_over_decades(x: list, y: list, scales: tuple[str, str]) -> None:
    (axes,) = metric_against([Line("", np.array(x, float), np.array(y, float))], "x", "y").axes
    assert (axes.get_xscale(), axes.get_yscale()) == scales


def test_words_stand_side_by_side() -> None:
    lines = [Line(f"seed={seed}", np.array(["vae", "flow"]), np.array([1.0, 2.0])) for seed in range(2)]
    (axes,) = metric_against(lines, "model", "nll").axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["vae", "flow"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["seed=0", "seed=1"]


def test_the_same_job_twice_is_one_dot() -> None:
    found = [Record(Path(str(leak)), {"status": "finished"}, {}, (), {"leak": leak}) for leak in (1.0, 1.0, 3.0)]
    (axes,) = draw(found, {"trainer.lr": [0.1, 0.1, 0.1], "seed": [0, 0, 1]}, "leak").axes
    mean, dots = axes.get_lines()
    assert mean.get_ydata().tolist() == [2]
    assert dots.get_ydata().tolist() == [1, 3]


def test_nothing_is_drawn_while_there_is_nothing_to_see() -> None:
    assert draw([None] * 6, SWEPT, None) is None
    assert table([None], {"seed": [0]}).splitlines() == ["job,status,seed,error", "0,not started,0,"]


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_saves_every_job_that_runs(tmp_path: Path) -> None:
    words = ["-m", *SMALL, "trainer.max_steps=100000000", "seed=0,1,2", ROOT, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "genexp", "run", *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    while len(list(tmp_path.glob("s/*/history.jsonl"))) < 2 and process.poll() is None:
        os.sched_yield()
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    assert "0 of 3 jobs finished" in out
    assert statuses(tmp_path / "s") == ["interrupted", "interrupted"]
    assert len(list(tmp_path.glob("s/*/checkpoints/last.pt"))) == 2
