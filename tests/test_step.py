"""One step of training, compiled or not, is the same arithmetic."""

import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.data.base import Batch
from genexp.errors import UserError
from genexp.models.base import GenerativeModel
from genexp.settings import TrainerSettings
from genexp.training.schedule import Rate
from genexp.training.state import make_optimizer
from genexp.training.step import CompiledStep, Step, make_step
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


@needs_a_compiler
@pytest.mark.parametrize("keys", [ADAM, ADAMW], ids=["adam", "adamw"])
def test_a_compiled_step_is_the_step(keys: dict[str, Any]) -> None:
    """Weights, batch statistics, Adam's state and the losses, whether all steps are compiled, none, or the last three."""
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


def test_without_a_compiler_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled lies in a cache: another model has none of it there."""
    torch._dynamo.reset()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no_such_compiler",))
    monkeypatch.setattr("torch._inductor.config.force_disable_caches", True)
    with pytest.raises(UserError, match=r"trainer\.compile=true: "):
        train(ADAM, [True])
