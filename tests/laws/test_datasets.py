"""Data sets: a seed is a seed, a stream goes on where it was saved, and what is declared to be known is true."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from genexp.capabilities import known_of
from genexp.data.base import KINDS, Batch
from genexp.errors import UserError
from genexp.quadrature import midpoints
from genexp.registry import datasets
from tests.laws.members import moments, small

every = pytest.mark.parametrize("name", datasets.names())
SAMPLES = 40_000


def opened(name: str, folder: Path, copy: int = 0, **keys: Any) -> Any:
    """A small data set, made once for each `copy`; skipped where it needs files, or settings, that are not there."""
    data = built(name, folder, copy, **keys)
    return pytest.skip(data) if isinstance(data, str) else data


@cache
def built(name: str, folder: Path, copy: int, **keys: Any) -> Any:
    """The data set, or why there is none."""
    if {"path", "channels"} <= {*datasets.schema(name).model_fields}:  # a folder of pictures
        keys["path"] = str(folder / "fruit" / "train")
    if "file" in datasets.schema(name).model_fields:
        keys["file"] = "table.csv"
    try:
        return datasets.build(small(datasets, name, **keys), folder)
    except UserError as refusal:
        return refusal.message


def same(one: Batch, other: Batch) -> bool:
    labels = (one.label is None and other.label is None) or bool((one.label == other.label).all())  # type: ignore[union-attr]
    return torch.equal(one.x, other.x) and labels


@every
def test_what_is_known_before_it_is_read_is_so(name: str, data_folder: Path) -> None:
    known = getattr(datasets[name], "known_spec", None)
    if known is None:
        pytest.skip("it has to be read")
    spec = known(datasets.validate(small(datasets, name)))
    assert spec is None or spec == opened(name, data_folder).spec


@every
def test_the_same_seed_gives_the_same_examples_and_another_one_others(name: str, data_folder: Path) -> None:
    data, again = opened(name, data_folder), opened(name, data_folder, 1)
    for draw in ("heldout", "first_look", "examples"):
        assert same(getattr(data, draw)(20, 3), getattr(again, draw)(20, 3))
    first, other = data.train_stream(8, 3), data.train_stream(8, 4)
    assert same(first.next(), again.train_stream(8, 3).next())
    assert not same(first.next(), other.next())
    assert not same(data.train_stream(8, 3).next(), other.next())
    if "examples" in data.knows:  # the first so many of a part, which is in random order once and for all
        assert same(data.heldout(10, 3), data.heldout(10, 4))
    else:
        assert not same(data.heldout(20, 3), data.heldout(20, 4))
        assert not same(data.heldout(20, 3), data.train_stream(20, 5).next())


@every
def test_the_seed_of_a_set_that_is_drawn_draws_another_one(name: str, data_folder: Path) -> None:
    if "seed" not in datasets.schema(name).model_fields:
        pytest.skip("it has no seed of its own")
    assert not torch.equal(opened(name, data_folder, seed=0).test.x, opened(name, data_folder, seed=1).test.x)


@every
@pytest.mark.parametrize("before", [0, 3, 11])  # the last: in the second pass over a small set
def test_a_stream_goes_on_bit_for_bit(name: str, before: int, data_folder: Path) -> None:
    data = opened(name, data_folder)
    stream = data.train_stream(7, 5)
    for _ in range(before):
        stream.next()
    state = stream.state_dict()
    resumed = opened(name, data_folder, 1).train_stream(7, 5)
    resumed.load_state_dict(state)
    batches = [stream.next() for _ in range(12)]
    assert all(same(batch, resumed.next()) for batch in batches)
    assert not all(same(batch, batches[0]) for batch in batches)


@every
def test_examples_are_what_the_spec_says(name: str, data_folder: Path) -> None:
    data = opened(name, data_folder)
    for batch in (data.heldout(12, 0), data.train_stream(12, 0).next(), data.first_look(12, 0), data.examples(12, 0)):
        assert batch.x.shape[1:] == data.spec.shape
        assert len(batch.x) == 12 or (len(batch.x) < 12 and "examples" in data.knows)
        assert data.spec.kind in (None, *KINDS)
        whole = bool((batch.x == batch.x.round()).all())
        low, high = (float(edge) for edge in batch.x.aminmax())
        assert math.isfinite(low + high)
        if data.spec.kind != "tokens":
            assert batch.x.is_floating_point()
        limit = {"unit": 1, "bytes": 255, "bits": 1}.get(data.spec.kind, math.inf)  # type: ignore[arg-type]
        assert data.spec.kind == "real" or 0 <= low <= high <= limit
        assert data.spec.kind in (None, "real", "unit") or whole
        assert (batch.label is None) == (not data.spec.classes)
        if batch.label is not None:
            assert set(batch.label.tolist()) <= set(range(len(data.spec.classes)))
    assert data.describe()


@every
def test_a_label_says_the_same_in_every_part(name: str, data_folder: Path) -> None:
    """The mean picture of a class in the test part is nearer to that of the same class in training than to the others'."""
    data = opened(name, data_folder)
    if not data.spec.classes or "examples" not in data.knows:
        pytest.skip("no classes")
    stream = data.train_stream(data.train.x.shape[0], 0)
    train, test = stream.next(), data.test.batch()
    classes = [c for c in range(len(data.spec.classes)) if (test.label == c).any() and (train.label == c).any()]
    assert len(classes) > 1
    ours, theirs = (torch.stack([b.x[b.label == c].mean(0).flatten() for c in classes]) for b in (train, test))
    nearest = torch.cdist(theirs - theirs.mean(0), ours - ours.mean(0)).argmin(1)
    assert (nearest == torch.arange(len(classes))).double().mean() > 0.5


# --- what is known ---------------------------------------------------------------------------------------------------


def knowing(name: str, folder: Path, *words: str) -> Any:
    data = opened(name, folder)
    missing = [word for word in words if word not in known_of(data.knows | data.spec.knows)]
    return data if not missing else pytest.skip(f"of it one does not know: {', '.join(missing)}")


def grid_of(data: Any) -> tuple[Tensor, Tensor]:
    """Points of the plane and their weights: by the density's own rule over its box, or a midpoint rule where samples lie."""
    if "box" in data.knows:
        rule = data.density.quadrature(200, *data.density.box())
        return rule.points, rule.weights
    x = data.heldout(SAMPLES, 0).x.double()
    low, high = x.amin(0), x.amax(0)
    room = 0.1 * (high - low)
    grid = midpoints(low - room, high + room, 800)
    return grid.points, torch.full((len(grid.points),), grid.area, dtype=torch.float64)


def log_prob(density: Any, x: Tensor) -> Tensor:
    return torch.cat([density.log_prob(part).double() for part in x.split(20_000)])


@every
def test_the_density_integrates_to_one(name: str, data_folder: Path) -> None:
    data = knowing(name, data_folder, "density", "plane")
    points, weights = grid_of(data)
    assert float(weights @ log_prob(data.density, points).exp()) == pytest.approx(1, abs=1e-3 if "box" in data.knows else 1e-2)


@every
def test_the_entropy_is_the_mean_surprise_of_samples(name: str, data_folder: Path) -> None:
    data = knowing(name, data_folder, "density")
    surprise = -log_prob(data.density, data.heldout(SAMPLES, 1).x)
    error = float(surprise.std()) / SAMPLES**0.5
    assert float(surprise.mean()) == pytest.approx(data.density.entropy, abs=4 * error + 1e-4)


@every
def test_samples_follow_the_density(name: str, data_folder: Path) -> None:
    """Means of bounded functions over training batches and held-out points are their integrals."""
    data = knowing(name, data_folder, "density", "plane", "drawn")
    points, weights = grid_of(data)
    p = weights * log_prob(data.density, points).exp()
    p = p / p.sum()  # that it is one, but for the grid's error at edges, is a law of its own
    for batch in (data.heldout(SAMPLES, 2), data.train_stream(SAMPLES, 3).next()):
        found = moments(batch.x.double())
        error = found.std(0) / SAMPLES**0.5
        assert ((found.mean(0) - p @ moments(points)).abs() <= 5 * error + 2e-3).all()


@every
def test_the_box_holds_the_mass(name: str, data_folder: Path) -> None:
    data = knowing(name, data_folder, "box", "drawn")
    low, high = data.density.box()
    x = data.heldout(SAMPLES, 4).x
    assert bool(((x >= low) & (x <= high)).all())


@every
def test_the_bridge_has_the_mass_that_its_samples_show(name: str, data_folder: Path) -> None:
    data = knowing(name, data_folder, "bridge")
    low, high = data.bridge
    x = data.heldout(5 * SAMPLES, 5).x[:, 0]
    mass = data.density.strip_mass(low, high)
    assert float(((x > low) & (x < high)).double().mean()) == pytest.approx(mass, abs=4 * (mass / len(x)) ** 0.5)


@every
def test_log_density_and_log_z_are_the_log_of_a_density(name: str, data_folder: Path) -> None:
    data = knowing(name, data_folder, "log_density", "plane")
    batch = data.heldout(50, 6)
    x = batch.x.double().requires_grad_()
    value = batch.log_density(x)  # type: ignore[misc]
    value.sum().backward()
    assert value.shape == (50,)
    assert bool(torch.isfinite(x.grad).all())  # type: ignore[arg-type]
    if "log_z" in known_of(data.knows) and "box" in data.knows:
        points, weights = grid_of(data)
        integral = torch.logsumexp(batch.log_density(points).double() + weights.log(), 0)  # type: ignore[misc]
        assert float(integral) == pytest.approx(getattr(data, "log_z", 0.0), abs=1e-3)
