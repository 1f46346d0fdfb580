"""One step of training, compiled or not, has the same objective and the same mathematics."""

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.config.composition import compose
from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.fit.gradient import make_optimizer
from genexp.fit.step import CompiledStep, Step, make_step
from genexp.folder import checkpoint
from genexp.models.base import GenerativeModel
from genexp.optim.schedule import Rate
from genexp.runs.experiment import build
from genexp.settings import TrainerSettings
from tests.test_trainer import assert_same_state

needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")
ADAMW: dict[str, Any] = {
    "max_steps": 6,
    "optimizer": "adamw",
    "lr": 0.01,
    "weight_decay": 0.1,
    "clip_norm": 0.05,
    "betas": (0.8, 0.99),
}
ADAM: dict[str, Any] = {"max_steps": 6, "optimizer": "adam", "lr": 0.01, "weight_decay": 0.1}


class Regression(GenerativeModel):
    """Batch statistics in its buffers, a frozen weight, and one that the loss does not reach."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(2, 8, bias=False), nn.BatchNorm1d(8), nn.SiLU(), nn.Linear(8, 2))
        self.unused = nn.Parameter(torch.ones(3))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        error = (self.net(batch.x) - self.frozen * batch.x.flip(1)).square()
        return {"loss": error.mean(), "largest": error.max()}


def train(keys: dict[str, Any], compiled: list[bool]) -> tuple[GenerativeModel, torch.optim.Optimizer, list[float]]:
    """Steps of which each is compiled or not; in between the optimizer is saved and restored, as by a checkpoint."""
    model, losses = Regression(), []
    rates = torch.linspace(1, 0.1, len(compiled))
    generator = torch.Generator().manual_seed(1)
    steps: dict[bool, Step] = {}
    optimizer = make_optimizer(model, TrainerSettings(**keys))
    for number, kind in enumerate(compiled):
        if number and kind != compiled[number - 1]:
            state, optimizer = optimizer.state_dict(), make_optimizer(model, TrainerSettings(**keys))
            optimizer.load_state_dict(state)
            steps.clear()
        if kind not in steps:
            steps[kind] = make_step(model, optimizer, TrainerSettings(compile=kind, **keys), "float32")
            assert isinstance(steps[kind], CompiledStep) == kind
        batch = Batch(torch.randn(16, 2, generator=generator))
        terms = steps[kind](batch, Rate(float(rates[number]), beta1=0.8 + 0.02 * number))
        losses.append(float(terms["loss"].detach()))
    return model, optimizer, losses


@pytest.mark.parametrize(
    ("keys", "backend"),
    [
        pytest.param(ADAM, "aot_eager", id="adam traced"),
        pytest.param(ADAMW, "inductor", id="adamw compiled", marks=needs_a_compiler),
        pytest.param(ADAM, "inductor", id="adam compiled", marks=[needs_a_compiler, pytest.mark.slow]),
    ],
)
def test_a_compiled_step_is_the_step(monkeypatch: pytest.MonkeyPatch, keys: dict[str, Any], backend: str) -> None:
    """Weights, batch statistics, Adam's state and the losses, whether all steps are compiled, none, or the last three.

    What is traced is ours; that torch makes the right kernels of it (backend `inductor`) is tried once, as g++ takes seconds.
    """
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    torch._dynamo.reset()
    model, optimizer, losses = train(keys, [False] * 6)
    for compiled in ([True] * 6, [False] * 3 + [True] * 3):
        other, its_optimizer, its_losses = train(keys, compiled)
        torch.testing.assert_close(its_losses, losses, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=1e-4, atol=1e-5)
        for index, moments in optimizer.state_dict()["state"].items():
            torch.testing.assert_close(its_optimizer.state_dict()["state"][index], moments, rtol=1e-4, atol=1e-6)


@needs_a_compiler
def test_compiled_steps_repeat_bit_for_bit() -> None:
    torch._dynamo.reset()
    first, second = (train(ADAMW, [True] * 4)[0].state_dict() for _ in range(2))
    assert_same_state(first, second)


class Counting(Regression):
    """A number of Python's that the loss changes, so that what was compiled never fits again."""

    calls = 0

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        self.calls += 1
        return {"loss": self.calls * super().loss(batch)["loss"]}


def test_a_loss_that_is_never_the_same_is_refused_and_not_compiled_for_ever() -> None:
    torch._dynamo.reset()
    model = Counting()
    keys = TrainerSettings(compile=True, **ADAM)
    step = make_step(model, make_optimizer(model, keys), keys, "float32")
    step._run = torch.compile(step._whole, backend="eager")  # type: ignore[attr-defined]

    def train() -> None:
        for _ in range(8):
            step(Batch(torch.randn(16, 2)), Rate(1.0))

    limited = torch._dynamo.config.patch(recompile_limit=2)
    with limited, pytest.raises(UserError, match=r"trainer\.compile=true: "):
        train()


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=[needs_a_compiler, pytest.mark.slow])])
def test_going_on_with_compiled_steps_equals_never_having_stopped(
    genexp: Any, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    """Bit for bit, with noise in the loss and an average of the weights. And without a compiler a run can go on uncompiled."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    small = [*tiny, "trainer.batch_size=16", "model.field.width=8", "model.field.depth=1", "dataset.text=x"]
    small += ["evaluation.num_samples=20", "figures.enabled=false", "trainer.schedule=constant", "trainer.ema=0.9"]
    words = ["run", *small, "trainer.compile=true"]
    assert genexp(*words, "trainer.max_steps=6", "run_dir=whole")[0] == 0
    assert genexp(*words, "trainer.max_steps=3", "run_dir=parts")[0] == 0
    shutil.copytree(tmp_path / "parts", tmp_path / "uncompiled")
    assert genexp("resume", "parts", "trainer.max_steps=6")[0] == 0
    states = [checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "parts")]
    for part in ("model", "average", "optimizer", "random"):
        assert_same_state(states[0][part], states[1][part])
    code, out, _ = genexp("resume", "uncompiled", "trainer.max_steps=6", "trainer.compile=false")
    assert (code, "other random numbers" in out) == (0, True)


@needs_a_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        "experiment=seminar/double_gaussian",
        "experiment=double_gaussian",
        "experiment=qr_flowmatch",
        "experiment=qr_plain trainer.clip_norm=0.01",
        "experiment=qr_fourier",
        "experiment=glyphs_vae",
        "experiment=glyphs_vae model/prior=vamp",
        "experiment=glyphs_vae model/prior=mixture model.prior.components=4",
        "experiment=drawn_fruit_vae_iaf model.network.components=150",
        "experiment=mnist_gtm dataset=glyphs",
    ],
)
def test_every_family_compiles(words: str) -> None:
    """Three steps with the same noise as uncompiled ones lead to the same weights."""
    torch._dynamo.reset()
    few = ["dataset.count=200", "dataset.validation=20", "dataset.test=20"] if "glyphs" in words or "drawn" in words else []
    ends = []
    for compiled in (False, True):
        settings = compose([*words.split(), *few, "trainer.batch_size=32", f"trainer.compile={compiled}"]).settings
        subject = build(settings)
        subject.model.initialise(subject.data.first_look(1000, 0))
        step = make_step(subject.model, make_optimizer(subject.model, settings.trainer), settings.trainer, "float32")
        stream = subject.data.train_stream(32, 0)
        torch.manual_seed(1)
        subject.model.train()
        with torch._inductor.config.patch(fallback_random=True):
            for _ in range(3):
                step(stream.next(), Rate(0.5))
        ends.append(subject.model.state_dict())
    torch.testing.assert_close(*ends, rtol=1e-3, atol=3e-4)


def test_without_a_compiler_one_line_says_so() -> None:
    torch._dynamo.reset()
    nothing = {"cpp.cxx": ("no_such_compiler",), "force_disable_caches": True}
    with torch._inductor.config.patch(nothing), pytest.raises(UserError, match=r"trainer\.compile=true: "):
        train(ADAM, [True])
