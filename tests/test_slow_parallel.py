"""Many at once: runs of one second, two resumes of one folder, readers of a run that is writing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import TINY

pytestmark = pytest.mark.slow
GENEXP = [sys.executable, "-m", "genexp"]
SMALL = ["run", "experiment=double_gaussian", *TINY, "figures.gif=false"]


def start(tmp_path: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([*GENEXP, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_twenty_runs_of_one_second_have_twenty_whole_folders(tmp_path: Path) -> None:
    processes = [start(tmp_path, *SMALL, f"seed={seed}") for seed in range(20)]
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err
    records = [json.loads(path.read_text()) for path in (tmp_path / "outputs").rglob("run.json")]
    assert sorted(record["seed"] for record in records) == list(range(20))
    assert {record["status"] for record in records} == {"finished"}
    for path in (tmp_path / "outputs").rglob("run.json"):
        assert {"config.yaml", "metrics.json", "history.jsonl"} <= {file.name for file in path.parent.iterdir()}


def test_of_two_resumes_of_one_folder_one_is_refused(tmp_path: Path) -> None:
    first = start(tmp_path, *SMALL, "run_dir=here")
    assert first.communicate() is not None
    assert first.returncode == 0
    words = ["resume", "here", "trainer.max_steps=4000"]
    ends = [(process.communicate()[1], process.returncode) for process in [start(tmp_path, *words), start(tmp_path, *words)]]
    assert sorted(code for _, code in ends) == [0, 2], ends
    assert any("another process is working on this run" in err for err, code in ends if code == 2)
    record = json.loads((tmp_path / "here" / "run.json").read_text())
    assert (record["status"], record["steps"]) == ("finished", 4000)
    steps = [json.loads(line)["step"] for line in (tmp_path / "here" / "history.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_run_that_is_writing_can_be_compared_and_reported(tmp_path: Path) -> None:
    words = [
        "run",
        "experiment=double_gaussian",
        *TINY,
        "trainer.max_steps=100000000",
        "trainer.checkpoint_every=5",
        "run_dir=live",
    ]
    live = start(tmp_path, *words)
    try:
        while not (tmp_path / "live" / "checkpoints" / "best.pt").exists() and live.poll() is None:
            pass
        for number in range(3):
            for command in (["compare", "live"], ["report", "live", "--out", f"{number}.html"]):
                process = start(tmp_path, *command)
                out, err = process.communicate()
                assert process.returncode == 0, err
                assert "Traceback" not in err
                assert command[0] == "report" or "running" in out
            assert "running" in (tmp_path / f"{number}.html").read_text()
    finally:
        live.terminate()
        live.communicate()
    assert live.returncode == 143
