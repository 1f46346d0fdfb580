"""Devices and precisions are chosen in one place."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.machine.device import autocast, choose_device, choose_precision, wait_for
from genexp.registry import datasets
from genexp.sampling import Sampler
from genexp.seeds import seeded
from tests.parts import flow_matching, make


def test_auto_takes_the_best_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device=cuda: this machine has none"):
        choose_device("cuda")
    with pytest.raises(UserError, match="unknown device 'cuda:0'; did you mean 'cuda'"):  # as Python may ask for one
        choose_device("cuda:0")


def test_only_an_accelerator_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "synchronize", waited.append)
    for name in ("cpu", "cuda:1"):
        wait_for(torch.device(name))
    assert waited == [torch.device("cuda:1")]


@pytest.mark.parametrize(("flags", "precision"), [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({}, "float32")])
def test_auto_precision_follows_the_hardware(monkeypatch: pytest.MonkeyPatch, flags: dict, precision: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags, raising=False)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == precision
    assert choose_precision("float32", cpu) == "float32"
    assert choose_precision("bf16", cpu) == "bf16"


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("float32", torch.float32)])
def test_products_have_the_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_random_numbers_of_the_cpu_leave_those_of_accelerators_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else noise on a GPU would follow from the last seed that anything on the CPU had, and be the same in every run."""
    told: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", told.append)
    torch.manual_seed(5)
    assert told == [5]
    expected = torch.rand(3)
    torch.manual_seed(5)
    for _ in range(2):
        with seeded(7, torch.device("cpu")):
            inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    assert told == [5, 5]
    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), inside)


@pytest.mark.parametrize("size", [2, 3, 10, 15])
def test_classes_come_in_turn_however_many_samples_are_drawn_at_a_time(size: int) -> None:
    settings: Any = SimpleNamespace(evaluation=SimpleNamespace(batch_size=size), trainer=SimpleNamespace(precision="float32"))
    model = SimpleNamespace(sample=lambda n, label: torch.stack([label, torch.arange(n)], 1).float())
    sampler = Sampler(model, settings, torch.device("cpu"), classes=10)
    drawn = [sampler.draw(part, 0) for part in sampler.parts(40)]
    labels = torch.cat([each.label for each in drawn])  # type: ignore[misc]
    assert torch.equal(labels, torch.arange(40) % 10)
    assert torch.equal(labels, sampler.labels(40))
    assert torch.equal(torch.cat([each.x for each in drawn])[:, 0].long(), labels)


@pytest.mark.parametrize("model", ["normal", "gmm", "mfa", "whitened", "principal"])
def test_samples_have_all_digits_whatever_precision_networks_have(model: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(500, 3) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 2.0]])
    spec = DataSpec((3,), kind="real")
    made: Any = {
        "normal": lambda: make("normal", spec),
        "gmm": lambda: make("gmm", spec, components=2),
        "mfa": lambda: make("mfa", spec, components=2, latent=2),
        "whitened": lambda: make("realnvp", spec, depth=1, normalise="whiten"),
        "principal": lambda: flow_matching(spec, space={"name": "principal", "components": 3}),
    }[model]()
    made.initialise(Batch(x))
    made.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        drawn = made.sample(1_000)
    assert len(drawn[:, 0].unique()) > 990


@pytest.mark.parametrize("name", ["normal", "mixture", "class_mixture", "gmm40", "double_well"])
def test_a_known_density_is_the_same_whatever_precision_networks_have(name: str, tmp_path: Path) -> None:
    data = datasets.build({"name": name}, tmp_path)
    batch = data.train_stream(2_000, 0).next()
    exact = batch.log_density(batch.x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(batch.log_density(batch.x), exact)
