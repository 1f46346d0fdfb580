"""The metrics of a trained run again, from its checkpoint alone."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from genexp.folder import checkpoint
from genexp.runs.evaluation import change
from tests.conftest import RUNS
from tests.subjects import timeless

OF_TRAINING = ("steps",)  # facts of the training, not of the model


@pytest.fixture
def here(genexp, runs: Path) -> Path:
    """A copy of the small double Gaussian's folder, to change."""
    return Path(shutil.copytree(runs / "gaussian", "here"))


@pytest.mark.parametrize("name", RUNS)
def test_the_numbers_are_those_of_the_end_of_training(genexp, runs: Path, name: str) -> None:
    run = runs / name
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, out, err = genexp("evaluate", str(run), "--out", "again.json")
    assert code == 0, err
    assert out.splitlines()[-1].startswith("all ")
    assert "numbers are the same as at the end of training" in out.splitlines()[-1]
    trained, again = json.loads((run / "metrics.json").read_text()), json.loads(Path("again.json").read_text())
    assert {"seconds_density", "seconds_sample"} & {*again}  # which are not the same, and of which nothing is said
    assert timeless(trained) == {**{key: trained[key] for key in OF_TRAINING}, **timeless(again)}
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_weights_give_other_numbers_and_it_is_said(genexp, here: Path) -> None:
    path = here / "checkpoints" / "best.pt"
    state = checkpoint.load(path)
    state["model"] = {name: value + 0.1 * torch.ones_like(value) for name, value in state["model"].items()}
    checkpoint.save(path, state)
    code, out, _ = genexp("evaluate", "here")
    assert code == 0
    assert re.search(r"nll was [\d.]+ and is [\d.]+ \(relative \+", out.splitlines()[-1])


def test_a_change_is_told_in_as_few_digits_as_show_it() -> None:
    assert change(3.4022534796426016e-05, 3.4022534796e-05) == "was 3.40225347964e-05 and is 3.4022534796e-05 (relative -1.3e-11)"
    assert change(2.5, 2.25) == "was 2.5 and is 2.25 (relative -1.0e-01)"
    assert change(0.0, 1e-9) == "was 0 and is 1e-09"
    assert change(None, "a code") == "was None and is a code"


def test_other_data_of_the_same_shape(genexp, runs: Path) -> None:
    run = str(runs / "glyphs")
    code, _, err = genexp("evaluate", run, "--data", "fashion_mnist", "--out", "fashion.json")
    assert code == 0, err
    ours, theirs = (json.loads(path.read_text()) for path in (runs / "glyphs" / "metrics.json", Path("fashion.json")))
    assert theirs["neg_elbo"] != ours["neg_elbo"]
    assert theirs["floor/neg_elbo"] != ours["floor/neg_elbo"]
    for words, error in (
        (["--data", "fruit"], "its examples are 3×96×96, and this model's 1×28×28"),
        (["--data", "fashion"], "did you mean 'fashion_mnist'?"),
        (["--out", "fashion.json"], "exists already"),
        (["--out", "fashion.txt"], "must end in .json"),
        (["--out", "nowhere/fashion.json"], "there is no folder nowhere"),
        (["--data", "image_folder"], "--data image_folder: dataset.path is missing"),
        (["model.latent=3"], "model.latent cannot be changed when a run is evaluated"),
        (["trainer.lr=3"], "trainer.lr cannot be changed when a run is evaluated"),
        (["figures.gif=false"], "figures.gif cannot be changed when a run is evaluated"),
    ):
        code, _, err = genexp("evaluate", run, *words)
        assert code == 2
        assert error in err.splitlines()[0]
        assert "dataset=" not in err  # which it refuses


def test_a_checkpoint_that_does_not_fit_is_named(genexp, here: Path) -> None:
    config = here / "config.yaml"
    config.write_text(config.read_text().replace("width: 32", "width: 33"))
    code, _, err = genexp("evaluate", "here")
    assert code == 2
    assert "best.pt does not fit its config.yaml" in err
    assert checkpoint.CHANGED in err
    code, _, err = genexp("resume", "here", "trainer.max_steps=100")
    assert code == 2
    assert "last.pt does not fit the run's config.yaml" in err
    assert checkpoint.CHANGED in err
    (here / "checkpoints" / "best.pt").unlink()
    assert "no checkpoint at" in (err := genexp("evaluate", "here")[2])
    assert "if it trains, wait" in err


@pytest.mark.parametrize("record", [{"shape": [-1], "classes": []}, {"shape": "2", "classes": []}, {"shape": [2], "classes": 3}])
def test_a_record_of_the_data_that_is_none_is_refused(genexp, here: Path, record: dict) -> None:
    path = here / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "data": record}))
    code, _, err = genexp("sample", "here")
    assert code == 2
    assert "its record of the data is not one" in err
