"""What would fail after a training is found while it is young."""

import json
from pathlib import Path

import pytest
import torch

from genexp.config.composition import compose
from genexp.figures import points
from genexp.measures import bijection
from genexp.models.flow import Flow
from genexp.runs.experiment import build
from genexp.runs.rehearsal import rehearse
from tests.conftest import small_parts
from tests.test_trainer import assert_same_state


@pytest.mark.parametrize("experiment", ["qr_flowmatch", "glyphs_vae"])
def test_a_rehearsal_leaves_no_trace(experiment: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subject = build(compose([f"experiment={experiment}", *small_parts(experiment)]).settings)
    subject.model.initialise(subject.data.first_look(200, 0))
    before = {name: weights.clone() for name, weights in subject.model.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    rehearse(subject, pytest.fail)
    assert torch.equal(torch.rand(3), expected)
    assert_same_state(before, subject.model.state_dict())
    assert subject.model.training
    assert [*tmp_path.iterdir()] == []


def test_what_cannot_be_measured_or_drawn_is_said_while_the_training_is_young_and_ends_no_run(
    genexp, tiny, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr("genexp.fit.loop.REHEARSED_AFTER", 0.0)

    def broken(*_: object, **__: object) -> None:
        raise IndexError("no such class")

    monkeypatch.setattr(points, "loss_curve", broken)
    monkeypatch.setattr(bijection, "_largest", broken)
    code, out, _ = genexp("run", "experiment=double_gaussian", "run_dir=here", *tiny)
    assert code == 0
    for name in ("invertibility_error is", "loss, a picture, is"):
        line = f"warning: {name} left out: IndexError: no such class"
        assert out.count(line) == 2
        assert out.index(line) < out.index("trained 2 steps")
    metrics = json.loads((tmp_path / "here" / "metrics.json").read_text())
    assert metrics["invertibility_error"] is None
    assert metrics["nll"] is not None
    assert not (tmp_path / "here" / "figures" / "loss.png").exists()
    assert (tmp_path / "here" / "figures" / "samples.png").exists()


def test_what_would_end_the_run_ends_it_while_it_is_young(genexp, tiny, monkeypatch) -> None:
    monkeypatch.setattr("genexp.fit.loop.REHEARSED_AFTER", 0.0)

    def broken(*_: object) -> None:
        raise IndexError("nothing to fit")

    monkeypatch.setattr(Flow, "conclude", broken)
    with pytest.raises(IndexError, match="nothing to fit"):
        genexp("run", "experiment=double_gaussian", "run_dir=here", *tiny, "trainer.max_steps=100000000")
