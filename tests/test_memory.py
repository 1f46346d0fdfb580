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


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["experiment=double_gaussian", "evaluation.num_samples=1000000000"], "evaluation.num_samples=1000000000: "),
        (["experiment=double_gaussian", "trainer.batch_size=1000000000"], "trainer.batch_size=1000000000: "),
        (["experiment=glyphs_vae", "evaluation.num_samples=10000000"], "evaluation.num_samples=10000000: takes about 94 GB"),
        (["experiment=glyphs_vae", "dataset.count=200000", "dataset.size=128"], "would take 11 minutes to draw"),
        (["experiment=drawn_fruit_vae_iaf", "dataset.count=10000", "dataset.size=256"], "would take 11 minutes to draw"),
        (["experiment=drawn_fruit_vae_iaf", "dataset.count=2000", "dataset.size=256"], "would take 3 minutes to draw"),
    ],
)
def test_more_examples_than_fit_are_refused_before_they_are_made(
    genexp, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 8 << 30)
    small = ["dataset.count=20", "dataset.validation=10", "dataset.test=10"]
    own = [key for key in small if "glyphs" in words[0] and key.split("=")[0] not in " ".join(words)]
    code, _, err = genexp("run", *words, *own, "trainer.max_steps=1")
    assert code == 2
    assert why in err


def test_what_is_free_is_known() -> None:
    assert 1 << 20 < memory.available() < 1 << 50


def test_memory_that_cannot_be_had_is_no_defect() -> None:
    assert "not enough memory" in circumstance(MemoryError()).message
    assert circumstance(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")) is not None
    assert circumstance(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert circumstance(OSError("no errno")) is None
