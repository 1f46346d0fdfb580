"""Many runs at once, each in a process of its own."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from genexp.config.composition import compose
from genexp.errors import Interrupted
from genexp.folder.records import read_config, read_run
from genexp.folder.run_folder import RunFolder
from genexp.runs import several
from genexp.runs.several import Job, Running, carry_out
from tests.conftest import TINY


def job(name: str, *words: str) -> Job:
    return Job(name, "", Path(name), lambda: compose([*words, *TINY, "figures.enabled=false"]))


def program(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let each job be done by a Python program, which is told the job's folder."""

    def start(job: Job, at_once: int) -> Running:
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen([sys.executable, "-S", "-c", text, str(job.path)], stderr=errors)
        return Running(job, process, errors, time.monotonic())

    monkeypatch.setattr(several, "_start", start)


def test_what_another_process_did_is_a_run_like_any(tmp_path: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    (one,) = [job("a b/c", "model=normal", "dataset=two_moons", "seed=7")]
    assert carry_out([one], 2) == {}
    record = read_run(one.path)
    assert (record["status"], record["threads"], read_config(one.path)[0]["seed"]) == ("finished", 1, 7)
    out, _ = capfd.readouterr()
    assert "1 of 1: a b/c\n    a b/c finished, " in out
    assert "step" not in out  # of two that talk at once nobody understands a word
    for at_once in (1, 2):  # what is finished is not begun again
        assert carry_out([one], at_once) == {}
    assert read_run(one.path)["updated"] == record["updated"]
    assert "a b/c" not in capfd.readouterr().out


def test_what_was_begun_goes_on_and_what_saved_nothing_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    typed: list[list[str]] = []

    def note(words: list[str], **how: Any) -> None:
        typed.append(words[3:])
        how["stderr"].close()

    RunFolder.create("x", "begun").update(status="interrupted")
    Path("begun/checkpoints").mkdir(exist_ok=True)
    Path("begun/checkpoints/last.pt").touch()
    RunFolder.create("x", "lost").update(status="running")
    monkeypatch.setattr(several.subprocess, "Popen", note)
    for name in ("begun", "lost", "deep/er"):
        several._start(job(name, "experiment=double_gaussian"), 2)
    assert typed[0] == ["resume", "begun"]
    assert typed[1][:3] == ["run", "run_dir=lost", "experiment=double_gaussian"]
    assert len(list(Path("_aside").iterdir())) == 1
    assert typed[2][1] == "run_dir=deep/er"


def test_no_more_run_at_once_than_were_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(several, "GLANCE", 0)
    active, most = set[str](), list[int]()

    class Process:
        """It has ended when it is looked at for the third time."""

        returncode = 0

        def __init__(self, name: str) -> None:
            self.name, self.looks = name, 0
            active.add(name)
            most.append(len(active))

        def poll(self) -> int | None:
            self.looks += 1
            return 0 if self.looks == 3 else None

        def wait(self) -> None:
            active.remove(self.name)

    monkeypatch.setattr(several, "_start", lambda job, at_once: Running(job, Process(job.name), io.BytesIO(), 0.0))
    assert carry_out([job(name) for name in "abcd"], 2) == {}
    assert most == [1, 2, 1, 2]


def test_a_mistake_is_told_as_it_was_a_defect_by_its_last_line_and_a_silent_end_by_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
import sys
match sys.argv[1]:
    case 'a': sys.exit(3)
    case 'b': [][0]
    case 'c': sys.exit('error: there is no such file\\n  hint: another one')
"""
    program(monkeypatch, text)
    why = {"a": "it ended with 3", "b": "IndexError: list index out of range", "c": "there is no such file"}
    assert carry_out([job(name) for name in "abcd"], 2) == why


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_all_save_themselves_and_begins_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signum: int
) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
import pathlib, signal, sys
def save(*_):
    pathlib.Path(sys.argv[1] + '.saved').touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1] + '.began').touch()
while True:
    signal.pause()
"""
    program(monkeypatch, text)

    def interrupt() -> None:
        while len(list(Path().glob("*.began"))) < 2:
            pass
        os.kill(os.getpid(), signum)

    other = threading.Thread(target=interrupt)
    other.start()
    with pytest.raises(Interrupted):
        carry_out([job(name) for name in "abc"], 2)
    other.join()
    assert {path.name for path in Path().iterdir()} == {"a.began", "a.saved", "b.began", "b.saved"}
