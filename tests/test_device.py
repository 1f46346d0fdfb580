"""Devices and precisions are chosen in one place."""

import pytest
import torch

from genexp.errors import UserError
from genexp.machine.device import autocast, choose_device, choose_precision


def test_auto_takes_the_best_there_is() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu").type == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="device=cuda: this machine has none"):
        choose_device("cuda")


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
