"""Whole runs: every experiment of conf/ for two steps, what lands in the folder, and that it is the same twice."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from genexp.config.catalogue import entries
from genexp.config.composition import compose
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.registry import models
from tests.conftest import small_parts
from tests.parts import arrays
from tests.subjects import timeless

DRAWN = {  # one experiment of each kind of figures; those of the default one are in `test_the_folder_holds_what_it_should`
    *("qr_coupling", "double_gaussian", "glyphs_vae", "drawn_fruit_vae_iaf", "fruit_cvae", "mnist_gtm", "phi4_continuous"),
    *("digits_pixelcnn", "text_transformer", "forest_of_orderings", "digits_glow", "metric_trial"),
}
ALIKE = {  # what they are made of is trained, measured and drawn by others too
    *("any", "seminar/fruit_vae", "seminar/fruit_vae_iaf", "seminar/qr_flowmatch", "qr_plain", "fruit_vae_iaf"),
    *("fruit_vae_colours", "fruit_vae_warped", "fruit_vae_exemplars"),
    *("mnist_iwae", "mnist_vae_mixture", "gmm", "gmm_overfit", "marsaglia_polar", "mala", "hmc", "phi4_coupling"),
    *("digits_transformer", "fruit_pixelcnn", "funnel_flow", "gmm40_flow", "qr_diffusion", "mnist_flowmatch"),
    *("binary_mnist_vae", "binary_mnist_iwae", "binary_mnist_vamp", "binary_mnist_iaf", "vae_terms", "posterior_collapse"),
    *("mnist_nice", "mnist_realnvp", "mnist_maf", "mnist_realnvp_image", "mnist_glow", "glyphs_glow", "fruit_glow"),
    *("papers/nice", "papers/realnvp", "papers/maf"),
    *("digits_nice", "glyphs_realnvp_image", "drawn_fruit_glow", "mnist_pixel_flow", "mnist_patch_flow"),
}
OF_ANOTHER_RUN = {  # the key that names it, and one that will do
    "flow_mcmc": ("model.kernel.run", "gaussian"),
    "distilled_iaf": ("dataset.run", "gaussian"),
    "mnist_codes_transformer": ("dataset.run", "codes"),
}
UNTRAINED = {"change_of_variables"}
PICTURES = {"samples.png", "density.png", "log_density.png", "loss.png", "velocity.png", "flow.gif"}


def only_run(root: Path) -> Path:
    runs = [path.parent for path in (root / "outputs").rglob("run.json")]
    assert len(runs) == 1
    return runs[0]


def read(run: Path, name: str) -> dict:
    return json.loads((run / name).read_text())


@pytest.mark.parametrize(
    "experiment", [pytest.param(name, marks=pytest.mark.slow if name in ALIKE else ()) for name in entries("experiments")]
)
def test_every_experiment_runs_two_steps(genexp, tiny: list[str], tmp_path: Path, experiment: str, request) -> None:
    small = [*tiny, "evaluation.num_samples=40", f"figures.enabled={experiment in DRAWN}", *small_parts(experiment)]
    if experiment in OF_ANOTHER_RUN:
        key, other = OF_ANOTHER_RUN[experiment]
        small.append(f"{key}={request.getfixturevalue('runs') / other}")
    code, out, err = genexp("run", f"experiment={experiment}", *small)
    assert code == 0, err
    assert not re.findall(r"\S+ is left out: \w*(?:Error|Exception): .*", out + err)
    run = only_run(tmp_path)
    assert run.parent == tmp_path / "outputs" / ("flow_matching_qr" if experiment == "any" else experiment)
    whole = {"config.yaml", "run.json", "metrics.json", "history.jsonl", "log.txt", "checkpoints", "samples"}
    assert {path.name for path in run.iterdir()} == (whole | {"figures"} if experiment in DRAWN else whole)
    record, metrics = read(run, "run.json"), read(run, "metrics.json")
    assert record["status"] == "finished"
    fitter = getattr(models[compose([f"experiment={experiment}"]).settings.model["name"]], "fitter", "gradient")
    assert record["steps"] == metrics["steps"] == (0 if experiment in UNTRAINED or fitter == "none" else 2)
    assert record["id"] == run.name
    for name, value in metrics.items():
        assert value is None or isinstance(value, str) or np.isfinite(value), name
    assert "next " in out
    assert str(run.name) in out
    assert out.strip() == (run / "log.txt").read_text().strip()


def test_the_folder_holds_what_it_should(genexp, tiny: list[str], tmp_path: Path) -> None:
    typed = ["dataset.text=folder", "seed=4", *tiny]
    assert genexp("run", *typed)[0] == 0
    run = only_run(tmp_path)
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["overrides"] == typed
    assert config["dataset"]["text"] == "folder"
    assert config["model"]["name"] == "flow_matching"
    assert {path.name for path in (run / "figures").iterdir()} == PICTURES
    for path in (run / "figures").iterdir():
        with Image.open(path) as picture:
            picture.load()
            assert picture.width > 100
            if path.suffix == ".gif":
                assert picture.n_frames == 3
    samples = arrays(run / "samples" / "samples.npz")
    assert samples["samples"].shape == (400, 2)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [line["step"] for line in history] == [1, 2, 2]
    assert {"step", "seconds", "loss", "lr", "samples_per_second"} <= set(history[0])
    assert "heldout/loss" in history[2]
    metrics = read(run, "metrics.json")
    for name in ("leak", "module_tv", "excess_loss"):
        assert 0 <= metrics[f"floor/{name}"] <= metrics[name]
    assert metrics["scannable"] == 0
    assert metrics["decoded"] is None
    state = checkpoint.load(run / "checkpoints" / "last.pt")
    assert state["position"]["step"] == 2
    assert not list(run.rglob("*.tmp"))


def test_the_same_command_twice_gives_the_same_numbers(genexp, tiny: list[str], tmp_path: Path) -> None:
    results = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.rand(len(results) + 1)  # what happened before does not matter
        assert genexp("run", f"run_dir={name}", f"seed={seed}", "figures.enabled=false", *tiny)[0] == 0
        results.append(timeless(read(tmp_path / name, "metrics.json")))
        results[-1]["samples"] = arrays(tmp_path / name / "samples" / "samples.npz")["samples"].sum()
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_run_never_overwrites_another(genexp, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    code, _, err = genexp("run", "run_dir=mine", *tiny)
    assert code == 2
    assert "never overwrites" in err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_run_that_fails_says_so_in_its_folder(genexp, tiny: list[str], tmp_path: Path) -> None:
    code, _, err = genexp(
        "run", "trainer.lr=1000", "trainer.warmup=0", "trainer.max_steps=40", *[word for word in tiny if "max_steps" not in word]
    )
    assert code == 2
    assert "not finite" in err
    record = read(only_run(tmp_path), "run.json")
    assert record["status"] == "failed"
    assert "not finite" in record["error"]


def test_resume_ends_where_an_uninterrupted_run_ends(genexp, tiny: list[str], tmp_path: Path) -> None:
    tiny = [word for word in tiny if "max_steps" not in word]
    keys = [*tiny, "figures.enabled=false", "trainer.schedule=constant", "trainer.warmup=0", "trainer.eval_every=1"]
    assert genexp("run", "run_dir=whole", "trainer.max_steps=6", *keys)[0] == 0
    assert genexp("run", "run_dir=parts", "trainer.max_steps=3", *keys)[0] == 0
    code, _, err = genexp("resume", "parts", "trainer.max_steps=6")
    assert code == 0, err
    whole, parts = (checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "parts"))
    for name, value in whole["model"].items():
        assert torch.equal(value, parts["model"][name]), name
    for name in ("leak", "module_tv", "excess_loss", "steps"):
        assert read(tmp_path / "whole", "metrics.json")[name] == read(tmp_path / "parts", "metrics.json")[name]
    code, _, err = genexp("resume", "parts", "model.field.width=7")
    assert code == 2
    assert "model.field.width cannot be changed" in err


def test_a_signal_while_measuring_ends_the_run_and_resume_finishes_it(genexp, tiny, tmp_path, monkeypatch) -> None:
    from genexp.measures import cells

    share_outside = cells.share_outside

    def interrupted(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return share_outside(*arguments)

    monkeypatch.setattr(cells, "share_outside", interrupted)
    code, out, _ = genexp("run", "run_dir=my run", *tiny)
    assert code == 143
    assert "go on with: genexp resume 'my run'" in out
    assert read(tmp_path / "my run", "run.json")["status"] == "interrupted"
    monkeypatch.setattr(cells, "share_outside", share_outside)
    assert genexp("resume", "my run")[0] == 0
    assert read(tmp_path / "my run", "run.json")["status"] == "finished"
    assert read(tmp_path / "my run", "metrics.json")["steps"] == 2


def test_two_processes_do_not_work_in_one_folder(genexp, tiny: list[str], tmp_path: Path) -> None:
    from genexp.folder.run_folder import RunFolder

    assert genexp("run", "run_dir=here", "figures.enabled=false", *tiny)[0] == 0
    before = (tmp_path / "here" / "history.jsonl").read_bytes()
    with RunFolder(tmp_path / "here").lock():
        code, _, err = genexp("resume", "here")
    assert code == 2
    assert "another process is working on this run" in err
    assert (tmp_path / "here" / "history.jsonl").read_bytes() == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_go_on(genexp, tiny, tmp_path: Path, monkeypatch, number: int, code: int) -> None:
    log_history = RunFolder.log_history

    def interrupted(self: RunFolder, line: dict) -> None:
        log_history(self, line)
        if line["step"] == 1:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(RunFolder, "log_history", interrupted)
    ended, out, err = genexp("run", "run_dir=here", *tiny, "trainer.max_steps=100000000")
    assert ended == code, err
    assert_saved(tmp_path / "here", out)


def test_ctrl_c_in_a_process_of_its_own(tmp_path: Path, tiny: list[str]) -> None:
    words = ["run", "run_dir=here", *tiny, "trainer.eval_every=1", "trainer.max_steps=100000000"]
    command = [sys.executable, "-m", "genexp", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert any("held-out" in line for line in process.stdout), "it trains"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert_saved(tmp_path / "here", out)


def assert_saved(run: Path, out: str) -> None:
    """Stopped in training, a run has said how to go on, and can."""
    assert "go on with: genexp resume here" in out
    assert read(run, "run.json")["status"] == "interrupted"
    assert checkpoint.load(run / "checkpoints" / "last.pt")["position"]["step"] >= 1


def test_a_sweep_runs_every_job_in_its_own_folder(genexp, tmp_path: Path, tiny: list[str]) -> None:
    assert genexp("run", "-m", "seed=0,1", "figures.enabled=false", *tiny)[0] == 0
    runs = sorted(path.parent for path in (tmp_path / "outputs").rglob("run.json"))
    assert [read(run, "run.json")["seed"] for run in runs] == [0, 1]
    assert [run.name for run in runs] == ["0", "1"]
    assert all(read(run, "run.json")["status"] == "finished" for run in runs)
