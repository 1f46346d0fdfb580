"""Numerical inverses: against roots that are known, and an error where there is none."""

import pytest
import torch
from torch import Tensor

from genexp.bijections.numerical import ConvergenceError, bisection, fixed_point, newton, safeguarded_newton
from genexp.errors import UserError

ROOTS = torch.tensor([-30.0, -1.0, -1e-9, 0.0, 0.3, 2.0, 50.0], dtype=torch.float64)
BOUND = torch.full_like(ROOTS, 1000.0)


def steep(x: Tensor) -> Tensor:
    return x + 100 * torch.tanh(20 * x + 3)


def with_slope(x: Tensor) -> tuple[Tensor, Tensor]:
    return steep(x), 1 + 2000 * (1 - torch.tanh(20 * x + 3).square())


def test_monotone_roots_are_found_and_their_residual_is_told() -> None:
    y = steep(ROOTS)
    for found in (bisection(steep, y, -BOUND, BOUND), safeguarded_newton(with_slope, y, -BOUND, BOUND)):
        assert torch.allclose(found.x, ROOTS, atol=1e-10)
        assert torch.equal(found.residual, (steep(found.x) - y).abs())
        assert (found.residual <= 2e-12 * y.abs().clamp_min(1)).all()
        assert 1 < found.iterations < 120


def test_a_root_carries_derivatives() -> None:
    y = steep(ROOTS).requires_grad_()
    (slope,) = torch.autograd.grad(safeguarded_newton(with_slope, y, -BOUND, BOUND).x.sum(), y)
    assert torch.allclose(slope, 1 / with_slope(ROOTS)[1])


def test_maps_of_vectors_are_inverted() -> None:
    torch.manual_seed(0)
    mixing = 0.6 * torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64)).Q
    x = 3 * torch.randn(50, 4, dtype=torch.float64)
    y = x + torch.tanh(x @ mixing)
    contracting = fixed_point(lambda v: y - torch.tanh(v @ mixing), y, most=200)
    by_newton = newton(lambda v: v + torch.tanh(v @ mixing), y, y)
    assert torch.allclose(contracting.x, x, atol=1e-10)
    assert torch.allclose(by_newton.x, x, atol=1e-10)
    assert by_newton.iterations < 12 < contracting.iterations
    assert max(found.residual.max() for found in (contracting, by_newton)) <= 1e-10


def test_newtons_steps_are_halved_where_they_overshoot() -> None:
    y = torch.zeros(1, 1, dtype=torch.float64)
    assert newton(torch.atan, y, torch.full_like(y, 10.0)).x.abs() < 1e-10  # undamped, it diverges from 1.4


def test_what_does_not_converge_is_an_error_and_no_sample() -> None:
    y, one = torch.zeros(3, 1, dtype=torch.float64), torch.ones(3, 1, dtype=torch.float64)
    assert issubclass(ConvergenceError, UserError)
    attempts = (
        lambda: bisection(lambda x: x + 5, y, -one, one),
        lambda: bisection(lambda x: torch.where(x < 0.3, -1.0, 1.0) + x, y, -one, one),  # it leaps over zero
        lambda: bisection(lambda x: x * torch.nan, y, -one, one),
        lambda: safeguarded_newton(lambda x: (x + 5, one), y, -one, one),
        lambda: safeguarded_newton(lambda x: (x * torch.nan, one), y, -one, one),
        lambda: fixed_point(lambda x: 2 * x, one, most=50),
        lambda: fixed_point(lambda x: x * torch.nan, one, most=50),
        lambda: fixed_point(lambda x: -x, one, most=50),
        lambda: newton(lambda x: x * x + 1, y, one),
        lambda: newton(lambda x: 0 * x + 1, y, one),
    )
    for attempt in attempts:
        with pytest.raises(ConvergenceError):
            attempt()
