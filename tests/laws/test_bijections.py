"""Bijections, alone: the inverse undoes, the determinant is autograd's, float32 suffices, and nothing breaks far outside."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.bijections.base import Bijection, bases, bijections
from genexp.errors import UserError
from tests.laws.members import moments, shaken, variants

BIJECTIONS = variants(bijections)
every = pytest.mark.parametrize("kind", list(BIJECTIONS))
dims = pytest.mark.parametrize("dim", [1, 2, 5])


def built(kind: str, dim: int, layer: int = 0, seed: int = 0) -> Bijection:
    """One layer, shaken, after its first look at data; skipped where it wants more dimensions."""
    torch.manual_seed(seed)
    try:
        bijection = shaken(bijections.build(BIJECTIONS[kind], dim, layer))
    except UserError as refusal:
        pytest.skip(refusal.message)
    bijection.initialise(torch.randn(500, dim, dtype=torch.float64) * 0.8 + 0.3)  # type: ignore[operator]
    return bijection  # type: ignore[return-value]


def log_det_by_autograd(function: Any, x: Tensor) -> Tensor:
    """ln |det| of the Jacobian at each point."""
    jacobians = torch.stack([torch.autograd.functional.jacobian(lambda v: function(v[None])[0][0], point) for point in x])
    return torch.linalg.slogdet(jacobians).logabsdet


def fixed(bijection: nn.Module) -> bool:
    """Whether it has no weights, as a permutation, which may leave a feature where it is."""
    return not [*bijection.parameters()]


@every
@dims
@pytest.mark.parametrize("layer", [0, 1])
def test_the_inverse_undoes_and_both_determinants_are_autograds(kind: str, dim: int, layer: int) -> None:
    bijection = built(kind, dim, layer)
    x = 2 * torch.randn(12, dim, dtype=torch.float64)
    z, log_det = bijection(x)
    back, log_det_back = bijection.inverse(z)
    assert z.shape == x.shape
    assert log_det.shape == log_det_back.shape == (12,)
    assert dim == 1 or fixed(bijection) or not torch.allclose(z, x, atol=1e-3)
    assert torch.allclose(back, x, atol=bijection.error)
    if bijection.exact:
        assert torch.allclose(log_det, log_det_by_autograd(bijection, x), atol=bijection.error)
        assert torch.allclose(log_det_back, log_det_by_autograd(bijection.inverse, z), atol=bijection.error)


@every
@dims
def test_the_other_way_round_it_is_one_to_one_too(kind: str, dim: int) -> None:
    """f(f⁻¹(z)) = z for any z, not only for images of data."""
    bijection = built(kind, dim)
    z = 3 * torch.randn(200, dim, dtype=torch.float64)
    with torch.no_grad():
        x, log_det = bijection.inverse(z)
        again, log_det_back = bijection(x)
    tolerance = 10 * bijection.error
    assert torch.allclose(again, z, atol=tolerance)
    assert torch.allclose(log_det_back, -log_det, atol=tolerance) or not bijection.exact


@every
@dims
def test_float32_brings_a_point_back(kind: str, dim: int) -> None:
    exact = built(kind, dim)
    x = 2 * torch.randn(1000, dim)
    with torch.no_grad():
        z_exact, log_det_exact = exact(x.double())
        z, log_det = exact.float()(x)
        back, _ = exact.inverse(z)
    assert z.dtype == log_det.dtype == back.dtype == torch.float32
    assert (back - x).abs().max() < 1e-3
    assert torch.allclose(z.double(), z_exact, atol=1e-3)
    assert torch.allclose(log_det.double(), log_det_exact, atol=1e-3) or not exact.exact


@every
@dims
@pytest.mark.parametrize("far", [3.0, 1e2, 1e4])  # 3: where the small splines end
def test_far_outside_gradients_are_finite(kind: str, dim: int, far: float) -> None:
    bijection = built(kind, dim)
    corners = far * torch.cat([torch.eye(dim), -torch.eye(dim), torch.ones(1, dim), -torch.ones(1, dim)]).double()
    x = corners.requires_grad_()
    z, log_det = bijection(x)
    (z.sum() + log_det.sum()).backward()
    reached = [weights.grad for weights in bijection.parameters() if weights.grad is not None]
    assert all(torch.isfinite(found).all() for found in (z, log_det, x.grad, *reached))


@every
@dims
def test_saved_and_loaded_it_is_the_same(kind: str, dim: int) -> None:
    one, other = built(kind, dim, seed=0), built(kind, dim, seed=1)
    x = torch.randn(20, dim, dtype=torch.float64)
    other.load_state_dict(one.state_dict())
    found = []
    with torch.no_grad():
        for bijection in (one, other):
            torch.manual_seed(2)
            found.append([*bijection(x), *bijection.inverse(x)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@every
@pytest.mark.parametrize("dim", [2, 3])
def test_in_two_layers_every_feature_can_move(kind: str, dim: int) -> None:
    x = torch.randn(40, dim, dtype=torch.float64)
    first, second = built(kind, dim, 0), built(kind, dim, 1)
    with torch.no_grad():
        z = second(first(x)[0])[0]
    assert fixed(first) or ((z - x).abs() > 1e-6).any(0).all()


@pytest.mark.parametrize("kind", list(variants(bases)))
@pytest.mark.parametrize("dim", [1, 2])
def test_a_bases_density_has_the_mass_one_and_is_that_of_its_samples(kind: str, dim: int) -> None:
    base = bases.build(variants(bases)[kind], dim).double()
    torch.manual_seed(0)
    z = base.sample(20_000)
    side, reach = (20_000, 60.0) if dim == 1 else (600, 30.0)
    axis = reach * (2 * (torch.arange(side, dtype=torch.float64) + 0.5) / side - 1)
    points = torch.cartesian_prod(*[axis] * dim).reshape(-1, dim)
    mass = base.log_prob(points).exp() * (2 * reach / side) ** dim
    assert float(mass.sum()) == pytest.approx(1, abs=5e-3)
    error = moments(z).std(0) / len(z) ** 0.5
    assert ((mass @ moments(points) - moments(z).mean(0)).abs() <= 5 * error + 2e-3).all()
    assert base.bounded == bool(torch.isinf(base.log_prob(torch.full((1, dim), 1e9, dtype=torch.float64))).all())


def largest_jump(bijection: Bijection, spacing: float) -> float:
    """Between neighbours on a line across the plane, of how fast ln |det| + ln N(z; 0, I) changes along it."""
    along = torch.arange(-4, 4, spacing, dtype=torch.float64, requires_grad=True)
    z, log_det = bijection(torch.stack([along, 0.3 - 0.7 * along], dim=1))
    (change,) = torch.autograd.grad((log_det - z.square().sum(1) / 2).sum(), along)
    return float(change.diff().abs().max())


@every
def test_a_density_that_is_called_smooth_has_no_kinks(kind: str) -> None:
    """With points four times as close the jumps are a quarter; at a kink they stay. (What has none need not say so.)"""
    bijection = built(kind, 2)
    coarse, fine = (largest_jump(bijection, spacing) for spacing in (0.004, 0.001))
    if bijection.smooth:
        assert fine < 0.4 * coarse
    elif "spline" in kind:
        assert fine > 0.9 * coarse
