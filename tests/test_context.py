"""A model that is built from another run: a plugin, trained, resumed, opened, and held to the run that it began with."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genexp.context import Context
from genexp.errors import UserError
from genexp.runs.trained import find_other

PLUGIN = '''
import torch
from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.models.base import GenerativeModel
from genexp.registry import models


@models.register("student")
class Student(GenerativeModel):
    """A shift of what a teacher samples."""

    can = frozenset({"sample"})

    def __init__(self, spec: DataSpec, context: Context, *, teacher: str | None = None) -> None:
        super().__init__()
        self.teacher = context.run("model.teacher", teacher).model
        self.shift = torch.nn.Parameter(torch.randn(*spec.shape))

    def loss(self, batch):
        return {"loss": (self.teacher.sample(len(batch.x)) + self.shift - batch.x.mean(0)).square().mean()}

    def sample(self, n):
        return self.teacher.sample(n) + self.shift
'''


@pytest.fixture
def student(runs: Path, genexp, tmp_path: Path) -> list[str]:
    (tmp_path / "student.py").write_text(PLUGIN)
    (tmp_path / "own" / "model").mkdir(parents=True)
    (tmp_path / "own" / "model" / "student.yaml").write_text("# a student\nname: student\nteacher: null\n")
    shutil.copytree(runs / "gaussian", tmp_path / "teacher")
    return ["--plugin", "student.py", "--config-dir", "own", "dataset=double_gaussian", "model=student"]


def test_another_run(genexp, student: list[str], tiny: list[str], tmp_path: Path) -> None:
    code, _, err = genexp("run", "run_dir=run", *student, *tiny)
    assert code == 2
    assert err.splitlines()[0] == "error: model.teacher must name another run"
    words = [*student, *tiny, "model.teacher=teacher", "figures.enabled=false"]
    code, _, err = genexp("run", "run_dir=run", *words)
    assert code == 0, err
    asked = json.loads((tmp_path / "run" / "run.json").read_text())["runs"]
    assert asked["teacher"]["folder"] == str(tmp_path / "teacher")
    weights = torch.load(tmp_path / "teacher/checkpoints/best.pt", weights_only=True)["model"]
    kept = torch.load(tmp_path / "run/checkpoints/best.pt", weights_only=True)["model"]
    assert all(torch.equal(kept[f"teacher.{name}"], value) for name, value in weights.items())  # it has learnt nothing
    assert genexp("sample", "--plugin", "student.py", "run", "--out", "more.npz")[0] == 0
    code, _, err = genexp("resume", "--plugin", "student.py", "run", "trainer.max_steps=3")
    assert code == 0, err
    (tmp_path / "teacher").rename(tmp_path / "moved")
    code, _, err = genexp("resume", "--plugin", "student.py", "run", "trainer.max_steps=4")
    assert code == 2
    said, hint = err.splitlines()
    assert said == f"error: model.teacher: the run that run was trained with is not in {tmp_path / 'teacher'} any more"
    assert hint == f"hint: put it back, or leave a link: ln -s FOLDER {tmp_path / 'teacher'}"
    (tmp_path / "teacher").symlink_to(tmp_path / "moved")
    assert genexp("sample", "--plugin", "student.py", "run", "--out", "linked.npz")[0] == 0
    changed = tmp_path / "teacher/checkpoints/best.pt"
    state = torch.load(changed, weights_only=True)
    torch.save({**state, "step": 17}, changed)
    code, _, err = genexp("resume", "--plugin", "student.py", "run", "trainer.max_steps=4")
    assert code == 2
    assert "its weights are not those that run was trained with" in err


def test_another_run_is_not_trained_any_more() -> None:
    context = Context(lambda name: (SimpleNamespace(model=torch.nn.Linear(2, 2)), {"folder": name}))
    assert not any(weights.requires_grad for weights in context.run("model.teacher", "there").model.parameters())
    assert context.asked == {"there": {"folder": "there"}}


def test_the_student_s_own_weights_do_not_depend_on_the_teacher_s_seed(
    genexp, student: list[str], tiny: list[str], tmp_path
) -> None:
    words = [*student, *tiny, "model.teacher=teacher", "figures.enabled=false", "trainer.max_steps=0"]
    for seed in ("3", "4"):
        assert genexp("run", f"run_dir=s{seed}", *words, f"seed={seed}")[0] == 0
    shifts = [torch.load(tmp_path / f"s{seed}/checkpoints/best.pt", weights_only=True)["model"]["shift"] for seed in (3, 4)]
    assert not torch.equal(*shifts)


def test_a_run_that_cannot_be_opened_is_named_with_its_key() -> None:
    def missing(name: str) -> Any:
        raise UserError(f"no run '{name}' here", hint="a path")

    with pytest.raises(UserError, match=r"^model\.teacher: no run 'x' here\nhint: a path$"):
        Context(missing).run("model.teacher", "x")


def test_a_run_that_was_moved_with_all_others_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert find_other("teacher", str(tmp_path / "before" / "teacher"), Path("run")) == Path("teacher")
