"""The commands as a user meets them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from genexp.config.composition import compose
from genexp.printable import command_line

HEAVY = ("torch", "hydra", "matplotlib", "numpy", "pydantic")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["list"],
        ["run", "--help"],
        ["resume", "-h"],
        ["compare", "-h"],
        ["--version"],
        [],
        ["lst"],
        ["data", "status"],
        ["completion", "bash"],
        ["complete", "genexp run model.act"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from genexp.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stderr.splitlines()[-1] == "[]"


UNNEEDED = (
    "matplotlib",
    "scipy",
    "sklearn",
    "torchvision",
    "torchdiffeq",
    "nflows",
    "cv2",
    "zxingcpp",
    "IPython",
    "torch._dynamo",
    "genexp.data.mnist",
    "genexp.models.vae",
)


def test_nothing_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    """Neither before the first training step, nor before sampling or measuring begins: a second that every user would wait."""
    code = f"""
import sys
import genexp.runs.evaluation, genexp.runs.samples
from genexp.cli import main
from genexp.fit.gradient import Gradient

def stop(*_):
    sys.exit(str([name for name in {UNNEEDED!r} if name in sys.modules]))

Gradient.step = stop
main(["run", "run_dir={tmp_path / "run"}"])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.splitlines()[-1] == "[]"


def test_garbage_is_looked_for_rarely_while_the_program_starts_and_as_usual_while_it_trains(tmp_path: Path) -> None:
    code = f"""
import gc, sys
import genexp.cli
from genexp.config import composition

usual, compose = gc.get_threshold(), composition.compose

def watched(*words):
    composed, rarely = compose(*words), gc.get_threshold()[0] > 10 * usual[0]
    from genexp.fit.gradient import Gradient

    def stop(*_):
        sys.exit(str([rarely, gc.get_threshold() == usual, gc.get_freeze_count() > 100_000]))

    Gradient.step = stop
    return composed

composition.compose = watched
genexp.cli.main(["run", "run_dir={tmp_path / "run"}"])
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.splitlines()[-1] == "[True, True, True]"


def test_help_names_every_command(genexp) -> None:
    code, out, _ = genexp("--help")
    assert code == 0
    for command in ("run", "resume", "list"):
        assert command in out
    code, out, _ = genexp("resume", "-h")
    assert out.partition("\n\n")[0].endswith(" RUN [key=value …]")
    assert "key=value" not in genexp("report", "-h")[1]
    code, out, _ = genexp("run", "-h")
    assert code == 0
    assert "dataset.text" in out


def test_list_names_what_there_is(genexp) -> None:
    code, out, _ = genexp("list")
    assert code == 0
    assert "seminar/qr_flowmatch" in out
    assert "\nflow_matching" in genexp("list", "models")[1]


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?", "resume"),
        (["list", "model"], "did you mean 'models'?", "experiments"),
        (["run", "--multrun"], "did you mean '--multirun'?", "--cfg"),
        (["run", "trainer.lrr=1"], "did you mean 'trainer.lr'?", "known keys of trainer: max_steps"),
        (["run", "device=cuda"], "this machine has none", "device=auto"),
        (["run", "--plugin", "none.py"], "no such file", None),
        (["run", "--config-dir", "none"], "no such folder", None),
        (["run", "sweep.metric=kl"], "is of a sweep", "-m"),
        (["run", "-m", "trainer.lr=1,x"], "trainer.lr=x", None),
        (["run", "-m", "model.width=1,"], "cannot read the value", "quote"),
        (["run", "-m", "run_dir=x", "seed=1,2"], "every job has a folder of its own", "sweep.dir"),
        (["resume", "latest"], "there is no run", "genexp run"),
        (["resume", "nothing"], "no run 'nothing'", "latest"),
        (["resume"], "required: RUN", "--help"),
        (["list", "models", "more"], "unknown argument 'more'", None),
        (["run", "dataset.image=absent.png"], "absent.png: no such file", None),
        (["run", "dataset.text=''"], "empty", "hello"),
        (["run", "dataset.image=/"], "dataset.image=/: a folder, and not a picture", None),
        (["run", "dataset=table", "dataset.file=/"], "dataset.file=/: a folder, and not a table", None),
        (["run", "dataset=image_folder", f"dataset.path={__file__}"], "a file, and not a folder", None),
        (["run", "trainer.max_steps=abc"], "trainer.max_steps=abc: abc is no whole number", None),
        (["run", "trainer.max_steps=1.5"], "trainer.max_steps=1.5: 1.5 is no whole number", None),
        (["run", "trainer.lr=fast"], "trainer.lr=fast: fast is no number", None),
        (["bench", "--json"], "--json: of which case?", "mnist_vae"),
    ],
)
def test_mistakes_end_with_code_2_and_one_line(genexp, tmp_path: Path, typed: list[str], error: str, hint: str | None) -> None:
    import torch

    if "device=cuda" in typed and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    code, _, err = genexp(*typed)
    assert code == 2
    lines = err.splitlines()
    assert lines[0].startswith("error: ")
    assert error in lines[0]
    assert len(lines) == 1 or (len(lines) == 2 and lines[1].startswith("hint: "))
    if hint:
        assert hint in lines[1]
    assert not list(tmp_path.rglob("*"))  # nothing was written


def test_traceback_shows_where_a_mistake_came_from(genexp) -> None:
    code, _, err = genexp("run", "trainer.lr=x", "--traceback")
    assert code == 2
    assert "Traceback" in err
    assert "error: trainer.lr=x" in err


def test_cfg_prints_the_whole_configuration_and_runs_nothing(genexp, tmp_path: Path) -> None:
    code, out, _ = genexp("run", "seed=3", "--cfg")
    assert code == 0
    assert "\nseed: 3\n" in out
    assert "feature_grid" in out
    assert not list(tmp_path.iterdir())


def test_only_what_needs_quotes_is_quoted() -> None:
    words = ["dataset.text='https://qrco.de/bg6AQE'", "seed=range(1,4)", "dataset.text='see you'", "a='null'", "c=it's $5"]
    line = command_line(words)
    assert line.startswith("dataset.text=https://qrco.de/bg6AQE 'seed=range(1,4)' ")
    assert "\"dataset.text='see you'\" \"a='null'\" " in line
    assert shlex.split(line) == ["dataset.text=https://qrco.de/bg6AQE", *words[1:]]
    typed = [compose([word]).settings.dataset["text"] for word in ("dataset.text='a.b/c:d'", "dataset.text=a.b/c:d")]
    assert typed == ["a.b/c:d", "a.b/c:d"]


def test_bench_without_a_case_lists_them_and_starts_nothing(genexp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexp.bench.program.bench", lambda *_: pytest.fail("it was started"))
    code, out, err = genexp("bench")
    assert code == 0, err
    assert re.search(r"genexp bench mnist_vae +about \d+ min", out)
    assert "genexp bench all" in out
    assert "genexp bench toys" in out
