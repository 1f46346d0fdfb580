"""Every model on every data set: two steps where it accepts the data, and a refusal in one line where it does not."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch

from genexp.context import Context
from genexp.errors import UserError
from genexp.fit.base import fitters
from genexp.models.base import check_learns
from genexp.optim.schedule import Rate
from genexp.registry import datasets, models
from genexp.settings import TrainerSettings
from genexp.suitability import refusal
from tests.laws.members import MODELS, small
from tests.laws.test_datasets import built

TRAINER = TrainerSettings(max_steps=2, batch_size=16)


def sorts(names: Iterable[str], folder: Path) -> list[str]:
    """One data set of each shape, kind of value and knowledge of it: to what depends on these alone, all others are the same."""
    there = {name: data for name in names if not isinstance(data := built(name, folder, 0), str)}
    alike = {(data.spec.shape, data.spec.kind, bool(data.spec.classes), data.knows): name for name, data in there.items()}
    return list(alike.values())


def of_every_third_variant(label: str) -> Any:
    """Models as they are, and a third of those with another part or choice, are quick; the slow part has all."""
    slow = label not in models.names() and crc32(label.encode()) % 3 > 0
    return pytest.param(label, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("label", [of_every_third_variant(label) for label in MODELS])
def test_two_steps_or_a_refusal(label: str, data_folder: Path) -> None:
    """A model as it is on every data set; one with another part or choice on one data set of each sort."""
    names = datasets.names() if label in models.names() else sorts(datasets.names(), data_folder)
    shapes = set()  # and kinds of value, of which samples were drawn
    for name in names:
        if isinstance(data := built(name, data_folder, 0), str):
            continue  # it needs files, or settings, that are not there
        try:
            two_steps_or_a_refusal(label, data, samples=(data.spec.shape, data.spec.kind) not in shapes)
            shapes.add((data.spec.shape, data.spec.kind))
        except BaseException as failure:
            failure.add_note(f"{label} on {name}")
            raise


def two_steps_or_a_refusal(label: str, data: Any, samples: bool) -> None:
    reason = refusal(MODELS[label], data.spec, data.knows)
    torch.manual_seed(0)
    if reason is not None:
        assert reason
        assert "\n" not in reason
        with pytest.raises(UserError):
            check_learns(models.build(MODELS[label], data.spec, Context()), data.knows)
        return
    model = models.build(MODELS[label], data.spec, Context())
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fitter = fitters[model.fitter](model, data, TRAINER, 0)
    fitter.begin(True)
    fitter.ready()
    for number in (1, 2):
        if fitter.finished:
            break
        terms = fitter.step(fitter.stream.next(), Rate(1.0), number)
        assert bool(torch.isfinite(terms["loss"]))
    model.conclude(data.examples(100, 0))
    model.eval()
    held = model.validate(data.heldout(16, 0))
    assert bool(torch.isfinite(held["loss"]))
    weightless = not [*model.parameters()]
    assert weightless or any(not torch.equal(value, before[key]) for key, value in model.state_dict().items())
    if samples:
        x = model.sample(5)
        assert x.shape == (5, *data.spec.shape)
        assert bool(torch.isfinite(x).all())


def test_every_model_learns_from_some_data(data_folder: Path) -> None:
    there = [data for name in datasets.names() if not isinstance(data := built(name, data_folder, 0), str)]
    for name in models.names():
        assert any(refusal(small(models, name), data.spec, data.knows) is None for data in there), name
