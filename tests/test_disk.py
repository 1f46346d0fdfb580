"""A bad disk: full, read-only, forbidden, gone. One clear line, and what was learnt is not lost."""

import errno
import json
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from genexp.errors import UserError
from genexp.files import Replacing
from genexp.folder import checkpoint
from genexp.folder.finding import find_run
from genexp.folder.run_folder import RunFolder
from tests.forking import ROOT, Ended, Forks
from tests.test_hostile_commands import wrong_in
from tests.test_trainer import STEPS, Noisy, Normal, assert_same_state, fit, folder, settings, weights

TINY = [
    *("trainer.max_steps=4", "trainer.checkpoint_every=2", "trainer.log_every=1", "trainer.eval_every=2"),
    *("trainer.batch_size=16", "trainer.eval_size=16", "evaluation.num_samples=50", "evaluation.num_points=16"),
    *("evaluation.ode_points=4", "evaluation.classifier_steps=2"),
    "figures.enabled=false",
]


class BadDisk:
    """Below one folder, every change from the `after`th on fails with `number`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, below: Path, number: int, after: int) -> None:
        self.below, self.number, self.left = below.resolve(), number, after
        self.opened = Path.open
        monkeypatch.setattr(Path, "open", lambda path, *rest, **keys: self.open(path, *rest, **keys))
        self.fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self.synced)

    def open(self, path: Path, mode: str = "r", *rest: Any, **keys: Any) -> Any:
        if ("w" in mode or "a" in mode) and self.below in path.resolve().parents:
            self.change(path)
        return self.opened(path, mode, *rest, **keys)

    def synced(self, handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.is_file() and self.below in path.parents:
            self.change(path)
        self.fsync(handle)

    def change(self, path: Path) -> None:
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, os.strerror(self.number), str(path))


@pytest.fixture
def nobody(forks: Forks) -> Callable[..., Ended]:
    """Commands by a user who may do little."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    if any(not above.stat().st_mode & 0o001 for place in (ROOT, Path(sys.prefix)) for above in (place, *place.parents)):
        pytest.skip("another user cannot read the program here")
    return lambda folder, *words: forks(folder, words, uid=65534, sketchy=True)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.slow  # a process of another user for each command
def test_what_another_user_may_not_read_or_write_is_named_and_stays(nobody, public: Path) -> None:
    """EACCES as it is: nobody's own run with parts that are closed to them, and a folder of somebody else's."""
    mine = public / "mine"
    mine.mkdir()
    os.chown(mine, 65534, 65534)
    words = [*TINY, "experiment=double_gaussian", "model.conditioner.width=4", "model.transformer.bins=4"]
    ended = nobody(mine, "run", *words, f"run_dir={mine}/run")
    assert ended.code == 0, ended.output
    more = ["resume", "run", "trainer.max_steps=6"]
    for name, typed in (
        ("history.jsonl", more),
        ("checkpoints/last.pt", more),
        ("checkpoints/best.pt", ["sample", "run"]),
        ("config.yaml", ["evaluate", "run"]),
        ("run.json", ["compare", "run"]),
        ("", ["evaluate", "run"]),
    ):
        closed = mine / "run" / name
        before, mode = closed.read_bytes() if name else b"", closed.stat().st_mode
        closed.chmod(0)
        ended = nobody(mine, *typed)
        assert wrong_in(Ended(ended.code, ended.output[ended.output.find("error: ") :], 0, 0)) is None, ended.output
        assert "ermission denied" in ended.output
        assert f"run/{name}".rstrip("/") in ended.output
        closed.chmod(mode)
        assert not name or closed.read_bytes() == before
    for typed in (["run", *words], ["sample", "mine/run", "--out", "x.npz"]):
        ended = nobody(public, *typed)
        assert wrong_in(Ended(ended.code, ended.output[ended.output.find("error: ") :], 0, 0)) is None, ended.output
        assert ".tmp" not in ended.output
    assert [path.name for path in public.iterdir()] == ["mine"]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The system's folder for temporary files."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.ENOENT])
@pytest.mark.parametrize("after", [0, 3, 9, 20])
def test_what_cannot_be_written_is_kept_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: Path, number: int, after: int
) -> None:
    """Training stops at the first write that fails, says where its state is, and from there it goes on to the same end."""
    whole, run = folder(tmp_path, "whole"), folder(tmp_path, "run")
    torch.manual_seed(1)
    fit(Noisy(), Normal(), settings(keep="last"), whole, seed=3)
    torch.manual_seed(1)
    run.update(plugins=["/my/parts.py"])
    with monkeypatch.context() as patch:
        BadDisk(patch, run.path, number, after)
        with pytest.raises(UserError, match=os.strerror(number).lower()) as failure:
            fit(Noisy(), Normal(), settings(keep="last"), run, seed=3)
    (kept,) = elsewhere.glob("genexp_*/last.pt")
    state = checkpoint.load(kept)
    assert f"the state of step {state['position']['step']} is kept in {kept}" in failure.value.message
    assert 0 < state["position"]["step"] <= STEPS
    assert f"mv {kept} {run.path}/checkpoints/last.pt; genexp resume --plugin /my/parts.py {run.path}" in (
        failure.value.hint or ""
    )
    run.cut_history(state["position"]["step"])
    fit(Noisy(), Normal(), settings(keep="last"), run, seed=3, state=state)
    for part in ("model", "average", "optimizer", "random"):
        assert_same_state(weights(whole)[part], weights(run)[part])
    assert [path.name for path in run.path.rglob("*.tmp")] == []


def test_rescues_never_replace_one_another(monkeypatch, tmp_path: Path, elsewhere: Path) -> None:
    """The first job of every sweep is called 0; and where everybody may write, somebody may have planted a link."""
    victim = tmp_path / "victim"
    victim.write_text("private")
    (elsewhere / "genexp_0_last.pt").symlink_to(victim)
    places = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run = folder(tmp_path / name, "0")
        with monkeypatch.context() as patch:
            BadDisk(patch, run.path, errno.ENOSPC, 9)
            with pytest.raises(UserError, match="is kept in") as failure:
                fit(Noisy(), Normal(), settings(), run, seed=3)
        places.append(failure.value.message.rpartition(" is kept in ")[2])
    assert len({*places}) == 2
    for kept in map(Path, places):
        checkpoint.load(kept)
        assert kept.parent.stat().st_mode & 0o077 == 0
    assert (elsewhere / "genexp_0_last.pt").is_symlink()
    assert victim.read_text() == "private"


def test_with_no_room_anywhere_the_last_checkpoint_stands(monkeypatch, tmp_path: Path, elsewhere: Path) -> None:
    run = folder(tmp_path, "run")
    with monkeypatch.context() as patch:
        BadDisk(patch, tmp_path, errno.ENOSPC, 9)
        with pytest.raises(UserError, match="no space left on device; the last good checkpoint is of step 7"):
            fit(Noisy(), Normal(), settings(), run, seed=3)
    assert weights(run)["position"]["step"] == 7
    assert not list(elsewhere.glob("genexp_*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ENOENT])
def test_a_whole_run_on_a_bad_disk_ends_in_one_line(
    genexp: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: Path, number: int
) -> None:
    """Wherever it happens: at the first file, in training, at the samples."""
    for after in (0, 5, 25):
        with monkeypatch.context() as patch:
            BadDisk(patch, tmp_path / "outputs", number, after)
            code, _, err = genexp("run", *TINY)
        assert wrong_in(Ended(code, err, 0, 0)) is None, err
        assert os.strerror(number).lower() in err


def test_a_run_folder_deleted_while_it_runs(genexp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: Path) -> None:
    say, said = RunFolder.say, []

    def vandal(self: RunFolder, text: str = "") -> None:
        said.append(text)
        if "step " in text:
            shutil.rmtree(self.path)
        say(self, text)

    monkeypatch.setattr(RunFolder, "say", vandal)
    code, _, err = genexp("run", *TINY, "run_dir=here")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err
    assert "no such file or directory; the state of step 2 is kept in" in err


ODD = ["with spaces", "mit Umlauten äöü", "日本語", "quote'\"s", "$HOME;echo", "-dash", "%s{}", "a" * 200, "x/" * 60 + "deep"]


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_folders(tmp_path: Path, name: str) -> None:
    run = RunFolder.create("test", str(tmp_path / name))
    fit(Noisy(), Normal(), settings(max_steps=3), run, seed=0)
    run.update(status="finished")
    assert find_run(str(tmp_path / name)) == run.path
    assert weights(run)["position"]["step"] == 3


def test_a_whole_run_in_an_oddly_named_folder(genexp, tmp_path: Path) -> None:
    run = tmp_path / "mit Umlauten äöü 日本語 $HOME; it's %s{}"
    code, _, err = genexp("run", *TINY, f'run_dir="{run}"')
    assert code == 0, err
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    assert genexp("resume", str(run))[0] == 0


NOT_TO_BE_MADE = [
    ("a" * 300, "too long"),
    ("b/" * 3000, "too long"),
    ("file/run", "file is not a folder"),
    ("/proc/run", "cannot make"),
]


@pytest.mark.parametrize(("run_dir", "why"), NOT_TO_BE_MADE)
def test_folders_that_cannot_be_made(genexp, tmp_path: Path, run_dir: str, why: str) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = genexp("run", *TINY, f"run_dir={run_dir}")
    assert wrong_in(Ended(code, err, 0, 0)) is None, err
    assert why in err


def test_a_file_where_outputs_should_be(genexp, tmp_path: Path) -> None:
    (tmp_path / "outputs").write_text("")
    code, _, err = genexp("run", *TINY)
    assert wrong_in(Ended(code, err, 0, 0)) is None, err


def test_what_fails_half_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with suppress(OSError), Replacing(path) as (temporary, _):
        temporary.write_text("half")
        raise OSError("full")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_torch_says_of_a_full_disk_is_what_the_disk_said(tmp_path: Path) -> None:
    """A real limit in the kernel: torch, closing the file that could not be written, raises an error of its own over it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path / "large.pt", {"weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
