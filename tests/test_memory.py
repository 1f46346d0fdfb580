"""More than a machine has is refused, not asked for."""

import pytest
from torch import nn

from genexp.errors import UserError, circumstance
from genexp.machine import memory


def test_a_model_with_more_weights_than_fit_is_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 4 * 4 * 1000)
    with memory.weights_fit():
        nn.Linear(31, 31)
    with pytest.raises(UserError, match="the model is too large"), memory.weights_fit():
        nn.Linear(100, 100)
    nn.Linear(100, 100)  # outside nothing is counted


def test_what_is_free_is_known() -> None:
    assert 1 << 20 < memory.available() < 1 << 50


def test_memory_that_cannot_be_had_is_no_defect() -> None:
    assert "not enough memory" in circumstance(MemoryError()).message
    assert circumstance(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")) is not None
    assert circumstance(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert circumstance(OSError("no errno")) is None
