"""Fitters other than the gradient: expectation maximisation, and models that are fitted at one look."""

import os
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec
from genexp.fit.em import EM
from genexp.fit.schedule import Rate
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.models.gmm import GMM
from genexp.models.normal import Normal
from genexp.registry import datasets
from tests.conftest import small_parts
from tests.test_distributed import metrics
from tests.test_trainer import assert_same_state, strip

POINTS = DataSpec(shape=(3,), kind="real")
COVARIANCES = ("full", "diagonal", "spherical")


@pytest.fixture
def x() -> Tensor:
    """Three clusters of unlike shapes, in three dimensions."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(3, 400, 3, generator=generator)
    turned = torch.randn(3, 3, 3, generator=generator)
    return (z @ turned + 4 * torch.randn(3, 1, 3, generator=generator)).flatten(0, 1)


def fitted(x: Tensor, steps: int, **settings) -> tuple[GMM, list[float]]:
    torch.manual_seed(0)
    model = GMM(POINTS, **settings)
    model.initialise(Batch(x))
    return model, [float(model.em_step(Batch(x))["loss"]) for _ in range(steps)]


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_likelihood_never_falls(x: Tensor, covariance: str) -> None:
    _, losses = fitted(x, 60, components=5, covariance=covariance, ridge=0.0)
    falls = [before - after for before, after in pairwise(losses)]
    assert min(falls) > -1e-7
    assert sum(falls) > 1e-3


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_converged_mixture_is_a_stationary_point(x: Tensor, covariance: str) -> None:
    """∂/∂θ of the likelihood vanishes: by autograd, which knows nothing of expectation maximisation."""
    model, _ = fitted(x, 3_000, components=2, covariance=covariance, ridge=0.0)
    model = model.double().requires_grad_(True)
    model.loss(Batch(x.double()))["loss"].backward()
    found = {name: float(weights.grad.abs().max()) for name, weights in model.named_parameters() if weights.grad is not None}
    assert {"mean", "log_scale", "log_weight"} <= {*found}
    assert max(found.values()) < 1e-4, found


def test_em_steps_are_those_of_the_textbook(x: Tensor) -> None:
    """Against the same formulas, written with scipy's density."""
    from scipy.stats import multivariate_normal

    model, _ = fitted(x, 1, components=3)
    data = x.double().numpy()
    factors = torch.diag_embed(model.log_scale.exp()).double()
    rows, columns = torch.tril_indices(3, 3, -1)
    factors[:, rows, columns] = model.below.double()
    covariances = (factors @ factors.mT).numpy()
    weights = model.log_weight.softmax(0).double().numpy()
    parts = zip(weights, model.mean.double().numpy(), covariances, strict=True)
    joint = torch.tensor(np.stack([w * multivariate_normal(m, c).pdf(data) for w, m, c in parts], axis=1))
    assert float(-joint.sum(1).log().mean()) == pytest.approx(float(model.loss(Batch(x))["loss"]), abs=1e-4)
    responsible = joint / joint.sum(1, keepdim=True)
    model.em_step(Batch(x))
    counts = responsible.sum(0)
    assert torch.allclose(model.log_weight.exp().double(), counts / len(x), atol=1e-5)
    assert torch.allclose(model.mean.double(), responsible.T @ x.double() / counts[:, None], atol=1e-4)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_one_component_is_the_normal_and_that_is_the_best_gaussian(x: Tensor, covariance: str) -> None:
    mixture, _ = fitted(x, 1, components=1, covariance=covariance)
    normal = Normal(POINTS, covariance=covariance, ridge=0.0)
    normal.initialise(Batch(x))
    assert torch.allclose(mixture.log_prob(x), normal.log_prob(x), atol=1e-4)
    here = normal.double().requires_grad_(True)
    here.loss(Batch(x.double()))["loss"].backward()
    assert all(float(weights.grad.abs().max()) < 1e-4 for weights in here.parameters() if weights.numel())


def test_the_normal_is_that_of_numpy(x: Tensor) -> None:
    from scipy.stats import multivariate_normal

    model = Normal(POINTS, ridge=0.0)
    model.initialise(Batch(x))
    exact = multivariate_normal(x.double().mean(0).numpy(), torch.cov(x.double().T, correction=0).numpy())
    assert torch.allclose(model.log_prob(x).double(), torch.tensor(exact.logpdf(x.double().numpy())), atol=1e-4)
    torch.manual_seed(0)
    drawn = model.sample(100_000)
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.1)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(x.T), rtol=0.03, atol=0.1)


def test_samples_of_a_mixture_have_its_moments(x: Tensor) -> None:
    model, _ = fitted(x, 30, components=3)
    torch.manual_seed(0)
    drawn = model.sample(200_000)
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.1)  # which EM keeps
    assert torch.allclose(torch.cov(drawn.T), torch.cov(x.T), rtol=0.03, atol=0.1)


@pytest.mark.parametrize("settings", [{"components": 1}, {"components": 7}, {"components": 4, "covariance": "diagonal"}])
def test_awkward_data(settings: dict) -> None:
    """The same point often, a coordinate that never moves, a mean far from the origin: finite numbers."""
    torch.manual_seed(0)
    cloud = torch.cat([torch.ones(300, 3), torch.randn(20, 3)])
    cloud[:, 2] = 2.0
    model, losses = fitted(cloud + 1000, 20, **settings)
    assert torch.isfinite(torch.tensor(losses)).all()
    assert torch.isfinite(model.log_prob(cloud + 1000)).all()


def test_more_components_than_examples_is_one_line(x: Tensor) -> None:
    from genexp.errors import UserError

    with pytest.raises(UserError, match="there are only 5 examples"):
        fitted(x[:5], 1, components=8)


# --- whole runs ----------------------------------------------------------------------------------------------


def test_a_stopped_em_goes_on_exactly(genexp, tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    words = ["experiment=gmm", *tiny, "figures.enabled=false", "model.components=4", "model.tolerance=0"]
    words += ["model.examples=3000", "trainer.max_steps=6"]
    assert genexp("run", "run_dir=whole", *words)[0] == 0
    calls, step = iter(range(1, 100)), GMM.em_step

    def interrupted(self: GMM, batch: Batch):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(GMM, "em_step", interrupted)
        assert genexp("run", "run_dir=parts", *words)[0] == 143
    assert checkpoint.load(tmp_path / "parts/checkpoints/last.pt")["position"]["step"] == 3
    code, _, err = genexp("resume", "parts")
    assert code == 0, err
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for name in ("last", "best"):
        assert_same_state(*(checkpoint.load(run / "checkpoints" / f"{name}.pt") for run in (whole, parts)))
    assert strip(RunFolder(whole).history()) == strip(RunFolder(parts).history())
    assert metrics(whole) == metrics(parts)
    losses = [line["loss"] for line in RunFolder(whole).history() if "loss" in line]
    assert len(losses) == 6
    assert all(after < before + 1e-6 for before, after in pairwise(losses))


def test_a_resumed_em_knows_what_it_had_gained(tmp_path: Path) -> None:
    """Its first step is the last one, where that of the whole run would have been."""
    data = datasets.build({"name": "double_gaussian"}, tmp_path)
    settings = compose(["experiment=gmm"]).settings.trainer
    model = GMM(data.spec, components=2, tolerance=1.0)
    whole = EM(model, data, settings, 0)
    batch = whole.stream.next()
    model.initialise(batch)
    whole.step(batch, Rate(1.0), 1)
    parts = EM(model, data, settings, 0)
    parts.load_state_dict(whole.state_dict())
    assert not parts.finished
    parts.step(batch, Rate(1.0), 2)
    assert parts.finished
    whole.load_state_dict(parts.state_dict())
    assert whole.finished  # and takes no further step


def test_em_ends_when_nothing_is_gained(genexp, tiny: list[str], tmp_path: Path) -> None:
    few = [word for word in tiny if not word.startswith("trainer.max_steps")]
    assert genexp("run", "run_dir=run", "experiment=gmm", *few, "figures.enabled=false", "trainer.max_steps=400")[0] == 0
    assert 1 < metrics(tmp_path / "run")["steps"] < 400
    assert metrics(tmp_path / "run")["kl"] < 1e-3
    code, _, err = genexp("sample", "run", "--out", "more.npz", "--checkpoint", "last")
    assert code == 0, err


@pytest.mark.parametrize("experiment", ["double_gaussian", "glyphs_vae", "qr_flowmatch"])
def test_a_model_without_steps_runs_is_resumed_sampled_and_measured(genexp, tiny: list[str], tmp_path: Path, experiment) -> None:
    """One Gaussian, on points and on pictures, whatever the trainer's settings."""
    from genexp.config.composition import compose

    dataset = compose([f"experiment={experiment}"]).settings.dataset["name"]
    small = [word for word in small_parts(experiment) if word.startswith("dataset.")]
    words = [f"dataset={dataset}", "model=normal", "model.examples=2000", *tiny, *small]
    code, _, err = genexp("run", "run_dir=run", *words)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert found["steps"] == 0
    assert found["nll"] is not None
    assert {name for name, value in found.items() if value is None} <= {
        "decoded",
        "decoded_opencv",
        "reverse_kl",
    }  # which hangs on what lies outside of the box
    assert "has finished" in genexp("resume", "run")[1]
    code, out, err = genexp("evaluate", "run")
    assert code == 0, err
    assert "numbers are the same as at the end of training" in out
    assert genexp("sample", "run", "--out", "more.npz")[0] == 0


@pytest.mark.parametrize("experiment", ["double_gaussian", "double_well", "glyphs_vae", "qr_flowmatch", "mnist_lattice"])
def test_no_steps_at_all(genexp, tiny: list[str], tmp_path: Path, experiment: str) -> None:
    """trainer.max_steps=0: the model as it was before its first step is measured and drawn."""
    code, _, err = genexp(
        "run", "run_dir=run", f"experiment={experiment}", *small_parts(experiment), *tiny, "trainer.max_steps=0"
    )
    assert code == 0, err
    assert metrics(tmp_path / "run")["steps"] == 0
