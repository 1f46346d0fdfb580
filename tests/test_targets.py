"""Densities without examples: the target itself, what is trained on it, and the numbers of weighted samples."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from genexp.bijections.objectives import ReverseKL
from genexp.data.base import Batch, DataSpec
from genexp.data.double_well import DoubleWell
from genexp.measures.targets import Weighted
from genexp.registry import models
from tests.test_distributed import metrics


def test_the_double_well_is_that_of_the_literature() -> None:
    """ln Z of 16 of them is the published 164.696, and the right well has 0.8443 of the mass; by scipy's quadrature."""
    well = DoubleWell(Path())
    z, _ = quad(lambda x: math.exp(-(x**4) + 6 * x**2 + 0.5 * x), -6, 6)
    right, _ = quad(lambda x: math.exp(-(x**4) + 6 * x**2 + 0.5 * x), 0, 6)
    assert well.log_z == pytest.approx(math.log(z) + 0.5 * math.log(2 * math.pi), abs=1e-8)
    assert 16 * well.log_z == pytest.approx(164.696, abs=2e-3)
    assert right / z == pytest.approx(0.8443, abs=1e-4)


@pytest.mark.parametrize("settings", [{}, {"quadratic": 1.0, "tilt": 0.0}, {"quartic": 0.1, "quadratic": 4.0, "tilt": -3.0}])
def test_its_density_integrates_to_one(settings: dict) -> None:
    density = DoubleWell(Path(), **settings).density
    assert density.mass(density.quadrature(600, *density.box())) == pytest.approx(1, abs=1e-6)


def test_reverse_kl_of_a_flow_is_its_integral() -> None:
    """∫ q (ln q − ln p̃) by quadrature, with random weights; and its gradient moves with it."""
    well = DoubleWell(Path())
    torch.manual_seed(0)
    flow = models.build({"name": "coupling_flow", "objective": {"name": "reverse_kl"}}, DataSpec((2,), kind="real")).double()
    for weights in flow.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    flow.spread.fill_(0.7)
    rule = well.density.quadrature(400, torch.tensor([-6.0, -6.0]), torch.tensor([6.0, 6.0]))
    with torch.no_grad():
        log_q = flow.log_prob(rule.points)
        exact = rule.integral(log_q.exp() * (log_q - well.log_density(rule.points)))
        assert rule.integral(log_q.exp()) == pytest.approx(1, abs=1e-3)
        batch = Batch(torch.zeros(40_000, 2), log_density=well.log_density)
        found = float(ReverseKL().loss(flow, batch)["loss"])
    assert found == pytest.approx(exact, abs=0.05)
    assert flow.objective == "reverse_kl"
    assert flow.learns == "density"


def test_samples_come_with_their_own_density() -> None:
    torch.manual_seed(0)
    flow = models.build({"name": "coupling_flow"}, DataSpec((2,), kind="real")).double()
    for weights in flow.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    flow.spread.fill_(1.7)
    x, log_q = flow.sample_with_log_prob(500)
    assert torch.allclose(flow.log_prob(x), log_q, atol=1e-8)


def test_weighted_samples_of_gaussians() -> None:
    """q = N(0, 1), p̃ = c N(0, s²): ln Z = ln c, and E w² and so the effective sample size in closed form."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(400_000, generator=generator, dtype=torch.float64)
    s, log_c = 0.8, 3.0
    log_weight = log_c - math.log(s) - 0.5 * (x / s) ** 2 + 0.5 * x**2
    found = Weighted(log_weight)
    second = 1 / (s * math.sqrt(2 - s**2))  # E w² / (E w)²
    assert found.log_z == pytest.approx(log_c, abs=4 * math.sqrt((second - 1) / len(x)))
    assert found.ess == pytest.approx(1 / second, abs=2e-3)
    assert found.log_z_error == pytest.approx(math.sqrt((second - 1) / len(x)), rel=0.02)


def test_a_target_is_learnt_measured_and_drawn(genexp, tiny: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny if not word.startswith(("trainer.max_steps", "figures"))]
    code, out, err = genexp("run", "run_dir=run", "experiment=double_well", *words, "figures.gif=false", "trainer.max_steps=60")
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert {"kl", "reverse_kl", "log_z", "ess", "exact/log_z", "floor/heldout_loss"} <= {*found}
    assert not {"nll", "sliced_wasserstein"} & {*found}
    assert found["exact/log_z"] == pytest.approx(10.2935, abs=1e-3)
    assert found["floor/heldout_loss"] == -found["exact/log_z"]
    assert found["reverse_kl"] > found["floor/reverse_kl"] == 0  # by quadrature, where the samples' own would scatter
    assert {"density.png", "samples.png"} <= {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert np.load(tmp_path / "run" / "samples" / "samples.npz").files == ["samples"]
    code, out, err = genexp("evaluate", "run")
    assert code == 0, err
    assert "numbers are the same as at the end of training" in out


def test_what_learns_from_examples_is_refused_a_target_and_the_other_way_round(genexp, tiny: list[str], tmp_path: Path) -> None:
    for words, said in (
        (("dataset=double_well", "model=gmm"), "the model learns from examples"),
        (("dataset=double_well", "model=coupling_flow"), "the model learns from examples"),
        (("dataset=qr", "model=coupling_flow", "model/objective=reverse_kl"), "the model is trained on a density"),
    ):
        code, _, err = genexp("run", "run_dir=run", *tiny, *words)
        assert code == 2
        assert said in err.splitlines()[0]
        assert not (tmp_path / "run").exists()
