"""Run folders from strangers: whatever is in them is read as data. Nothing is executed, nothing outside is touched."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from genexp.data.base import DataSpec
from genexp.data.own_files import OwnFiles
from genexp.errors import UserError
from genexp.folder import checkpoint
from genexp.folder.records import FOLDERS
from genexp.folder.run_folder import RunFolder
from genexp.registry import models
from tests.conftest import roughen
from tests.forking import Ended
from tests.test_disk import TINY
from tests.test_hostile_commands import wrong_in

CANARY = Path("/tmp/genexp_canary_of_the_tests")
READERS = (["resume", "RUN"], ["sample", "RUN", "--out", "new.npz"], ["evaluate", "RUN"], ["compare", "RUN"], ["report", "RUN"])
MODEL_READERS = READERS[:3]
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)


class Trap:
    """What a pickle does when it is trusted."""

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {CANARY}",))


@pytest.fixture(autouse=True)
def _no_canary() -> Iterator[None]:
    CANARY.unlink(missing_ok=True)
    yield
    assert not CANARY.exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run."""
    from genexp.config.composition import compose
    from genexp.runs.experiment import run

    place = tmp_path_factory.mktemp("trained")
    words = [*TINY, "experiment=double_gaussian", "model.conditioner.width=4", "model.transformer.bins=4", f"run_dir={place}/run"]
    with pytest.MonkeyPatch.context() as patch:
        roughen(patch)
        run(compose(words))
    return place / "run"


@pytest.fixture
def stolen(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, in the working folder, to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def victims(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside, with what must not be touched."""
    outside = tmp_path_factory.mktemp("outside")
    for name in ("secret.txt", "last.pt", "log.txt", ".keep.1.tmp"):
        (outside / name).write_text(f"private {name}")
    return outside


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def use_all(genexp: Callable[..., tuple[int, str, str]], run: Path, readers: Any = READERS) -> list[tuple[int, str, str]]:
    """Every command that reads a run, on this one: done, or refused in one line; nothing that a terminal would obey is said."""
    answers = []
    for words in readers:
        code, out, err = genexp(*(str(run) if word == "RUN" else word for word in words))
        if code != 0:
            lines = "".join(f"{line}\n" for line in err.splitlines() if not line.startswith("warning: "))
            assert wrong_in(Ended(code, lines, 0, 0)) is None, (words, err)
        assert "\x1b" not in out + err
        answers.append((code, out, err))
    return answers


def edit(run: Path, name: str, **changes: Any) -> None:
    path = run / name
    load, dump = (json.loads, json.dumps) if path.suffix == ".json" else (yaml.safe_load, yaml.safe_dump)
    path.write_text(dump({**load(path.read_text()), **changes}))


def test_an_honest_run_passes(genexp, stolen: Path) -> None:
    assert [code for code, _, _ in use_all(genexp, stolen)] == [0] * len(READERS)


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_pickles_are_refused(genexp, stolen: Path, name: str) -> None:
    path = stolen / "checkpoints" / name
    edit(stolen, "run.json", status="interrupted")  # of a finished run, resume does not open last.pt
    state = checkpoint.load(path)
    torch.save({**state, "trap": Trap()}, path)
    codes = [code for code, _, _ in use_all(genexp, stolen, MODEL_READERS)]
    assert 2 in codes
    torch.save(Trap(), path, _use_new_zipfile_serialization=False)  # the format before
    use_all(genexp, stolen, MODEL_READERS)


BAD_CONFIGS = {
    "a python object": f"x: !!python/object/apply:os.system ['touch {CANARY}']",
    "a python name": "x: !!python/name:os.system",
    "laughs": LAUGHS,
    "a loop": "a: &a [*a]",
    "a deep nest": "a: " + "[" * 3000 + "]" * 3000,
    "a list": "[1, 2]",
    "a number": "5",
    "bytes": "\x00\xff",
    "a long line": "x: " + "y" * 5_000_000,
    "nothing": "",
    "tabs": "a:\n\t- b",
}


@pytest.mark.parametrize("text", BAD_CONFIGS.values(), ids=BAD_CONFIGS.keys())
def test_configurations_that_are_traps(genexp, stolen: Path, text: str) -> None:
    (stolen / "config.yaml").write_text(text)
    for code, _, _ in use_all(genexp, stolen, MODEL_READERS):
        assert code == 2
    use_all(genexp, stolen)


BAD_VALUES: dict[str, dict[str, Any]] = {
    "a target": {"model": {"_target_": "os.system", "name": "coupling_flow"}},
    "a target as name": {"model": {"name": "os.system"}},
    "an import": {"dataset": {"name": "genexp.plugins:load_plugin"}},
    "an interpolation": {"dataset": {"name": "${oc.env:HOME}"}},
    "a password file": {"dataset": {"name": "qr", "image": "/etc/passwd"}},
    "an endless picture": {"dataset": {"name": "qr", "image": "/dev/zero"}},
    "pictures of the system": {"dataset": {"name": "image_folder", "path": "/etc"}},
    "no such user": {"dataset": {"name": "image_folder", "path": "~nobody_at_all/x"}},
    "a null byte": {"dataset": {"name": "image_folder", "path": "a\0b"}},
    "a hook": {"trainer": {"__class__": "x"}},
    "an escape": {"experiment": "\x1b]0;owned\x07\x1b[2J"},
    "a command": {"experiment": "x; touch " + str(CANARY)},
    "a script": {"experiment": "<script>alert(1)</script>"},
    "overrides of another kind": {"overrides": {"a": [1, 2]}},
    "a huge model": {"model": {"name": "coupling_flow", "width": 10**9}},
    "numbers as words": {"seed": "one"},
    "not a number": {"seed": float("nan")},
}


@pytest.mark.parametrize("changes", BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_configurations_that_ask_for_too_much(genexp, stolen: Path, changes: dict[str, Any]) -> None:
    edit(stolen, "config.yaml", **changes)
    use_all(genexp, stolen)


BAD_RECORDS: dict[str, str] = {
    "a list": "[]",
    "a deep nest": "[" * 100_000,
    "nothing": "",
    "an odd shape": json.dumps({"data": {"shape": [10**9, 10**9], "classes": []}, "status": "finished"}),
    "shapes of words": json.dumps({"data": {"shape": ["x"], "classes": 5}}),
    "escapes": json.dumps(
        {"status": "\x1b[31m", "id": "\x1b[2J", "updated": "<script>", "error": "\x1b", "plugins": ["/etc/x.py"]}
    ),
    "large": json.dumps({"x": "y" * 20_000_000}),
}


@pytest.mark.parametrize("text", BAD_RECORDS.values(), ids=BAD_RECORDS.keys())
@pytest.mark.parametrize("name", ["run.json", pytest.param("metrics.json", marks=pytest.mark.slow)])
def test_records_that_are_not(genexp, stolen: Path, name: str, text: str) -> None:
    (stolen / name).write_text(text)
    use_all(genexp, stolen)


def test_metrics_and_names_are_escaped_everywhere(genexp, stolen: Path, tmp_path: Path) -> None:
    script = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    named = stolen.rename(tmp_path / script.replace("/", "∕"))
    edit(named, "metrics.json", **{script: 1.0, "decoded": script, "\x1b[2J": 2.0, "a" * 10_000: 3.0})
    edit(named, "run.json", error=script, command=script, machine=script, git_commit=script)
    edit(named, "config.yaml", experiment=script, overrides=[script])
    (named / "history.jsonl").write_text(json.dumps({"step": 1, script: 1.0, "loss": 2.0}) + '\n{\n\x00\n[1]\n{"step": "x"}\n')
    (named / "log.txt").write_text(script)
    shutil.copy(named / "samples" / "samples.npz", tmp_path / "x.npz")
    use_all(genexp, named, READERS[3:])
    code, _, err = genexp("report", str(named), "--out", "page.html")
    assert code == 0, err
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    code, out, _ = genexp("compare", str(named), "--markdown")
    assert "<script>" not in out


INSIDE = ("checkpoints/last.pt", "figures/loss.png", "samples/samples.npz", "profile/trace.json", "tensorboard/events.x")
LINKS = ("config.yaml", "run.json", "metrics.json", "history.jsonl", "log.txt", "anything", *FOLDERS, *INSIDE)


@pytest.mark.parametrize("name", LINKS)
def test_links_lead_nowhere(genexp, stolen: Path, victims: Path, name: str) -> None:
    edit(stolen, "config.yaml", trainer={**yaml.safe_load((stolen / "config.yaml").read_text())["trainer"], "profile": True})
    edit(stolen, "run.json", status="interrupted")
    part = stolen / name
    part.parent.mkdir(exist_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    part.unlink(missing_ok=True)
    part.symlink_to(victims if name in (*FOLDERS, "anything") else victims / "log.txt")
    before = tree(victims)
    for _, out, err in use_all(genexp, stolen):
        assert "private" not in out + err
    assert genexp("resume", str(stolen))[0] == 2
    assert tree(victims) == before
    for page in stolen.parent.glob("*.html"):
        assert "private" not in page.read_text()


def test_the_list_of_folders_is_all_that_a_run_makes(genexp, tmp_path: Path) -> None:
    words = [
        "experiment=double_gaussian",
        "model.conditioner.width=4",
        "model.transformer.bins=4",
        "run_dir=run",
        "trainer.max_steps=30",
    ]
    assert genexp("run", *TINY, *words, "trainer.profile=true", "tracking=tensorboard")[0] == 0
    assert {path.name for path in (tmp_path / "run").iterdir() if path.is_dir()} | {"figures"} == {*FOLDERS}


def test_only_what_a_killed_process_was_writing_is_tidied(stolen: Path, victims: Path) -> None:
    mine = [stolen / ".run.json.12.tmp", stolen / "checkpoints" / ".last.pt.3.tmp"]
    others = [stolen / ".notes.tmp", stolen / "mine" / ".last.pt.3.tmp", stolen / "samples" / ".x.tmp"]
    (stolen / "mine").mkdir()
    for path in [*mine, *others]:
        path.write_text("")
    with RunFolder(stolen).lock():
        assert [path.exists() for path in (*mine, *others)] == [False] * 2 + [True] * 3
    (stolen / "extra").symlink_to(victims)
    before = tree(victims)
    with pytest.raises(UserError, match="extra is a link to another place"), RunFolder(stolen).lock():
        pass
    assert tree(victims) == before


def test_a_picture_that_is_a_link_is_not_shown(genexp, stolen: Path, victims: Path, tmp_path: Path) -> None:
    (stolen / "figures").mkdir(exist_ok=True)
    (victims / "private.png").write_bytes(b"\x89PNG private")
    (stolen / "figures" / "loss.png").symlink_to(victims / "private.png")
    (stolen / "figures" / "not.png").write_text("<script>alert(1)</script>")
    use_all(genexp, stolen)
    genexp("report", str(stolen), "--out", "page.html")
    import base64

    page = (tmp_path / "page.html").read_text()
    assert base64.b64encode(b"\x89PNG private").decode()[:16] not in page
    assert "<script>alert" not in page


@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.json", "history.jsonl", "log.txt", "checkpoints/last.pt"])
def test_files_that_never_end_are_not_opened(genexp, stolen: Path, name: str) -> None:
    (stolen / name).unlink()
    os.mkfifo(stolen / name)
    use_all(genexp, stolen)


def test_checkpoints_of_another_kind(genexp, stolen: Path) -> None:
    last, best = stolen / "checkpoints" / "last.pt", stolen / "checkpoints" / "best.pt"
    state, other = checkpoint.load(last), models.build({"name": "coupling_flow", "depth": 2}, DataSpec((2,)))
    spoiled: list[dict[str, Any]] = [
        {**state, "position": {"step": "x"}},
        {**state, "position": 5},
        {**state, "model": other.state_dict()},
        {**state, "model": {}},
        {**state, "optimizer": {"state": {}, "param_groups": []}},
        {**state, "stream": {"generator": torch.zeros(3)}},
        {**state, "random": {}},
        {**state, "window": 3},
        {"format": 1},
        {"format": 1, "model": [1], "step": "x", "average": None},
    ]
    for one in spoiled:
        for path in (last, best):
            torch.save(one, path)
        use_all(genexp, stolen, MODEL_READERS)


def test_data_is_never_fetched_into_a_folder_that_a_run_names(genexp, stolen: Path, victims: Path, monkeypatch) -> None:
    edit(stolen, "config.yaml", data_dir=str(victims), dataset={"name": "mnist", "validation": 5})
    before = tree(victims)
    use_all(genexp, stolen, MODEL_READERS)
    assert tree(victims) == before
    assert not (victims / "MNIST").exists()


QR = [*TINY, "experiment=qr_flowmatch", "model.field.width=4", "model.field.depth=1", "evaluation.ode_points=4"]
FOLDER = [
    *TINY,
    "experiment=glyphs_vae",
    "model.network.encoder_widths=[4]",
    "model.network.decoder_widths=[4]",
    "dataset=image_folder",
]
FOLDER += ["dataset.size=8", "dataset.channels=1", "evaluation.importance_samples=2", "evaluation.quadrature_side=4"]


@pytest.mark.parametrize(("words", "key"), [(QR, "image"), (FOLDER, "path")], ids=["image", "path"])
def test_only_the_pictures_it_was_trained_on_are_used(
    genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], key: str
) -> None:
    """A run may name any picture of the reader's; its own one is recognised by its content, wherever it lies."""
    for place, start in (("mine", 0), ("private", 100)):
        for number in range(24):
            path = tmp_path / place / "ab"[number % 2] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.random.default_rng(start + number).integers(0, 256, (16, 16)).astype(np.uint8)).save(path)
    mine, private = (f"{place}/a/0.png" if key == "image" else place for place in ("mine", "private"))
    code, _, err = genexp("run", *words, f"dataset.{key}={mine}", "run_dir=run")
    assert code == 0, err
    run, more = tmp_path / "run", ["trainer.max_steps=6"]
    dataset = yaml.safe_load((run / "config.yaml").read_text())["dataset"]
    assert genexp("evaluate", "run")[0] == 0

    edit(run, "config.yaml", dataset={**dataset, key: private})
    record = json.loads((run / "run.json").read_text())["data"]
    other, unsaid = "are not those that it was trained on", "run.json does not say which files it was trained on"
    for told, words in ((record["own_files"], other), (None, unsaid), (5, unsaid)):
        edit(run, "run.json", data={**record, "own_files": told})
        before = tree(run)
        with monkeypatch.context() as blind:  # refused before any is decoded
            blind.setattr("PIL.Image.open", lambda path, *_: pytest.fail(f"{path} was opened"))
            answers = [genexp(*typed) for typed in (["evaluate", "run"], ["resume", "run", *more])]
        assert [code for code, _, _ in answers] == [2, 2]
        assert all(words in err for _, _, err in answers)
        assert tree(run) == before
    assert genexp("sample", "run", "--out", "x.npz")[0] == 0  # needs no data

    edit(run, "run.json", data=record)
    (tmp_path / "mine").rename(tmp_path / "moved")
    edit(run, "config.yaml", dataset={**dataset, key: mine.replace("mine", "moved")})
    assert genexp("resume", "run", *more)[0] == 0
    changed = next((tmp_path / "moved").rglob("0.png"))
    Image.new("L", (16, 16)).save(changed)
    assert "are not those that it was trained on" in genexp("evaluate", "run")[2]


def test_the_digest_tells_any_two_sets_of_files_apart(tmp_path: Path) -> None:
    """Also where one cannot be read: its record is as long as another's, so none can be taken for the end of the one before."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("")
    os.mkfifo(tmp_path / "c")
    names = ["a", "b", "c", "missing"]
    sets = [[], *([name] for name in names), ["a", "b"], ["b", "a"], ["missing", "c"], ["c", "missing"]]
    digests = {OwnFiles([tmp_path / name for name in names], tmp_path).digest() for names in sets}
    assert len(digests) == len(sets)
    unreadable, whole = OwnFiles([tmp_path / "c"], tmp_path), hashlib.sha256(b"c\0" + bytes(32))
    assert unreadable.digest() == whole.hexdigest()


def test_a_setting_beyond_todays_limit_is_named_with_what_is_allowed(genexp, stolen: Path) -> None:
    trainer = yaml.safe_load((stolen / "config.yaml").read_text())["trainer"]
    edit(stolen, "config.yaml", trainer={**trainer, "batch_size": 1 << 21})
    for code, _, err in use_all(genexp, stolen, MODEL_READERS):
        assert code == 2
        assert "trainer.batch_size=2097152" in err
        assert "1048576" in err
