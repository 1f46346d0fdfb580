"""What would fail after a training is found while it is young."""

import pytest
import torch

from genexp.config import compose
from genexp.experiment import build
from genexp.figures import points
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
    rehearse(subject)
    assert torch.equal(torch.rand(3), expected)
    assert_same_state(before, subject.model.state_dict())
    assert subject.model.training
    assert [*tmp_path.iterdir()] == []


def test_a_picture_that_cannot_be_drawn_ends_the_training_while_it_is_young(genexp, tiny, monkeypatch) -> None:
    monkeypatch.setattr("genexp.trainer.REHEARSED_AFTER", 0.0)

    def broken(*_: object, **__: object) -> None:
        raise IndexError("no such class")

    monkeypatch.setattr(points, "loss_curve", broken)
    with pytest.raises(IndexError, match="no such class"):
        genexp("run", "experiment=double_gaussian", "run_dir=here", *tiny, "trainer.max_steps=100000000")
