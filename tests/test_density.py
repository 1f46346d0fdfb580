"""Known densities, quadrature, and the likelihood of continuous flows."""

import math
from pathlib import Path

import pytest
import torch
from genexp.studies.base import Subject
from genexp.studies.density import DensityStudy
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.data.double_gaussian import DoubleGaussian
from genexp.data.mixture import GaussianMixture
from genexp.errors import UserError
from genexp.metrics.density import compare, on_grid, strip_mass
from genexp.models.flow_matching import FlowMatching, divergence
from genexp.quadrature import midpoints


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
    grid = midpoints(*p.box(), 300)
    found = compare(on_grid(p.log_prob, grid, 5000), on_grid(q.log_prob, grid, 5000), grid.area)
    terms = [(math.log(b / a), (a * a + d * d) / (2 * b * b) - 0.5) for a, b, d in ((0.5, 0.7, 0.3), (0.8, 0.6, 0.5))]
    assert found.kl == pytest.approx(sum(sum(pair) for pair in terms), abs=1e-6)
    assert compare(on_grid(p.log_prob, grid, 99), on_grid(p.log_prob, grid, 77), grid.area).kl == 0
    assert found.mass == pytest.approx(1, abs=1e-4)


def test_mass_shows_a_density_that_is_not_normalised(double: DoubleGaussian) -> None:
    grid = midpoints(*double.density.box(), 300)
    log_p = on_grid(double.density.log_prob, grid, 10_000)
    assert compare(log_p, log_p, grid.area).mass == pytest.approx(1, abs=1e-8)
    assert compare(log_p, log_p + math.log(1.1), grid.area).mass == pytest.approx(1.1, abs=1e-8)


def test_strip_mass_by_quadrature_is_the_closed_form(double: DoubleGaussian) -> None:
    low, high = double.density.box()
    strip = midpoints(torch.stack([torch.tensor(-0.5), low[1]]), torch.stack([torch.tensor(0.5), high[1]]), 240)
    found = strip_mass(on_grid(double.density.log_prob, strip, 10_000), strip, -0.5, 0.5)
    assert found == pytest.approx(double.density.strip_mass(-0.5, 0.5), rel=1e-4)


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
    model = FlowMatching(DataSpec(shape=(dim,)), parametrisation="denoiser", data_scale=s, solver=solver, width=8).double()
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


def test_the_ode_density_of_a_random_network_integrates_to_one() -> None:
    torch.manual_seed(1)
    model = FlowMatching(DataSpec(shape=(2,)), features="none", width=16, depth=2, activation="tanh", data_scale=1.0)
    model = model.double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(1.5)
    grid = midpoints(torch.tensor([-6.0, -6.0]), torch.tensor([6.0, 6.0]), 90)
    mass = float(model.log_prob(grid.points).exp().sum() * grid.area)
    assert mass == pytest.approx(1, abs=2e-3)


class Shifted(torch.nn.Module):
    """A bijection's interface around a known density, off by a constant factor."""

    def __init__(self, density: GaussianMixture, by: float) -> None:
        super().__init__()
        self.density, self.by = density, by

    def validate(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": -(self.density.log_prob(batch.x) + self.by).mean()}

    def unused(self) -> None:
        raise NotImplementedError

    sample_base = layers = transform = inverse = unused


@pytest.mark.parametrize("by", [0.0, -0.2])
def test_the_watched_excess_is_the_divergence_without_the_noise_of_the_points(double: DoubleGaussian, by: float) -> None:
    subject = Subject(None, double, None, torch.device("cpu"))  # type: ignore[arg-type]
    terms = DensityStudy(subject).validate(Shifted(double.density, by), double.heldout(300, 0))  # type: ignore[arg-type]
    assert float(terms["excess_loss"]) == pytest.approx(-by, abs=1e-5)
    assert next(iter(terms)) == "excess_loss"  # what marks the best weights
