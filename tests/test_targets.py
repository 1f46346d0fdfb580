"""Densities without examples: the target itself, what is trained on it, and the numbers of weighted samples."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import minimize
from torch import Tensor

from genexp.bijections.objectives import ReverseKL
from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec
from genexp.data.double_well import DoubleWell, Wells
from genexp.data.gmm40 import GMM40
from genexp.data.many_well import ManyWell
from genexp.data.peak_pairs import PeakPairs, PeakPairsData
from genexp.data.quartic import Quartic
from genexp.errors import UserError
from genexp.measures import quadrature
from genexp.measures.divergences import excess_forward_kl, excess_reverse_kl
from genexp.measures.targets import Weighted, ess_forward, log_z, modes_found, reverse_kl, weighted
from genexp.registry import models
from genexp.subject import Subject
from genexp.suitability import refusal_by_name
from tests.parts import arrays
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
    rule = well.density.quadrature(280, torch.tensor([-6.0, -6.0]), torch.tensor([6.0, 6.0]))
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


class Known(torch.nn.Module):
    """A model of a known density."""

    can, objective = frozenset({"sample", "exact"}), "other"

    def __init__(self, density: Any) -> None:
        super().__init__()
        self.density = density

    def log_prob(self, x: Tensor) -> Tensor:
        return self.density.log_prob(x)  # type: ignore[no-any-return]

    def sample(self, n: int) -> Tensor:
        return self.density.sample(n)  # type: ignore[no-any-return]


def examined(model: Any, data: Any) -> Subject:
    words = ["experiment=double_well", "evaluation.num_samples=8000", "evaluation.num_points=8000"]
    return Subject(model, data, compose(words).settings, torch.device("cpu"))


def test_the_numbers_of_another_well_are_integrals() -> None:
    """p of tilt ½ and q of tilt 0.2 in three pairs of coordinates: KL(q ‖ p), ln Z, E_q w² and E_p p/q by the sums along one."""
    data, other = ManyWell(Path(), dimension=6), Wells(6, Quartic(1.0, 6.0, 0.2))
    x, log_p, step = data.density.factor._table
    log_p, log_q = log_p - data.density.factor.log_z, other.factor.log_density(x) - other.factor.log_z
    divergence = 3 * float((log_q.exp() * (log_q - log_p)).sum()) * step
    second, third = (float(((1 + k) * log_p - k * log_q).exp().sum() * step) ** 3 for k in (1, 2))
    subject = examined(Known(other), data)
    assert subject.log_z == pytest.approx(data.log_z)
    found = {name: function(subject) for name, function in (("kl", reverse_kl), ("log_z", log_z), ("forward", ess_forward))}
    exact = {"kl": divergence, "log_z": data.log_z, "forward": 1 / second}
    spread = {"log_z": (second - 1) ** 0.5, "forward": (third - second**2) ** 0.5 / second**2}
    for name, value in found.items():
        assert value.value == pytest.approx(exact[name], abs=4 * value.error), name
        assert value.error < 0.1 * divergence, name
        assert name == "kl" or value.error == pytest.approx(spread[name] / 8000**0.5, rel=0.15), name
    assert weighted(subject).ess == pytest.approx(1 / second, abs=0.02)
    same = examined(Known(data.density), data)
    assert reverse_kl(same).value == pytest.approx(0, abs=1e-4)
    assert ess_forward(same).value == pytest.approx(1, abs=1e-4)


def test_a_mode_with_a_few_stray_points_is_not_found() -> None:
    """The left well has 0.16 of the mass: with a hundredth of the samples there it is not found, with a fiftieth it is."""
    for share, modes in ((0.01, 1), (0.02, 2)):
        subject = examined(Known(None), DoubleWell(Path()))
        subject.samples = torch.where(torch.arange(1000)[:, None] < 1000 * share, -1.7, 1.7).expand(1000, 2)
        assert (modes_found(subject).value, modes_found(subject).exact) == (modes, 2)


def test_a_target_is_learnt_measured_and_drawn(genexp, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quadrature, "GRID_SIDE", 256)  # fine enough to find all of the model's mass
    words = [word for word in tiny if not word.startswith(("trainer.max_steps", "figures"))]
    code, out, err = genexp("run", "run_dir=run", "experiment=double_well", *words, "figures.gif=false", "trainer.max_steps=120")
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert {"kl", "reverse_kl", "log_z", "ess", "exact/log_z", "floor/heldout_loss"} <= {*found}
    assert {"ess_forward", "log_z_bias", "modes_found"} <= {*found}
    assert not {"nll", "sliced_wasserstein"} & {*found}
    assert found["exact/log_z"] == pytest.approx(10.2935, abs=1e-3)
    assert found["floor/heldout_loss"] == -found["exact/log_z"]
    assert found["reverse_kl"] > found["floor/reverse_kl"] == 0  # by quadrature, where the samples' own would scatter
    assert {"density.png", "samples.png", "modes.png"} <= {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert arrays(tmp_path / "run" / "samples" / "samples.npz").keys() == {"samples"}
    code, out, err = genexp("evaluate", "run")
    assert code == 0, err
    assert "numbers are the same as at the end of training" in out


def test_what_learns_from_examples_is_refused_a_target_and_the_other_way_round(genexp, tiny: list[str], tmp_path: Path) -> None:
    for words, said in (
        (("dataset=double_well", "model=gmm"), "the model learns from examples"),
        (("dataset=double_well", "model=coupling_flow"), "the model learns from examples"),
        (("dataset=qr", "model=coupling_flow", "model/objective=reverse_kl"), "the model needs the density"),
    ):
        code, _, err = genexp("run", "run_dir=run", *tiny, *words)
        assert code == 2
        assert said in err.splitlines()[0]
        assert not (tmp_path / "run").exists()


def test_a_flow_that_needs_another_objective_for_a_density_is_listed_with_it() -> None:
    said = "it learns from examples, and a density by model/objective=reverse_kl"
    spec = DataSpec(shape=(4,), kind="real")
    assert refusal_by_name("coupling_flow", spec, {"target", "log_density"}) == said
    assert "by model" not in (refusal_by_name("gmm", spec, {"target", "log_density"}) or "by model")


# --- exact numbers of targets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimension", [2, 6, 32])
def test_many_wells_are_as_many_double_wells(dimension: int) -> None:
    """ln Z, entropy and masses by scipy's quadrature of one factor; samples have them."""
    data, pairs = ManyWell(Path(), dimension=dimension), dimension // 2

    def p(x: float) -> float:
        return math.exp(-(x**4) + 6 * x**2 + 0.5 * x - 9)

    z, right = quad(p, -6, 6, limit=200)[0], quad(p, data.density.factor.barrier, 6)[0]
    surprise = -quad(lambda x: p(x) / z * math.log(max(p(x) / z, 1e-300)), -6, 6, limit=200)[0]
    assert data.log_z == pytest.approx(pairs * (math.log(z) + 9 + 0.5 * math.log(2 * math.pi)), abs=1e-7)
    assert data.density.entropy == pytest.approx(pairs * (surprise + 0.5 * math.log(2 * math.pi * math.e)), abs=1e-6)
    assert data.density.mode_masses.tolist() == pytest.approx([1 - right / z, right / z] * pairs, abs=1e-4)
    x = data.sample(20_000, torch.Generator().manual_seed(0))
    assert torch.allclose(data.log_density(x) - data.log_z, data.density.log_prob(x), atol=1e-3)
    error = (right / z * (1 - right / z) / len(x)) ** 0.5
    assert float((data.density.mode_shares(x) - data.density.mode_masses).abs().max()) < 5 * error
    cdf = [quad(p, -6, edge)[0] / z for edge in (-1.8, -1.5, 1.6, 2.0)]
    found = [float((x[:, 0::2] < edge).double().mean()) for edge in (-1.8, -1.5, 1.6, 2.0)]
    assert found == pytest.approx(cdf, abs=4 * 0.5 / (len(x) * pairs) ** 0.5)


def test_modes_are_counted() -> None:
    density = GMM40(Path()).density
    assert density.means[0].tolist() == pytest.approx([-0.2995, 21.4577], abs=1e-3)  # as in the literature
    assert density.std == pytest.approx(1.3133, abs=1e-4)
    x = density.sample(20_000, torch.Generator().manual_seed(0))
    assert float((density.mode_shares(x) - density.mode_masses).abs().max()) < 0.01
    half = density.mode_shares(x[x[:, 0] < 0])
    assert int((half == 0).sum()) >= 15


def test_a_sample_lies_between_the_points_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a coarse one, half a step of which would be seen."""
    monkeypatch.setattr("genexp.data.quartic.FINE", 61)
    with pytest.raises(UserError, match="the wells lie as far from 0 as 316, and 50 is the most"):
        Quartic(0.001, 100.0, 0.0)
    one = Quartic(1.0, 0.0, 0.0)
    x = one.sample((20_000,), torch.Generator().manual_seed(0), torch.device("cpu"))
    assert one._table[2] / 2 > 10 * float(x.std()) / len(x) ** 0.5
    assert float(x.mean()) == pytest.approx(0, abs=4 * float(x.std()) / len(x) ** 0.5)


def test_wells_are_told_apart_at_the_barrier() -> None:
    """It lies where −4x³ + 4x = 1 between the peaks, and not at 0: of what lies between, the way leads down to the left."""
    density = Wells(2, Quartic(1.0, 2.0, -1.0))
    p = lambda x: math.exp(-(x**4) + 2 * x**2 - x)  # noqa: E731
    (barrier,) = (x for x in np.roots([-4, 0, 4, -1]).real if 0 < x < 0.5)
    right = quad(p, barrier, 5)[0] / quad(p, -5, 5)[0]
    assert density.mode_masses.tolist() == pytest.approx([1 - right, right], abs=1e-4)
    assert abs(quad(p, 0, 5)[0] / quad(p, -5, 5)[0] - right) > 0.01
    edges = torch.tensor([[-1.0, 0.0], [barrier - 0.01, 0.0], [barrier + 0.01, 0.0], [1.0, 0.0]])
    assert density.mode_shares(edges).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("distance", [0.7, 2.0, 4.0])
def test_the_best_gaussians_on_two_peaks(distance: float) -> None:
    """By scipy's quadrature and minimiser; forward ½ ln(1+m²) − ln 2 and the overlap, reverse ln 2 far apart."""
    density = PeakPairs(1, distance)

    def log_p(x: float) -> float:
        return float(np.logaddexp(-0.5 * (x - distance) ** 2, -0.5 * (x + distance) ** 2)) - 0.5 * math.log(8 * math.pi)

    def forward(v: np.ndarray) -> float:
        own = lambda x: -0.5 * ((x - v[0]) / v[1]) ** 2 - math.log(v[1]) - 0.5 * math.log(2 * math.pi)  # noqa: E731
        return quad(lambda x: math.exp(log_p(x)) * (log_p(x) - own(x)), -14, 14, points=[-distance, distance])[0]

    def reverse(v: np.ndarray) -> float:
        own = lambda z: -0.5 * z**2 - math.log(v[1]) - 0.5 * math.log(2 * math.pi)  # noqa: E731
        share = lambda z: math.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)  # noqa: E731
        return quad(lambda z: share(z) * (own(z) - log_p(v[0] + v[1] * z)), -8, 8)[0]

    best = minimize(forward, [0.1, 1.0], method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-9, "maxiter": 60}).fun
    assert float(density.best_forward[0]) == pytest.approx(best, abs=1e-5)
    assert float(density.best_forward[0]) >= 0.5 * math.log(1 + distance**2) - math.log(2) - 1e-9
    chosen = minimize(reverse, [distance, 1.0], method="Nelder-Mead", options={"maxiter": 50}).fun
    assert float(density.minima_reverse[1, 0]) == pytest.approx(chosen, abs=1e-4)
    if distance == 4:
        assert chosen == pytest.approx(math.log(2), abs=1e-2)
    assert density.minima_reverse[0, 0] >= density.best_forward[0] - 0.05 or distance < 4


def test_the_two_gaussians_are_trained_on_their_own_divergences() -> None:
    """The gradient of each loss is that of the integral; samples are of the first; and the worst distance is what is told."""
    torch.manual_seed(0)
    data = PeakPairsData(Path(), dimension=3, farthest=2.0)
    model = models.build({"name": "forward_reverse"}, data.spec).double()
    for each in (model.forward_kl, model.reverse_kl):
        each.mean.data = torch.tensor([0.4, 1.3, -1.6]).double()
        each.log_std.data = torch.tensor([0.2, -0.3, 0.1]).double()
    model.reverse_kl.mean.data.neg_()
    losses = [model.loss(Batch(data.sample(20_000).double(), log_density=data.density.log_prob)) for _ in range(8)]
    for name, each in (("forward", model.forward_kl), ("reverse", model.reverse_kl)):
        weights, density = [each.mean, each.log_std], data.density
        divergence = (density.forward_kl if name == "forward" else density.reverse_kl)(each.mean, each.log_std.exp())
        exact = torch.stack(torch.autograd.grad(divergence.sum(), weights))
        found = torch.stack([torch.stack(torch.autograd.grad(loss[name], weights)) for loss in losses])
        error = found.std(0) / len(found) ** 0.5
        assert ((found.mean(0) - exact).abs() < 6 * error + 1e-3).all()
        assert error.max() < 0.03 < exact.abs().max()
        values = torch.stack([loss[name].detach() for loss in losses])
        constant = density.entropy if name == "forward" else 0.0
        assert float(values.mean()) == pytest.approx(float(divergence.sum().detach()) + constant, abs=5 * float(values.std()))
    assert torch.allclose(model.sample(20_000).mean(0), model.forward_kl.mean, atol=0.05)
    assert torch.allclose(model.sample(20_000).std(0), model.forward_kl.log_std.exp(), rtol=0.05)
    subject, best = examined(model, data), data.density.best_forward
    above = data.density.forward_kl(model.forward_kl.mean, model.forward_kl.log_std.exp()) - best
    assert excess_forward_kl(subject).value == pytest.approx(float(above.detach().max()))
    reached = data.density.reverse_kl(model.reverse_kl.mean, model.reverse_kl.log_std.exp()).detach()
    away = torch.tensor([[0.5, 0.01, 0.4], [0.02, 0.7, -0.03]]).double()
    subject.density.__dict__["minima_reverse"] = reached - away
    assert excess_reverse_kl(subject).value == pytest.approx(0.02)  # at each distance the nearer one


def test_a_lost_well_is_seen_by_true_samples_alone(genexp, tiny: list[str], tmp_path: Path) -> None:
    """A flow in one well: ess near one, ess_forward near zero, ln Z too low by ln of the mass that it has."""
    words = [word for word in tiny if not word.startswith(("trainer.", "figures"))]
    words += ["trainer.max_steps=250", "trainer.batch_size=128", "figures.enabled=false", "evaluation.num_samples=4000"]
    code, _, err = genexp("run", "run_dir=run", "experiment=double_well", "model.depth=2", *words)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert found["modes_found"] == 1
    assert found["ess"] > 0.8
    assert found["ess_forward"] < 0.01
    assert min(abs(found["log_z_bias"] - math.log(mass)) for mass in (0.8443, 0.1557)) < 0.05  # which well, is chance


def test_forward_and_reverse_reach_their_minima(genexp, tiny: list[str], tmp_path: Path) -> None:
    words = [word for word in tiny if not word.startswith(("trainer.", "figures"))]
    words += ["trainer.max_steps=600", "trainer.batch_size=256", "dataset.dimension=5", "dataset.farthest=4", "figures.gif=false"]
    code, _, err = genexp("run", "run_dir=run", "experiment=forward_reverse_kl", *words)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert 0 <= found["excess_forward_kl"] < 0.02
    assert abs(found["excess_reverse_kl"]) < 0.02
    assert (tmp_path / "run" / "figures" / "forward_reverse_kl.png").exists()
    code, _, err = genexp("run", "run_dir=no", "model=forward_reverse", "dataset=double_well", *words[:4])
    assert code == 2
    assert "learns from examples" in err


ROSENBROCK = '''
from pathlib import Path
from typing import Annotated

from pydantic import Field
from torch import Tensor

from genexp.data.base import DataSpec
from genexp.data.target import Target
from genexp.registry import datasets

@datasets.register("rosenbrock")
class Rosenbrock(Target):
    """ln p(x, y) = -(1 - x)^2 - steep (y - x^2)^2 + constant."""

    def __init__(self, data_dir: Path, *, steep: Annotated[float, Field(gt=0, le=100)] = 5.0) -> None:
        self.spec, self.steep = DataSpec(shape=(2,), kind="real"), steep

    def log_density(self, x: Tensor) -> Tensor:
        return -(1 - x[:, 0]).square() - self.steep * (x[:, 1] - x[:, 0].square()).square()

    def describe(self) -> str:
        return "Rosenbrock's valley"
'''


def test_a_log_density_of_ones_own(genexp, tiny: list[str], tmp_path: Path) -> None:
    """The README's example: its integral, π/√steep, by annealed importance sampling; and a flow learns it."""
    (tmp_path / "valley.py").write_text(ROSENBROCK)
    (tmp_path / "own" / "dataset").mkdir(parents=True)
    (tmp_path / "own" / "dataset" / "rosenbrock.yaml").write_text("# a valley\nname: rosenbrock\nsteep: 5.0\n")
    own = ["--plugin", "valley.py", "--config-dir", "own", "dataset=rosenbrock", "figures.enabled=false", *tiny]
    code, _, err = genexp(
        "run", *own, "run_dir=points", "model=annealed_importance", "model.points=2000", "model.temperatures=16"
    )
    assert code == 0, err
    found = metrics(tmp_path / "points")
    assert found["log_z"] == pytest.approx(math.log(math.pi / math.sqrt(5)), abs=4 * found["log_z_error"])
    assert found["log_z_error"] < 0.1
    assert "exact/log_z" not in found
    assert "log_z_bias" not in found
    code, _, err = genexp("run", *own, "run_dir=flow", "model=coupling_flow", "model/objective=fab")
    assert code == 0, err
    assert {"log_z", "ess"} <= {*metrics(tmp_path / "flow")}
    assert "ess_forward" not in metrics(tmp_path / "flow")
