"""Finding runs, and reading what they wrote, whatever is in their folders."""

import json
import os
from pathlib import Path

import pytest

from genexp.errors import UserError
from genexp.folder import records
from genexp.folder.finding import find_run, find_runs
from genexp.folder.records import flat, read_record
from genexp.folder.run_folder import RunFolder


def make_run(path: str, **record: object) -> Path:
    folder = Path(path)
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"status": "finished", **record}))
    return folder


@pytest.fixture(autouse=True)
def _outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs of an experiment, a sweep of eleven jobs, and what else may lie about."""
    monkeypatch.chdir(tmp_path)
    make_run("outputs/qr/2026-01-02_03-04-05_aaaa", updated="2026-01-02T03:04:05+00:00")
    make_run("outputs/qr/2026-01-02_03-04-06_bbbb", updated="2026-01-02T03:04:06+00:00")
    for job in range(11):
        make_run(f"outputs/sweeps/2026-01-01_00-00-00_cccc/{job}", updated=f"2026-01-01T00:00:{job:02}+00:00")
    Path("outputs/README.md").write_text("runs\n")


def names(runs: list[Path]) -> list[str]:
    return [run.name for run in runs]


def test_one_name_means_one_run() -> None:
    assert find_run("2026-01-02_03-04-05_aaaa") == Path("outputs/qr/2026-01-02_03-04-05_aaaa")
    assert find_run("2026-01-01_00-00-00_cccc/7") == Path("outputs/sweeps/2026-01-01_00-00-00_cccc/7")
    assert find_run("outputs/sweeps/2026-01-01_00-00-00_cccc/10/").name == "10"
    with pytest.raises(UserError, match="a folder of 2 runs"):
        find_run("outputs/qr")
    with pytest.raises(UserError, match="did you mean '2026-01-02_03-04-05_aaaa'"):
        find_run("2026-01-02_03-04-05_aaab")


def test_latest_is_the_run_last_worked_on() -> None:
    assert find_run("latest").name == "2026-01-02_03-04-06_bbbb"
    older = RunFolder(find_run("2026-01-02_03-04-05_aaaa"))
    older.update(status="running")  # somebody resumes it
    assert find_run("latest") == older.path
    os.utime("outputs/qr/2026-01-02_03-04-06_bbbb/run.json")  # somebody copies the other
    assert find_run("latest") == older.path


def test_a_run_that_says_it_runs_and_is_worked_on_by_nobody_was_killed() -> None:
    folder = RunFolder(make_run("outputs/qr/killed", status="running"))
    assert read_record(folder.path).status == "killed"
    with folder.lock():
        assert read_record(folder.path).status == "running"
        with pytest.raises(UserError, match="another process"), RunFolder(folder.path).lock():
            pass
    assert read_record(folder.path).status == "killed"
    assert json.loads((folder.path / "run.json").read_text())["status"] == "running"  # a reader writes nothing


def test_where_there_is_no_run_yet_nobody_is_told_of_a_name_they_never_typed(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "new" / "outputs").mkdir(parents=True)
    for place in (tmp_path / "new", tmp_path / "new" / "outputs"):
        monkeypatch.chdir(place)
        with pytest.raises(UserError, match="there is no run under outputs/ yet"):
            find_runs(["outputs"])


@pytest.mark.parametrize("name", ["outputs/sweeps/2026-01-01_00-00-00_cccc", "2026-01-01_00-00-00_cccc", "sweeps", "sweeps/*"])
def test_a_sweep_is_its_jobs_in_order(name: str) -> None:
    assert names(find_runs([name])) == [str(job) for job in range(11)]


def test_names_are_runs_in_their_order_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    found = find_runs(["outputs/sweeps/*/1*", "latest", "outputs/q?", str(Path("outputs/qr").resolve()), "outputs/README.md"])
    assert names(found) == ["1", "10", "2026-01-02_03-04-06_bbbb", "2026-01-02_03-04-05_aaaa"]
    assert capsys.readouterr().err == "warning: outputs/README.md: not a run folder; left out\n"
    assert len(find_runs(["outputs"])) == len(find_runs(["**"])) == 13


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["swoops"], "did you mean 'sweeps'"),
        (["latest", "nothing-like-it"], "no run 'nothing-like-it'"),
        (["nothing*"], "no run matches 'nothing[*]'"),
        (["outputs/README.md"], "not a run folder"),
        (["empty"], "there is no run in it"),
        ([], "no run is named"),
        ([""], "there is no run in it"),
    ],
)
def test_a_name_that_means_no_run_is_named(given: list[str], problem: str) -> None:
    Path("empty").mkdir()
    if given == [""]:
        os.chdir("empty")
    with pytest.raises(UserError, match=problem):
        find_runs(given)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a": ' * 100_000])
def test_a_broken_run_is_left_out_of_a_folder_and_refused_by_its_name(content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    broken = Path("outputs/qr/2026-01-02_03-04-05_aaaa")
    (broken / "run.json").write_bytes(content)
    for name in ("qr", "outputs/qr", "outputs/qr/*"):
        assert names(find_runs([name])) == ["2026-01-02_03-04-06_bbbb"]
        assert capsys.readouterr().err.splitlines() == [
            f"warning: {broken}/run.json cannot be read: not the JSON that genexp writes; left out"
        ]
    with pytest.raises(UserError, match="cannot be read"):
        find_runs([str(broken)])
    assert find_run("latest").name in ("2026-01-02_03-04-05_aaaa", "2026-01-02_03-04-06_bbbb")


def test_no_link_leads_out_of_a_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text('{"status": "finished", "password": 1}')
    thief = Path("outputs/qr/thief")
    thief.mkdir()
    (thief / "run.json").symlink_to(secret)
    Path("outputs/qr/loop").symlink_to(Path("outputs").resolve())
    Path("outputs/qr/pipe").mkdir()
    os.mkfifo("outputs/qr/pipe/run.json")  # reading it would wait for ever
    assert names(find_runs(["outputs/qr"])) == ["2026-01-02_03-04-05_aaaa", "2026-01-02_03-04-06_bbbb"]
    with pytest.raises(UserError, match="cannot be read"):
        find_runs([str(thief)])


def test_runs_are_found_through_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to a run, to an experiment's folder, to a folder of sweeps, and outputs/ itself; each run once, by its own path."""
    everything = find_runs(["outputs"])
    Path("links").mkdir()
    for name, target in (("run", "qr/2026-01-02_03-04-05_aaaa"), ("qr", "qr"), ("sweeps", "sweeps")):
        Path("links", name).symlink_to(tmp_path / "outputs" / target)
    assert [run.resolve() for run in find_runs(["links"])] == [run.resolve() for run in everything]
    for name in ("links/run", "links/qr/2026-01-02_03-04-05_aaaa"):
        assert find_run(name).resolve() == everything[0].resolve()
    assert find_run("run", Path("links")) == Path("links/run")
    assert find_run("2026-01-01_00-00-00_cccc/7", Path("links")).name == "7"
    Path("links").rename("outputs/links")
    assert find_runs(["outputs"]) == everything
    for name in ("elsewhere/outputs", "new/outputs"):
        Path(name).parent.mkdir()
    Path("outputs").rename("elsewhere/outputs")
    Path("new/outputs").symlink_to(tmp_path / "elsewhere" / "outputs")
    monkeypatch.chdir("new")
    assert find_run("latest").name == "2026-01-02_03-04-06_bbbb"
    assert find_run("2026-01-02_03-04-05_aaaa") == Path("outputs/qr/2026-01-02_03-04-05_aaaa")
    assert len(find_runs(["outputs"])) == 13


def test_no_link_is_followed_for_ever_or_far(tmp_path: Path) -> None:
    deep = make_run(str(tmp_path / "other/a/b/c/deep"))
    make_run(str(tmp_path / "third/run"))
    Path("outputs/other").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "third").symlink_to(tmp_path / "third")  # a link behind a link
    (tmp_path / "other" / "up").symlink_to(tmp_path)
    Path("outputs/itself").symlink_to("itself")
    assert len(find_runs(["outputs"])) == 13
    assert find_runs(["outputs/other/a"]) == [Path("outputs/other/a/b/c/deep")]
    assert find_run(str(deep)) == deep


def test_what_is_kept_aside_is_no_run() -> None:
    make_run("outputs/sweeps/2026-01-01_00-00-00_cccc/_failed/3_x")
    assert len(find_runs(["sweeps"])) == 11


def test_a_record_is_what_the_folder_says() -> None:
    folder = make_run("a/run", experiment="x", seed=3)
    (folder / "config.yaml").write_text("experiment: x\ntrainer: {lr: 0.1, betas: [0.9, 0.99]}\noverrides: [seed=3]\n")
    (folder / "metrics.json").write_text(
        '{"leak": 0.5, "decoded": null, "text": "hi", "nested": {"a": 1}, "kl": NaN, "nll": -1e999}'
    )
    (folder / "history.jsonl").write_text('{"step": 1, "loss": 2.0}\n[]\n{"st\n{"step": 2, "loss": null}\n{"step": 3, "lo')
    with (folder / "history.jsonl").open("a") as file:
        file.write(f'\n{{"step": 4, "loss": Infinity, "lr": {10**400}, "seconds": 2}}\n')
    record = read_record(folder)
    assert (record.id, record.status, record.experiment, record.overrides) == ("run", "finished", "x", ("seed=3",))
    assert flat(record.config) == {"experiment": "x", "trainer.lr": 0.1, "trainer.betas": [0.9, 0.99]}
    assert record.metrics == {"leak": 0.5, "decoded": None, "text": "hi", "kl": None, "nll": None}
    assert record.history() == [{"step": 1, "loss": 2.0}, {"step": 2}, {"step": 4, "seconds": 2}]


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 20))


@pytest.mark.parametrize("config", ["", "[1]", "a: [", BOMB, "!!python/object/apply:os.system ['false']", "[" * 5000])
def test_a_record_survives_any_configuration(config: str) -> None:
    folder = make_run("a/run")
    (folder / "config.yaml").write_text(config)
    (folder / "metrics.json").write_text("[" * 100_000)
    record = read_record(folder)
    assert (record.config, record.overrides, record.metrics) == ({}, (), {})


def test_of_a_very_long_history_only_the_end_is_read_and_none_is_lost(monkeypatch, capsys) -> None:
    folder = make_run("a/run")
    monkeypatch.setattr(records, "LARGEST_HISTORY", 1000)
    monkeypatch.setattr(records, "LARGEST_LINE", 100)
    lines = [json.dumps({"step": step, "loss": 1.5}) for step in range(500)]
    (folder / "history.jsonl").write_text("\n".join([*lines, "x" * 5000, '{"step": true, "loss": 1}', lines[3], ""]))
    assert read_record(folder).history() == [json.loads(lines[3])]
    assert "history.jsonl: only its last" in capsys.readouterr().err
    RunFolder(folder).cut_history(450)
    kept = (folder / "history.jsonl").read_text().splitlines()
    assert kept == [*lines[:451], lines[3]]
    steps = [line["step"] for line in read_record(folder).history()]
    assert steps[-3:] == [449, 450, 3]
    assert 20 < len(steps) < 40
