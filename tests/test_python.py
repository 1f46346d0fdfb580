"""genexp from Python and in a notebook: the same runs, samples and numbers as the commands', and the interpreter as it was."""

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import genexp as package
from genexp.fit.progress import in_notebook
from genexp.folder import checkpoint
from genexp.folder.finding import find_run
from genexp.interface.guest import guest
from genexp.interface.opened import Run
from genexp.machine.device import prepare_cpu
from tests.conftest import RUNS, TINY
from tests.test_resume import stop_in_step

SMALL = ["experiment=double_gaussian", *TINY, "figures.enabled=false", "model.depth=1", "model.conditioner.width=8"]


@pytest.fixture
def gaussian(runs: Path) -> Run:
    return package.open(runs / "gaussian")


def test_importing_genexp_imports_nothing_heavy() -> None:
    code = "import genexp, sys; assert {'run', 'open', 'resume'} <= {*dir(genexp)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "matplotlib", "hydra", "pydantic", "tqdm"} & {*loaded}


def test_no_module_has_the_name_of_a_function() -> None:
    """It would take its place in the package as soon as it is imported."""
    for name in ("run", "open", "resume", "Run", "UserError"):
        assert not [*Path(package.__file__).parent.glob(f"{name}.py"), *Path(package.__file__).parent.glob(f"{name}/__init__.py")]
    with pytest.raises(AttributeError, match="no attribute 'ran'"):
        _ = package.ran


@pytest.mark.parametrize("name", RUNS)
def test_samples_are_those_of_the_command(genexp, runs: Path, name: str) -> None:
    assert genexp("sample", str(runs / name), "--num", "70", "--seed", "3", "--out", "s.npz")[0] == 0
    drawn = package.open(runs / name).sample(70, seed=3)
    with np.load("s.npz") as file:
        assert np.array_equal(drawn.numpy(), file["samples"])


def test_a_class_by_name_or_by_number(runs: Path) -> None:
    fruit = package.open(runs / "fruit")
    apples, bananas = (fruit.sample(5, label=name) for name in ("apples", "bananas"))
    assert torch.equal(apples, fruit.sample(5, label=fruit.classes.index("apples")))
    assert torch.equal(apples[:1], fruit.sample(5)[:1])  # of all classes in turn
    assert not torch.equal(bananas, apples)
    for label in ("banana", 3, -1):
        with pytest.raises(package.UserError, match=r"did you mean 'bananas'|from 0 to 2"):
            fruit.sample(5, label=label)


def test_likelihoods_are_the_models_in_nats_however_many_there_are(gaussian: Run) -> None:
    x = gaussian.sample(150)  # more than are computed at once
    found = gaussian.log_prob(x.numpy())
    with torch.no_grad():
        assert torch.allclose(found, gaussian.model.log_prob(x), atol=1e-5)
    assert found.shape == (150,)
    with pytest.raises(package.UserError, match=r"x has the shape \(150, 1\).*examples are \(n, 2\)"):
        gaussian.log_prob(x[:, :1])


def test_a_run_is_what_its_folder_says(gaussian: Run, runs: Path) -> None:
    assert gaussian.metrics == json.loads((runs / "gaussian" / "metrics.json").read_text())
    assert [line["step"] for line in gaussian.history if "loss" in line] == [1, 2]
    assert gaussian.config.trainer.max_steps == gaussian.config["trainer"]["max_steps"] == 2
    with pytest.raises(AttributeError, match="no key 'max_step'"):
        _ = gaussian.config.trainer.max_step
    assert gaussian.data.sample(5).shape == (5, 2)
    assert gaussian.status == "finished"
    assert f"kl {gaussian.metrics['kl']:.3g}" in repr(gaussian)


def test_the_model_has_the_best_weights_or_the_last(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "gaussian", tmp_path / "run")
    best, last = (checkpoint.load(folder / "checkpoints" / f"{name}.pt") for name in ("best", "last"))
    checkpoint.save(folder / "checkpoints" / "best.pt", {**best, "model": {k: v + 0.5 for k, v in last["average"].items()}})
    for model in (package.open(folder).model, Run(folder).model):
        assert isinstance(model, nn.Module)
        assert not model.training
        assert all(torch.equal(value, last["average"][name] + 0.5) for name, value in model.named_parameters())
    other = package.open(folder, checkpoint="last").model
    assert all(torch.equal(value, last["average"][name]) for name, value in other.named_parameters())


def test_it_shows_numbers_beside_their_floors_and_the_samples(gaussian: Run) -> None:
    shown = gaussian._repr_html_()
    assert f"floor {gaussian.metrics['floor/nll']:.4g}" in shown
    assert shown.count("data:image/png;base64,") == 1
    picture = gaussian.figures["samples_picture"]
    assert picture._repr_png_() == picture.path.read_bytes()
    with pytest.raises(package.UserError, match="did you mean 'samples_picture'"):
        _ = gaussian.figures["sample_picture"]
    assert "nothing" not in gaussian.figures


def test_films_show_themselves_and_a_picture_of_the_same_name_stays(tmp_path: Path, runs: Path) -> None:
    run = package.open(shutil.copytree(runs / "gaussian", tmp_path / "<script>"))
    (run.path / "figures").mkdir()
    for name in ("layers.png", "layers.gif", "flow.gif"):
        Image.new("L", (4, 4)).save(run.path / "figures" / name)
    assert [*run.figures] == ["layers", "flow", "layers.gif", "samples_picture"]
    for name in ("flow", "layers.gif"):
        assert "data:image/gif;base64," in run.figures[name]._repr_html_()
        assert run.figures[name]._repr_png_() is None
    assert run.figures["layers"]._repr_html_() is None
    assert run.figures["layers"].image.size == (4, 4)
    assert "<script>" not in run._repr_html_() + run.figures._repr_html_()


def test_a_picture_that_leads_out_of_the_folder_is_not_shown(tmp_path: Path, runs: Path) -> None:
    run = package.open(shutil.copytree(runs / "gaussian", tmp_path / "run"))
    Image.new("L", (4, 4)).save(tmp_path / "secret.png")
    (run.path / "samples" / "samples.png").unlink()
    (run.path / "samples" / "samples.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(package.UserError, match="a link"):
        run.figures["samples_picture"]._repr_png_()
    assert "data:" not in run._repr_html_()


def mistakes(runs: Path) -> dict[str, tuple]:
    return {
        "no run 'nothing'": (package.open, "nothing"),
        "unknown key 'sead'; did you mean 'seed'?\nhint: known keys": (package.run, ["sead=1"]),
        "overrides are a list": (package.run, "seed=1"),
        r"'seed=\x00' holds": (package.run, ["seed=\0"]),
        "no such folder": (package.run, [], {"config_dirs": "nowhere"}),
        "no such file": (package.run, [], {"plugins": "mine.py"}),
        "model.depth cannot be changed": (package.resume, runs / "gaussian", ["model.depth=7"]),
        "unknown checkpoint 'wurst'": (package.open, runs / "gaussian", {"checkpoint": "wurst"}),
        "n=0: a whole number": (package.open(runs / "gaussian").sample, 0),
        "seed=-1: from 0": (package.open(runs / "gaussian").sample, 1, -1),
        "not conditional": (package.open(runs / "gaussian").sample, 1, 0, "apples"),
        "x is a str, and no tensor or array of numbers": (package.open(runs / "gaussian").log_prob, "x"),
        "no exact likelihood": (package.open(runs / "glyphs").log_prob, torch.zeros(1, 1, 28, 28)),
    }


def test_mistakes_are_exceptions_that_say_what_and_what_could_be(runs: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for said, (function, *arguments) in mistakes(runs).items():
        named = arguments.pop() if isinstance(arguments[-1], dict) else {}
        with pytest.raises(package.UserError) as mistake:
            function(*arguments, **named)
        assert said in str(mistake.value)
    assert not [*tmp_path.iterdir()]


def test_what_the_machine_cannot_do_is_a_user_error_and_a_defect_is_not(runs: Path, monkeypatch) -> None:
    run = package.open(runs / "gaussian")
    for failure, kind in ((MemoryError(), package.UserError), (RuntimeError("a defect"), RuntimeError)):
        monkeypatch.setattr("genexp.interface.opened.open_run", lambda *_, failure=failure: (_ for _ in ()).throw(failure))
        with pytest.raises(kind):
            run.sample(1)


def test_a_run_leaves_the_interpreter_as_it_was(tmp_path: Path) -> None:
    """Random numbers, signal handlers, the limit of memory, Hydra: those of whoever imported genexp."""
    import resource

    from hydra import compose, initialize_config_dir

    (tmp_path / "mine.yaml").write_text("x: 7\n")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    limits, handlers = resource.getrlimit(resource.RLIMIT_DATA), [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        run = package.run([*SMALL, f"run_dir={tmp_path / 'run'}"])
        package.open(run.path).sample(3)
        assert compose("mine").x == 7
    assert torch.equal(torch.rand(3), expected)
    assert resource.getrlimit(resource.RLIMIT_DATA) == limits
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


@pytest.mark.parametrize("flushed", [False, True])
def test_the_smallest_numbers_of_whoever_imported_it_are_as_before(flushed: bool) -> None:
    """A run flushes them to zero, as its commands do."""

    def is_zero() -> bool:
        return bool(torch.tensor(1e-40) * 0.5 == 0)

    before = is_zero()
    if not torch.set_flush_denormal(flushed):
        pytest.skip("a CPU that has no choice")
    assert guest(is_zero)()
    guest(prepare_cpu)()
    assert is_zero() == flushed
    torch.set_flush_denormal(before)


def test_ctrl_c_saves_and_raises_and_the_run_opens_and_goes_on(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        stop_in_step(2, patch, signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"genexp\.resume") as stopped:
            package.run([*SMALL, "trainer.max_steps=4"])
    assert stopped.value.__context__ is None  # one short traceback
    run = package.open("latest")
    assert run.status == "interrupted"
    assert run.metrics == {}
    assert "not measured yet" in run._repr_html_()
    assert "interrupted" in repr(run)
    again = package.resume("latest", ["trainer.max_steps=3"])
    assert (again.path, again.status, again.metrics["steps"]) == (run.path, "finished", 3)


def test_a_signal_reaches_the_handler_that_was_there_before(tmp_path: Path, monkeypatch) -> None:
    told = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
    try:
        stop_in_step(1, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            package.run([*SMALL, f"run_dir={tmp_path / 'run'}"])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]
    assert find_run(str(tmp_path / "run"))


NOTEBOOK = """
import matplotlib, matplotlib.pyplot as plt, genexp
backend = matplotlib.get_backend()
old = genexp.open({old!r})
old
---
x = old.sample(500)
plt.scatter(*x.T, s=2)
plt.title(f"mean ln p = {{old.log_prob(x).mean():.2f}} nats")
plt.show()
---
run = genexp.run({words!r})
---
run.figures["samples"]
---
run.figures["layers.gif"]
---
assert matplotlib.get_backend() == backend, backend
len(run.history)
"""


def test_a_notebook_opens_samples_plots_and_trains(tmp_path: Path, runs: Path, monkeypatch) -> None:
    """In a kernel of Jupyter's own."""
    assert not in_notebook()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    words = [*SMALL[:-3], *SMALL[-2:], "trainer.max_steps=5", "evaluation.num_points=16", "run_dir=trained"]
    shown, drawn, trained, still, film, last = executed(NOTEBOOK.format(old=str(runs / "gaussian"), words=words), tmp_path)
    assert "floor" in shown["text/html"]
    assert Image.open(png(drawn)).size[0] > 300
    assert trained["application/vnd.jupyter.widget-view+json"]  # the progress bar
    assert "5/5" in trained["text/plain"] or "0/5" in trained["text/plain"]
    assert "trained 5 steps" in trained["stream"]
    assert Image.open(png(still)).size[0] > 300
    assert "data:image/gif" in film["text/html"]
    assert last["text/plain"] == "6"


def png(output: dict[str, str]):
    import base64
    import io

    return io.BytesIO(base64.b64decode(output["image/png"]))


def executed(text: str, folder: Path) -> list[dict[str, str]]:
    """What each cell shows, by kind; what it prints is its `stream`. An error in a cell is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nbformat
        from nbclient import NotebookClient

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in text.split("---\n")])
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    (folder / "executed.ipynb").write_text(nbformat.writes(notebook))
    found = []
    for cell in notebook.cells:
        shown: dict[str, str] = {"stream": ""}
        for output in cell.outputs:
            shown |= output.get("data", {})
            shown["stream"] += output.get("text", "")
        found.append(shown)
    return found
