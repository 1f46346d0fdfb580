"""More than a machine has is refused, not asked for."""

from pathlib import Path

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


def test_what_a_container_keeps_of_files_is_free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of 8 MiB 7 are used, and 5 of those by files that were read, as data sets are: they make room for whoever asks."""
    monkeypatch.setattr(memory, "CONTAINER", str(tmp_path))
    for name, text in (("memory.max", "8388608\n"), ("memory.current", "7340032\n")):
        (tmp_path / name).write_text(text)
    assert memory.available() == 1 << 20
    (tmp_path / "memory.stat").write_text("anon 2097152\nfile 5242880\ninactive_file 5242880\nactive_file 0\n")
    assert memory.available() == 6 << 20
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() > 6 << 20


def test_memory_that_cannot_be_had_is_no_defect() -> None:
    assert "not enough memory" in circumstance(MemoryError()).message
    assert circumstance(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")) is not None
    assert circumstance(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert circumstance(OSError("no errno")) is None
