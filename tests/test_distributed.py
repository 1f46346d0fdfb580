"""Many processes, one run: the same numbers as one process, one folder, one voice."""

import json
import os
import signal
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.folder.silent import SilentFolder
from genexp.machine.distributed import sharded, world
from genexp.machine.launch import PATIENCE, VARIABLES
from genexp.measures import bounds, latent_quadrature
from genexp.runs.experiment import build
from genexp.seeds import seed_for
from tests.forking import Forks
from tests.parts import arrays, vae
from tests.subjects import timeless
from tests.test_trainer import assert_same_state, strip

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "genexp"]
KEYS = ["figures.enabled=false", "trainer.schedule=constant", "trainer.warmup=0", "trainer.precision=float32"]
FLOAT64 = "import torch\n\ntorch.set_default_dtype(torch.float64)\n"


def torchrun(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """Two processes as a user starts them. It takes seconds: where nothing of torchrun matters, `alike` starts them."""
    here = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*TORCHRUN, *words], cwd=folder, env={**os.environ, **here}, text=True, **pipes)


def alike(forks: Forks, folder: Path, *words: str, ranks: int = 2) -> str:
    """What so many processes say that go the way to its end, measuring roughly."""
    ended = forks(folder, words, ranks=ranks, sketchy=True)
    assert ended.code == 0, ended.output
    return ended.output


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def metrics(run: Path) -> dict[str, Any]:
    return timeless(read(run, "metrics.json"))


# --- one process ---------------------------------------------------------------------------------------------


def test_one_process_is_a_world_of_one() -> None:
    assert (world().rank, world().size, world().is_main) == (0, 1, True)
    assert not torch.distributed.is_initialized()
    assert sharded(range(5), lambda part: part**2) == [0, 1, 4, 9, 16]


def test_a_part_of_the_samples_depends_on_its_place_alone(tiny: list[str]) -> None:
    """Whoever draws the third part draws the same, whatever was drawn before and however many are wanted; no two are alike."""
    subject = build(compose([*tiny, "evaluation.batch_size=150"]).settings)
    samples, sampler = subject.samples, subject.sampler
    parts = sampler.parts(400)
    assert [(part.size, part.kept) for part in parts] == [(150, 150), (150, 150), (150, 100)]
    assert torch.equal(samples[300:], sampler.draw(parts[2], subject.settings.seed).x)
    assert torch.equal(samples, sampler.draw_all(450, subject.settings.seed)[:400])
    assert not torch.equal(samples[:100], samples[150:250])


def test_torchrun_with_one_process_changes_nothing(genexp, tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    assert genexp("run", "run_dir=plain", *tiny, *KEYS)[0] == 0
    for name, value in zip(VARIABLES, ("0", "1", "0", "1", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert genexp("run", "run_dir=torchrun", *tiny, *KEYS)[0] == 0
    states = [checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("plain", "torchrun")]
    assert_same_state(*states)
    assert metrics(tmp_path / "plain") == metrics(tmp_path / "torchrun")


@pytest.mark.parametrize("words", [["run", "-m", "seed=0,1"], ["list"]])
def test_what_is_the_work_of_one_process_is_refused(genexp, monkeypatch, words: list[str]) -> None:
    for name, value in zip(VARIABLES, ("0", "2", "0", "2", "localhost", "1"), strict=True):
        monkeypatch.setenv(name, value)
    code, out, err = genexp(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: torchrun")


def test_a_silent_folder_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run"
    path.mkdir()
    folder = SilentFolder(path)
    public = {name for name, value in vars(RunFolder).items() if callable(value) and not name.startswith("_")}
    arguments: dict[str, tuple[Any, ...]] = {
        "say": ("word",),
        "write_config": ({}, ()),
        "update": (),
        "write_metrics": ({"nll": float("nan")},),
        "log_history": ({"step": 1},),
        "history": (),
        "track": (None,),
        "cut_history": (0,),
        "save_checkpoint": ("last", {}),
        "save_figure": ("samples", None),
        "save_gif": ("flow", [], 20),
        "save_samples": ({},),
        "save_text": ("text",),
        "save_trace": (Path.touch,),
        "put_results_aside": (3,),
        "seconds": (),
    }
    assert public - {"lock", "put_aside"} <= set(arguments), "a method of RunFolder that this test does not know"
    with folder.lock():
        for name, values in arguments.items():
            getattr(folder, name)(*values)
    assert not list(path.iterdir())
    assert capsys.readouterr().out == ""


def test_the_order_in_which_parts_are_done_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds of pictures, part by part: each part's noise is its own, and no two parts have the same."""
    model = vae(DataSpec(shape=(1, 2, 2))).eval()
    batch = Batch(torch.rand(1, 1, 2, 2).repeat(10, 1, 1, 1))
    for module in (bounds, latent_quadrature):
        monkeypatch.setattr(module, "VALUES", 4 * 6 * 3)  # three pictures, six draws each, at a time
    found = []
    for order in (list, lambda parts: [*reversed(parts)]):
        for module in (bounds, latent_quadrature):
            monkeypatch.setattr(module, "sharded", lambda parts, function, order=order: order([*map(function, order(parts))]))
        torch.manual_seed(0)
        found.append(bounds.bounds(model, batch, 6).iwae_nll)
        found.append(latent_quadrature.integrated_nll(model, batch.x, 8))
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[3])
    assert len(found[0].unique()) == 10


# --- two processes -------------------------------------------------------------------------------------------


def test_two_processes_learn_what_one_learns(forks: Forks, tmp_path: Path, tiny: list[str]) -> None:
    """An objective without noise, in float64: the same losses, weights and numbers but for the order of additions.

    33 examples are shared unevenly; 400 samples and 128 likelihoods are found in parts of 50.
    """
    (tmp_path / "float64.py").write_text(FLOAT64)
    sizes = [
        "trainer.max_steps=8",
        "trainer.batch_size=33",
        "trainer.clip_norm=1",
        "trainer.ema=0.9",
        "evaluation.batch_size=50",
    ]
    small = ["model.transformer.bins=4", "model.conditioner.width=16", "model.depth=2", "model.conditioner.harmonics=4"]
    words = ["run", "--plugin", "float64.py", "experiment=qr_coupling", *small, *tiny, *KEYS, *sizes]
    alike(forks, tmp_path, *words, "run_dir=one", ranks=1)
    out = alike(forks, tmp_path, *words)
    (two,) = (tmp_path / "outputs" / "qr_coupling").iterdir()
    assert {path.name for path in two.iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    assert out.strip() == (two / "log.txt").read_text().strip()
    assert read(two, "run.json")["processes"] == 2
    for line, other in zip(strip(RunFolder(tmp_path / "one").history()), strip(RunFolder(two).history()), strict=True):
        assert line == pytest.approx(other, rel=1e-9)
    states = [checkpoint.load(run / "checkpoints" / "last.pt") for run in (tmp_path / "one", two)]
    for part in ("model", "average"):
        for name, weights in states[0][part].items():
            assert torch.allclose(weights, states[1][part][name], rtol=0, atol=1e-9), name
    found, expected = (
        {name: value for name, value in metrics(run).items() if value is not None} for run in (two, tmp_path / "one")
    )
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    samples = [arrays(run / "samples" / "samples.npz")["samples"] for run in (tmp_path / "one", two)]
    assert np.allclose(*samples, atol=1e-6)


def test_term_saves_and_going_on_equals_never_having_stopped(forks: Forks, tmp_path: Path, tiny: list[str]) -> None:
    """Two processes with noise in their objective: bit for bit, random states of both included."""
    tiny = [*tiny, *KEYS, "trainer.eval_every=3", "trainer.checkpoint_every=4", "model.field.side=32", "model.target.side=64"]
    process = torchrun(["run", *tiny, "run_dir=parts", "trainer.max_steps=100000000"], tmp_path)
    assert process.stdout is not None
    assert any("held-out" in line for line in process.stdout), "it trains"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert "go on with: torchrun --standalone --nproc-per-node=2 -m genexp resume parts" in out, err
    assert read(tmp_path / "parts", "run.json")["status"] == "interrupted"
    stopped = checkpoint.load(tmp_path / "parts" / "checkpoints" / "last.pt")["position"]["step"]
    assert stopped >= 1
    alike(forks, tmp_path, "resume", "parts", f"trainer.max_steps={stopped + 4}")
    alike(forks, tmp_path, "run", *tiny, "run_dir=whole", f"trainer.max_steps={stopped + 4}")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    states = [checkpoint.load(run / "checkpoints" / "last.pt") for run in (whole, parts)]
    assert_same_state(*states)
    assert len(states[0]["random_of_others"]) == 1
    assert not torch.equal(states[0]["random"]["cpu"], states[0]["random_of_others"][0]["cpu"])
    assert strip(RunFolder(whole).history()) == strip(RunFolder(parts).history())
    assert metrics(whole) == metrics(parts)
    first = next(line["loss"] for line in RunFolder(whole).history() if line["step"] == 1)
    assert first == pytest.approx(loss_of_two_shares(tiny), rel=1e-5)


def loss_of_two_shares(words: list[str]) -> float:
    """The first loss of a run of two processes, computed in one: each share with the noise of its own process."""
    subject = build(compose(words).settings)
    subject.model.initialise(subject.data.first_look(subject.model.first_look, seed_for(0, "first look")))
    batch = subject.data.train_stream(32, seed_for(0, "data")).next()
    with torch.no_grad():
        first = deepcopy(subject.model).loss(batch[:16])["loss"]  # which may remember the points it met
        torch.manual_seed(seed_for(0, "rank 1 from step 0"))
        return float(first + subject.model.loss(batch[16:])["loss"]) / 2


def test_a_mistake_is_said_once_and_stops_all(forks: Forks, tmp_path: Path, tiny: list[str]) -> None:
    ended = forks(tmp_path, ["run", *tiny, "run_dir=here", "trainer.batch_size=1"], ranks=2)
    assert ended.code == 2
    assert ended.seconds < PATIENCE, "the second leaves the word to the first, and is stopped"
    assert [line for line in ended.output.splitlines() if line.startswith("error: ")] == [
        "error: a batch of 1 examples is too small for 2 processes"
    ]
    assert read(tmp_path / "here", "run.json")["status"] == "failed"


RANKS = """
import os

import torch
from torch import nn

from genexp.data.base import Batch
from genexp.machine.distributed import Moment, agreed, gathered, mean_over_ranks, on_main, processes, sharded, together, world
from genexp.errors import UserError
from genexp.fit.objective import make_objective


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2, momentum=1.0)
        self.unused = nn.Linear(2, 2)

    def loss(self, batch):
        return {"loss": self.norm(batch.x).square().mean()}


def mistake(rank):
    if world().rank == rank:
        raise UserError(f"the mistake of {rank}")
    return "right"


def said(function):
    try:
        return function()
    except UserError as mistake:
        return mistake.message


with processes():
    rank = world().rank
    assert world().size == 2
    assert gathered(rank) == [0, 1]
    assert sharded(range(5), lambda part: (part, part % 2 == rank)) == [(part, True) for part in range(5)]
    assert sharded([], str) == [] and sharded([7], str) == ["7"]
    assert said(lambda: together(lambda: mistake(1))) == said(lambda: together(lambda: mistake(1))) == "the mistake of 1"
    assert said(lambda: on_main(lambda: mistake(0))) == "the mistake of 0"
    assert said(lambda: on_main(lambda: mistake(1))) == "right"
    assert agreed(Moment(1.0 + rank, 15 if rank else None)) == Moment(2.0, 15)
    assert agreed(Moment(1.0, None)) == Moment(1.0, None)
    assert mean_over_ranks(torch.tensor([1.0 + rank, 5.0])).tolist() == [1.5, 5.0]
    torch.manual_seed(rank)
    model = Normalised()
    objective = make_objective(model, model.loss)
    weights = gathered(model.unused.weight.detach())
    assert torch.equal(*weights), "the main rank's weights are everybody's"
    batch = Batch(torch.arange(12.0).view(6, 2))
    for step in range(3):
        objective(batch)["loss"].backward()
        objective.after_step()
    assert torch.allclose(model.norm.running_mean, batch.x.mean(0)), "running statistics are those of all examples"
    assert model.norm.num_batches_tracked == 3
    assert model.unused.weight.grad is None
assert world().size == 1
os._exit(0)
"""


def test_what_ranks_tell_each_other(forks: Forks, tmp_path: Path) -> None:
    (tmp_path / "ranks.py").write_text(RANKS)
    alike(forks, tmp_path, "ranks.py")
