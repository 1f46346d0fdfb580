"""Residual flows: contractions, their inverse, and estimates of ln det that are right in the mean, as are their gradients."""

import copy
import math

import pytest
import torch
from torch import Tensor

from genexp.bijections import residual
from genexp.bijections.bases import Normal
from genexp.bijections.numerical import ConvergenceError
from genexp.bijections.residual import Residual, log_det_plus_identity, series
from genexp.data.base import Batch, DataSpec
from genexp.models.flow import Flow
from genexp.nn.lipschitz import Linearised, SpectralLinear
from genexp.registry import models
from tests.laws.members import shaken


def block(dim: int = 4, **keys: float) -> Residual:
    torch.manual_seed(0)
    layer = shaken(Residual(dim, 0, width=8, **keys), 0.5)  # type: ignore[arg-type]
    with torch.no_grad():
        for linear in layer.g.layers:  # type: ignore[union-attr]
            linear.weight.add_(2 * torch.eye(*linear.weight.shape))  # so that J has a trace
    layer.initialise(torch.empty(0))  # type: ignore[operator]
    return layer  # type: ignore[return-value]


@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_it_is_a_contraction_as_strong_as_it_may_be(training: bool) -> None:
    layer = block(lipschitz=0.6).train(training)
    x = 3 * torch.randn(2000, 4, dtype=torch.float64)
    steepest = torch.linalg.matrix_norm(layer.g(x, layer.g.bounded()).jacobian(), 2).max()
    assert 0.2 < steepest <= 0.6
    for linear, weights in zip(layer.g.layers, layer.g.bounded(), strict=True):
        assert float(torch.linalg.matrix_norm(weights, 2)) == pytest.approx(min(0.6 ** (1 / 3), linear_norm(linear)), rel=1e-9)


def linear_norm(linear: SpectralLinear) -> float:
    return float(torch.linalg.matrix_norm(linear.weight.detach(), 2))


@pytest.mark.parametrize("shape", [(2, 16), (16, 2), (16, 16)])
@pytest.mark.parametrize("second", [0.0, 0.9, 0.99, 1.0])
@torch.no_grad()
def test_a_step_may_turn_the_weights_as_far_as_it_likes(shape: tuple[int, int], second: float) -> None:
    """From one leading direction to another, at right angles to the first, beside others nearly as long."""
    torch.manual_seed(0)
    rows, columns = (torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q for size in shape)
    linear = SpectralLinear(shape[1], shape[0], 0.9).double()
    for first in (0, 1):
        sizes = torch.full((min(shape),), 3 * second, dtype=torch.float64)
        sizes[first] = 3.0
        linear.weight.copy_(rows[:, : len(sizes)] @ torch.diag(sizes) @ columns[: len(sizes)])
        linear.follow()
        assert 3.0 * 0.995 <= float(linear.u @ linear.weight @ linear.v) <= 3.0 * (1 + 1e-9)
    linear.weight.copy_(linear.weight.flip(0, 1) * 2)
    assert float(torch.linalg.matrix_norm(linear.eval().bounded(), 2)) <= linear.most * (1 + 1e-9), (
        "evaluation does not wait for it"
    )


def test_the_jacobian_is_autograds_from_either_side() -> None:
    layer = block()
    x, w = torch.randn(3, 5, 4, dtype=torch.float64)[:2]
    g = layer.g(x, layer.g.bounded())
    true = torch.stack([torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0] - v, point) for point in x])
    assert torch.allclose(g.jacobian(), true)
    assert torch.allclose(g.tangent(w), (true @ w[..., None])[..., 0])
    assert torch.allclose(g.cotangent(w), (w[:, None] @ true)[:, 0])
    for dim in (1, 2, 4):
        small = true[:, :dim, :dim]
        assert torch.allclose(log_det_plus_identity(small), torch.linalg.slogdet(small + torch.eye(dim)).logabsdet)


@pytest.mark.parametrize("each", [False, True])
def test_roulette_is_right_in_the_mean_and_so_is_its_gradient(each: bool) -> None:
    """Within their own standard error, of two terms and then chance; without chance those two are far off."""
    torch.manual_seed(0)
    dim, draws, same = 4, 300, 40
    turned = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64)).Q
    weight = (0.3 * (torch.eye(dim) + turned)).requires_grad_()  # g(x) = Wx, ‖W‖ ≤ 0.6 < √½
    g = Linearised(torch.zeros(same, dim, dtype=torch.float64), [weight], [])
    exact = torch.linalg.slogdet(torch.eye(dim) + weight).logabsdet
    (slope,) = torch.autograd.grad(exact, weight)

    def estimates(roulette: float) -> tuple[Tensor, Tensor]:
        found = [series(g, 2, roulette, same if each else 1).mean() for _ in range(draws)]
        return torch.stack(found).detach(), torch.stack([torch.autograd.grad(value, weight)[0] for value in found])

    for estimated, cut, true in zip(estimates(0.5), estimates(0.0), (exact.detach(), slope), strict=True):
        error = estimated.std(0) / draws**0.5
        assert ((estimated.mean(0) - true).abs() <= 5 * error).all()
        assert ((cut.mean(0) - true).abs() > 5 * error).any()
        assert float(error.norm()) < 0.1 * float(true.norm())


@torch.no_grad()
def test_at_test_the_scatter_of_the_examples_says_how_far_their_mean_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """One draw of chance for all of them would leave the mean off by more than its standard error knows, here tenfold."""
    monkeypatch.setattr(residual, "TERMS_AT_TEST", 1)
    layer, n = block().eval(), 200
    layer.exact = False  # type: ignore[assignment]
    slopes = 0.5 + torch.rand(n, 1, dtype=torch.float64)
    g = Linearised(torch.zeros(n, 4, dtype=torch.float64), [torch.eye(4, dtype=torch.float64) / 2] * 2, [slopes])
    found = torch.stack([layer.log_det(g) for _ in range(200)])  # type: ignore[operator]
    exact = 4 * (slopes[:, 0] / 4).log1p()
    assert ((found.mean(0) - exact).abs() <= 5 * found.std(0) / 200**0.5).all(), "each example's own"
    scatter = (found - exact).var(1).mean() / n
    assert float(found.mean(1).var() / scatter) == pytest.approx(1, abs=0.6)


@pytest.mark.parametrize(("training", "known"), [(True, 0.5 - 0.5**2 / 2), (False, math.log(1.5))])
@torch.no_grad()
def test_without_roulette_two_terms_in_training_and_twenty_at_test(training: bool, known: float) -> None:
    """Of J = I/2, of which each probe tells the trace exactly."""
    layer = block(roulette=0.0).train(training)
    layer.exact = False  # type: ignore[assignment]
    g = Linearised(torch.zeros(3, 4, dtype=torch.float64), [torch.eye(4, dtype=torch.float64) / 2], [])
    for _ in range(8):
        assert layer.log_det(g).tolist() == pytest.approx([4 * known] * 3, abs=1e-6)  # type: ignore[operator]


def test_the_gradient_of_the_norm_in_training_is_that_of_the_exact_one() -> None:
    linear = block(lipschitz=0.6).g.layers[1]
    by = torch.randn_like(linear.weight)
    one, other = (torch.autograd.grad((linear.train(way).bounded() * by).sum(), linear.weight)[0] for way in (True, False))
    assert torch.allclose(one, other)


def test_an_inverse_that_is_none_is_an_error_with_its_residual_and_its_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = block(lipschitz=0.9)
    z = torch.randn(5, 4, dtype=torch.float64)
    monkeypatch.setattr(residual, "MOST_ITERATIONS", 3)
    with pytest.raises(ConvergenceError, match=r"residual of \d\.\de-\d\d after 3 iterations"):
        layer.inverse(z)
    monkeypatch.undo()
    with torch.no_grad():
        for linear in layer.g.layers:
            linear.most = 3.0  # no contraction any more
            linear.weight.mul_(3 / linear_norm(linear))
    with pytest.raises(ConvergenceError, match="not found"):
        layer.inverse(z)


def flow(dim: int) -> Flow:
    torch.manual_seed(0)
    return models.build({"name": "residual_flow", "depth": 2, "width": 8}, DataSpec((dim,), kind="real"))


def test_one_estimate_among_exact_bijections_makes_the_likelihood_one() -> None:
    layers = [Residual(10, 0, width=8), Residual(10, 1, width=8)]
    for exact in (True, False):
        layers[0].exact, layers[1].exact = True, exact
        assert ({"exact", "estimate"} & Flow(10, [*layers], Normal(10), True).can) == {"exact" if exact else "estimate"}


@pytest.mark.parametrize("dim", [2, 10])
def test_training_follows_the_singular_vectors_and_evaluation_leaves_no_trace(dim: int) -> None:
    model, x = flow(dim), torch.randn(64, dim)
    assert ("exact" in model.can) == (dim == 2)
    before = copy.deepcopy(model.state_dict())
    model.eval().loss(Batch(x))
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())
    model.train()
    for _ in range(20):
        gradients = torch.autograd.grad(model.loss(Batch(x))["loss"], [*model.parameters()])
        with torch.no_grad():
            for weights, gradient in zip(model.parameters(), gradients, strict=True):
                weights.sub_(0.2 * gradient)
    linear = model.bijections[0].g.layers[1]
    assert not torch.equal(linear.u, before["bijections.0.g.layers.1.u"])
    assert float(linear.u @ linear.weight.detach() @ linear.v) == pytest.approx(linear_norm(linear), rel=0.02)
