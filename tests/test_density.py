"""Known densities, quadrature, and the likelihood of continuous flows."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.data.cells import UniformCells
from genexp.data.double_gaussian import DoubleGaussian
from genexp.data.mixture import GaussianMixture
from genexp.errors import UserError
from genexp.figures.densities import LogDensity
from genexp.measures.quadrature import Densities, in_parts, strip_of
from genexp.measures.watching import Watching
from genexp.nn.divergence import divergence
from genexp.pictures import densities
from genexp.quadrature import midpoints
from genexp.subject import Subject
from tests.parts import flow_matching


@pytest.fixture
def double() -> DoubleGaussian:
    return DoubleGaussian(Path())


def gaussian(mean: tuple[float, float], std: tuple[float, float]) -> GaussianMixture:
    return GaussianMixture(torch.tensor([mean]), torch.tensor([std]), torch.ones(1))


def test_the_articles_target_has_the_articles_entropy_and_bridge(double: DoubleGaussian) -> None:
    assert double.density.entropy == pytest.approx(2.61464, abs=1e-5)
    assert double.density.strip_mass(-0.5, 0.5) == pytest.approx(0.00135, abs=1e-5)


def test_the_mixtures_density_is_torchs(double: DoubleGaussian) -> None:
    from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

    weights, means, stds = torch.tensor([1.0, 3.0]), torch.randn(2, 2), torch.rand(2, 2) + 0.2
    ours = GaussianMixture(means, stds, weights)
    theirs = MixtureSameFamily(Categorical(weights), Independent(Normal(means, stds), 1))
    x = 3 * torch.randn(100, 2)
    assert torch.allclose(ours.log_prob(x), theirs.log_prob(x), atol=1e-5)
    samples = ours.sample(200_000, torch.Generator().manual_seed(0))
    assert torch.allclose(samples.mean(0), theirs.mean, atol=0.01)
    assert torch.allclose(samples.var(0), theirs.variance, rtol=0.02)


def test_entropy_of_one_gaussian_is_its_formula() -> None:
    expected = 1 + math.log(2 * math.pi) + math.log(0.3 * 2.0)
    assert gaussian((1.0, -2.0), (0.3, 2.0)).entropy == pytest.approx(expected, abs=1e-6)


def test_kl_by_quadrature_is_the_formula_for_gaussians() -> None:
    p, q = gaussian((0.0, 0.5), (0.5, 0.8)), gaussian((0.3, 0.0), (0.7, 0.6))
    rule = midpoints(*p.box(), 300).rule()
    found = Densities(in_parts(p.log_prob, rule.points, 5000), in_parts(q.log_prob, rule.points, 5000), rule)
    terms = [(math.log(b / a), (a * a + d * d) / (2 * b * b) - 0.5) for a, b, d in ((0.5, 0.7, 0.3), (0.8, 0.6, 0.5))]
    assert found.kl == pytest.approx(sum(sum(pair) for pair in terms), abs=1e-6)
    assert Densities(in_parts(p.log_prob, rule.points, 99), in_parts(p.log_prob, rule.points, 77), rule).kl == 0
    assert found.mass == pytest.approx(1, abs=1e-4)


def test_mass_shows_a_density_that_is_not_normalised(double: DoubleGaussian) -> None:
    rule = midpoints(*double.density.box(), 300).rule()
    log_p = in_parts(double.density.log_prob, rule.points, 10_000)
    assert Densities(log_p, log_p, rule).mass == pytest.approx(1, abs=1e-8)
    assert Densities(log_p, log_p + math.log(1.1), rule).mass == pytest.approx(1.1, abs=1e-8)


DISJOINT = {  # components that hardly overlap: the entropy is Σ w (H − ln w)
    "narrow": DoubleGaussian(Path(), stds=[[0.5, 0.8], [0.005, 0.005]]),
    "crossed": DoubleGaussian(Path(), means=[[0, 0], [0, 3]], stds=[[10, 0.01], [0.01, 10]]),
    "far": DoubleGaussian(Path(), means=[[-1000, 0], [1000, 0]]),
    "unequal": DoubleGaussian(Path(), means=[[0, 0], [30, 0]], stds=[[1e-4, 5], [3, 1e-2]], weights=[1, 9]),
}


@pytest.mark.parametrize("name", DISJOINT)
@pytest.mark.parametrize("side", [480, 64])
def test_a_quadrature_finds_components_of_any_scale(name: str, side: int) -> None:
    density = DISJOINT[name].density
    weights, stds = density.weights.double(), density.stds.double()
    expected = float((weights * (1 + math.log(2 * math.pi) + stds.log().sum(1) - weights.log())).sum())
    overlap = 2e-3 if name == "crossed" else 1e-5
    assert density.entropy == pytest.approx(expected, abs=overlap)
    rule = density.quadrature(side, *density.box())
    assert len(rule.points) <= side**2
    assert density.mass(rule) == pytest.approx(1, abs=2e-4)
    log_p = density.log_prob(rule.points)
    assert -rule.integral(log_p.exp() * log_p) == pytest.approx(expected, abs=max(overlap, 2e-3))


def test_a_spike_within_a_cloud_is_integrated_with_it() -> None:
    inside = GaussianMixture(torch.tensor([[0.3, 0.1], [0.0, 0.0]]), torch.tensor([[0.02, 0.003], [0.5, 0.8]]), torch.ones(2))
    log_p = inside.log_prob(inside.sample(200_000, torch.Generator().manual_seed(0)).double())
    assert inside.entropy == pytest.approx(-float(log_p.mean()), abs=4 * float(log_p.std()) / math.sqrt(200_000))


def test_an_even_grid_stays_where_it_finds_the_mass(double: DoubleGaussian) -> None:
    """The default numbers are those of the midpoint rule, to the last digit."""
    low, high = double.density.box()
    assert torch.equal(double.density.quadrature(480, low, high).points, midpoints(low, high, 480).points)


def test_what_the_points_do_not_find_has_no_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    means, stds = 1000 * torch.rand(60, 2, generator=generator), 0.01 + torch.rand(60, 2, generator=generator)
    assert math.isnan(GaussianMixture(means, stds, torch.ones(60)).measured_entropy(40))


@pytest.mark.parametrize("bridge", [(-0.5, 0.5), (-1000.0, 0.0), (0.3, 2000.0), (50.0, 60.0)])
def test_strip_mass_by_quadrature_is_the_closed_form(double: DoubleGaussian, bridge: tuple[float, float]) -> None:
    rule = double.density.quadrature(240, *strip_of(*double.density.box(), *bridge))
    assert ((rule.points[:, 0] > bridge[0]) & (rule.points[:, 0] < bridge[1])).all()
    assert double.density.mass(rule) == pytest.approx(double.density.strip_mass(*bridge), rel=1e-4, abs=1e-12)


def test_any_mixture_can_be_configured() -> None:
    triple = DoubleGaussian(Path(), means=[[0, 0], [3, 3], [-3, 3]], stds=[[1, 1]] * 3, weights=[1, 1, 2])
    x = triple.density.sample(100_000, torch.Generator().manual_seed(0))
    assert float((x[:, 0] < -1.5).double().mean()) == pytest.approx(0.5 * 0.933 + 0.25 * 0.067, abs=0.01)
    with pytest.raises(UserError, match="3 means, 2 stds and 2 weights"):
        DoubleGaussian(Path(), means=[[0, 0], [3, 3], [-3, 3]])


class Linear(torch.nn.Module):
    """The field that makes v the exact one of N(0, s²I) data: nothing to add."""

    def __init__(self) -> None:
        super().__init__()
        self.somewhere = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return 0 * x


@pytest.mark.parametrize("dim", [2, 6])
@pytest.mark.parametrize("solver", ["heun", "dopri5"])
def test_the_ode_likelihood_of_a_gaussian_flow_is_the_gaussians(dim: int, solver: str) -> None:
    """Exact divergence in 2-D; Hutchinson's in 6-D, exact too here because ∂v/∂x is a multiple of the identity."""
    s = 0.3
    model = flow_matching(DataSpec((dim,)), parametrisation={"name": "denoiser", "data_scale": s}, solver=solver).double()
    model.field = Linear().double()
    x = s * torch.randn(50, dim, dtype=torch.float64)
    expected = -0.5 * (x / s).square().sum(1) - dim * math.log(s) - 0.5 * dim * math.log(2 * math.pi)
    assert torch.allclose(model.log_prob(x), expected, atol=2e-4)


def test_divergence_is_the_trace_of_the_jacobian() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()
    x = torch.randn(20, 3, dtype=torch.float64, requires_grad=True)
    exact = divergence(net(x), x, None)
    jacobians = torch.stack([torch.autograd.functional.jacobian(lambda v: net(v[None])[0], point) for point in x.detach()])
    assert torch.allclose(exact, jacobians.diagonal(dim1=1, dim2=2).sum(1))
    estimates = []
    for _ in range(4000):
        probe = torch.randint_like(x, 2) * 2 - 1
        estimates.append(divergence(net(x), x, probe))
    assert torch.allclose(torch.stack(estimates).mean(0), exact, atol=0.05)


def sign_vectors(dim: int) -> Tensor:
    """All Rademacher vectors, (2^dim, dim)."""
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * dim)


def test_the_estimate_of_the_divergence_is_the_trace_on_average_over_all_probes() -> None:
    """v = Ax in six dimensions, A far from diagonal: εᵀAε for each ε, and tr A as their mean, exactly."""
    torch.manual_seed(0)
    a = torch.randn(6, 6, dtype=torch.float64)
    probes = sign_vectors(6)
    x = torch.randn(len(probes), 6, dtype=torch.float64, requires_grad=True)
    estimates = divergence(x @ a.T, x, probes)
    assert torch.allclose(estimates, torch.einsum("ni,ij,nj->n", probes, a, probes))
    assert float(estimates.mean()) == pytest.approx(float(a.trace()))
    assert float(estimates.std()) > 1
    assert torch.allclose(divergence(x @ a.T, x, None), a.trace().expand(len(x)))


@pytest.mark.parametrize("dim", [3, 6])
def test_the_ode_likelihood_of_a_linear_flow_is_in_closed_form(dim: int) -> None:
    """dx/dt = Ax: ln p(x) = ln N(e⁻ᴬx; 0, I) − tr A; beyond four dimensions − εᵀAε with one ε for the whole path."""
    torch.manual_seed(1)
    model = flow_matching(DataSpec((dim,)), network={"num_frequencies": 256, "depth": 3, "time_width": 16}).double()
    a = 0.5 * torch.randn(dim, dim, dtype=torch.float64)
    model.velocity = lambda x, t: x @ a.T  # type: ignore[method-assign]
    x = torch.randn(1, dim, dtype=torch.float64).expand(1500, dim)
    log_base = -0.5 * (x[0] @ torch.matrix_exp(-a).T).square().sum() - 0.5 * dim * math.log(2 * math.pi)
    lost = log_base - model.log_prob(x)
    probes = sign_vectors(dim)
    possible = torch.einsum("ni,ij,nj->n", probes, a, probes) if dim > 4 else a.trace()[None]
    assert (lost[:, None] - possible).abs().amin(1).max() < 1e-5
    assert float(lost.mean()) == pytest.approx(
        float(a.trace()), abs=5 * float(possible.std(correction=0)) / math.sqrt(1500) + 1e-5
    )


@pytest.mark.parametrize("dim", [4, 5])
def test_the_ode_likelihood_is_called_exact_where_chance_has_no_part_in_it(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexp.models.flow_matching.LIKELIHOOD_STEPS", 8)
    torch.manual_seed(0)
    model, x, a = flow_matching(DataSpec((dim,))), torch.randn(20, dim), torch.randn(dim, dim)
    model.velocity = lambda x, t: x @ a.T  # type: ignore[method-assign]
    assert ("exact" in model.can) == torch.equal(model.log_prob(x), model.log_prob(x))


def test_the_ode_density_of_a_random_network_integrates_to_one() -> None:
    torch.manual_seed(1)
    model = flow_matching(DataSpec((2,)), "plain", network={"width": 16, "activation": "tanh"}).double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1.5)
    grid = midpoints(torch.tensor([-6.0, -6.0]), torch.tensor([6.0, 6.0]), 90)
    mass = float(model.log_prob(grid.points).exp().sum() * grid.area)
    assert mass == pytest.approx(1, abs=2e-3)


class Shifted(torch.nn.Module):
    """A known density, off by a constant factor, as a model that says what its objective is."""

    can = frozenset({"sample", "layers"})

    def __init__(self, density: GaussianMixture, by: float, objective: str = "nll") -> None:
        super().__init__()
        self.density, self.by, self.objective = density, by, objective

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -(self.density.log_prob(batch.x) + self.by).mean()}


def watching(double: DoubleGaussian, by: float, objective: str = "nll") -> Watching:
    return Watching(Subject(Shifted(double.density, by, objective), double, None, torch.device("cpu")))  # type: ignore[arg-type]


@pytest.mark.parametrize("by", [0.0, -0.2])
def test_the_watched_excess_is_the_divergence_without_the_noise_of_the_points(double: DoubleGaussian, by: float) -> None:
    watch = watching(double, by)
    terms = watch.validate(watch.subject.model, double.heldout(300, 0))
    assert float(terms["excess_loss"]) == pytest.approx(-by, abs=1e-5)
    assert watch.monitor == "excess_loss"  # what marks the best weights


def test_a_bijection_that_is_trained_otherwise_is_given_no_excess_of_a_likelihood(double: DoubleGaussian) -> None:
    watch = watching(double, 0.0, "other")
    assert set(watch.validate(watch.subject.model, double.heldout(300, 0))) == {"loss"}
    assert watch.monitor == "loss"


def shown(monkeypatch: pytest.MonkeyPatch, side: int, cells: int, corner: bool = True) -> list[LogDensity]:
    """What the picture of a learnt log density is given, of a model whose ln p(x, y) is x + 10 y, over so many cells a side that
    are black, in the `corner` or not.
    """
    views: list[LogDensity] = []
    monkeypatch.setattr(densities.densities, "log_density", lambda given, truth: views.extend(given))
    mask = torch.ones(cells - 8, cells - 8, dtype=torch.bool)
    mask[: cells // 2 if not corner else 0] = False
    settings = SimpleNamespace(figures=SimpleNamespace(log_density_side=side), evaluation=SimpleNamespace(batch_size=1000))
    model = SimpleNamespace(log_prob=lambda x: x[:, 0] + 10 * x[:, 1])
    density = UniformCells(mask, -1 + 8 / cells, 1 - 8 / cells, 2 / cells)
    densities.log_density(SimpleNamespace(model=model, can=set(), density=density, settings=settings, device=torch.device("cpu")))
    return views


@pytest.mark.parametrize(("side", "cells", "pixels"), [(80, 33, [66]), (80, 49, [49, 60]), (80, 125, [125, 60]), (4, 33, [4])])
def test_a_learnt_log_density_is_shown_by_whole_pixels_a_cell(
    monkeypatch: pytest.MonkeyPatch, side: int, cells: int, pixels: list[int]
) -> None:
    """Each pixel has the value of its own middle, y upwards."""
    views = shown(monkeypatch, side, cells)
    assert [len(view.log_p) for view in views] == pixels
    for view in views:
        left, right, bottom, top = view.window.extent
        step = (right - left) / len(view.log_p)
        assert view.log_p[0, 0] == pytest.approx(left + step / 2 + 10 * (bottom + step / 2), abs=1e-4)
        assert view.log_p[-1, 0] == pytest.approx(left + step / 2 + 10 * (top - step / 2), abs=1e-4)
    assert views[0].window.extent == pytest.approx((-1, 1, -1, 1))
    if len(views) > 1:
        low, high = -20 / cells, 20 / cells
        middle = shown(monkeypatch, side, cells, corner=False)[1].window.extent
        assert middle == pytest.approx((low, high, low, high), abs=1.01 / cells)
        assert views[1].window.extent == pytest.approx((-1, -1 + 40 / cells, 1 - 40 / cells, 1))  # the upper left corner


def test_the_part_from_near_is_the_middle_where_the_corner_is_white_and_cells_off_the_lattice_are_not_cut() -> None:
    mask = torch.zeros(60, 60, dtype=torch.bool)
    mask[20:40, 20:40] = True
    cells = UniformCells(mask, -0.99, 0.97, 0.03)  # 0.01 and 0.03 from the edges: 1/3 of a cell, and one
    left, top, count = densities.grid_of(cells)
    assert (left, top) == pytest.approx((-1.02, 1.0))
    assert left + count * 0.03 >= 1 > left + (count - 1) * 0.03
    assert densities.near(cells, 26) == ("the middle", (count - 26) // 2, (count - 26) // 2)
