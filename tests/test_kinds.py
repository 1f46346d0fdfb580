"""Kinds of values: a data set says which it gives, and a model refuses what it has no probability for, before training."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genexp.data.base import KINDS, Batch, DataSpec
from genexp.data.glyphs import Glyphs
from genexp.errors import UserError
from genexp.runs.trained import read_spec
from tests.parts import make, vae

SHALLOW = {"flow_matching": {"field": {"name": "plain", "depth": 1}}}
ACCEPTED = {"bernoulli": {"unit", "bits"}, "gaussian": {"real", "unit", "bits"}, "logistic": {"unit", "bits"}}


@pytest.mark.parametrize("likelihood", list(ACCEPTED))
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_likelihood_takes_the_kinds_that_it_is_one_of(likelihood: str, kind: str) -> None:
    builders: list[Any] = [lambda spec: vae(spec, likelihood=likelihood)]
    if likelihood != "logistic":
        builders.append(lambda spec: make("gtm", spec, likelihood=likelihood, decoder_widths=(4,)))
    for build in builders:
        build(DataSpec((3,)))  # a data set that does not say: its first examples tell
        if kind in ACCEPTED[likelihood]:
            build(DataSpec((3,), kind=kind))  # type: ignore[arg-type]
            continue
        with pytest.raises(UserError, match=f"model/likelihood={likelihood} needs .*; these data are {KINDS[kind]}"):  # type: ignore[index]
            build(DataSpec((3,), kind=kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_density_of_points_takes_real_numbers(kind: str) -> None:
    for model in ("flow_matching", "coupling_flow", "flow"):
        if kind in ("real", "unit"):
            make(model, DataSpec((2,), kind=kind), **SHALLOW.get(model, {"depth": 1}))  # type: ignore[arg-type]
        else:
            with pytest.raises(UserError, match=f"needs real numbers; these data are {KINDS[kind]}"):  # type: ignore[index]
                make(model, DataSpec((2,), kind=kind), **SHALLOW.get(model, {"depth": 1}))  # type: ignore[arg-type]


def test_the_first_examples_of_data_of_an_unsaid_kind_are_looked_at() -> None:
    spec = DataSpec((3,))
    bernoulli, logistic = vae(spec), vae(spec, likelihood="logistic")
    gaussian = vae(spec, likelihood="gaussian")
    lattice = make("gtm", spec, decoder_widths=(4,))
    inside, beyond, holed = torch.rand(50, 3), torch.rand(50, 3) * 1.1, torch.rand(50, 3)
    beyond[7, 1], holed[7, 1] = 1.01, torch.nan
    for model in (bernoulli, logistic, gaussian, lattice):
        model.initialise(Batch(inside))
        with pytest.raises(UserError, match="no finite numbers"):
            model.initialise(Batch(holed))
    gaussian.initialise(Batch(beyond))
    for model, name in ((bernoulli, "bernoulli"), (logistic, "logistic"), (lattice, "bernoulli")):
        for wrong in (beyond, -0.01 - 0.1 * inside):
            with pytest.raises(UserError, match=rf"model/likelihood={name} needs numbers in \[0, 1\]; the training data lie in"):
                model.initialise(Batch(wrong))  # type: ignore[operator]


def test_real_numbers_are_refused_before_there_is_a_folder(genexp, tmp_path: Path) -> None:
    for words in (["model=vae", "dataset=qr"], ["model=gtm", "dataset=double_gaussian"]):
        code, _, err = genexp("run", *words, "run_dir=here")
        assert code == 2
        assert err.startswith("error: model/likelihood=bernoulli needs numbers in [0, 1]; these data are real numbers\n")
        assert not (tmp_path / "here").exists()


def test_the_record_of_a_run_keeps_the_kind_and_older_records_have_none(tmp_path: Path) -> None:
    assert Glyphs(Path(), count=10, validation=10, test=10, size=8).spec.kind == "unit"
    record = {"shape": [1, 2, 2], "classes": ["a"], "kind": "unit"}

    def read() -> DataSpec | None:
        (tmp_path / "run.json").write_text(json.dumps({"data": record}))
        return read_spec(tmp_path)

    assert read() == DataSpec((1, 2, 2), ("a",), "unit")
    del record["kind"]
    assert read() == DataSpec((1, 2, 2), ("a",))
    for wrong in ("colours", 3, ["unit"]):
        record["kind"] = wrong  # type: ignore[assignment]
        with pytest.raises(UserError, match="record of the data is not one"):
            read()


def test_a_flow_prior_needs_something_to_couple() -> None:
    with pytest.raises(UserError, match="model/prior=flow: a coupling needs at least two"):
        vae(DataSpec((3,)), latent=1, prior="flow")
    for keys in ({"posterior": "iaf"}, {"prior": "vamp"}, {"prior": "mixture"}, {"prior": "standard"}):
        model = vae(DataSpec((3,)), latent=1, **keys)
        model.initialise(Batch(torch.rand(9, 3)))
        assert torch.isfinite(model.loss(Batch(torch.rand(9, 3)))["loss"])
        assert model.sample(5).shape == (5, 3)
    assert torch.isfinite(vae(DataSpec((3,)), prior="flow").loss(Batch(torch.rand(9, 3)))["loss"])
