"""The divergence from a uniform density, by points of the one and samples of the other, with less scatter than either's mean."""

import math

import pytest
import torch

from genexp.measures.steady import steadied


def trial(seed: int, ripple: float, leak: float, n: int = 400) -> tuple[float, float, float]:
    """KL(p ‖ q) of p = U(0, 1) and q = (1 − leak)(1 + ripple cos 2πx) there: found, its error, and the plain mean."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, generator=generator, dtype=torch.float64)
    log_ratio = torch.log((1 - leak) * (1 + ripple * torch.cos(2 * math.pi * x)))
    found, error = steadied(log_ratio, torch.rand(n, generator=generator) >= leak)
    return found, error, -float(log_ratio.mean())


@pytest.mark.parametrize(("ripple", "leak"), [(0.2, 0.0), (0.2, 0.02), (0.9, 0.3)])
def test_the_estimate_is_unbiased_and_knows_its_error(ripple: float, leak: float) -> None:
    exact = -math.log((1 - leak) * (1 + math.sqrt(1 - ripple**2)) / 2)  # the mean of ln(1 + a cos) is ln((1 + √(1−a²))/2)
    found, errors, plain = torch.tensor([trial(seed, ripple, leak) for seed in range(400)]).double().unbind(1)
    assert float((found.mean() - exact) / found.std() * 20) == pytest.approx(0, abs=3)
    assert float(errors.mean()) == pytest.approx(float(found.std()), rel=0.12)
    assert float(found.std()) < float(plain.std()) * 1.01 + 1e-3


def test_of_a_density_nearby_the_error_is_a_fraction() -> None:
    found, _, plain = torch.tensor([trial(seed, 0.2, 0.0) for seed in range(200)]).double().unbind(1)
    assert float(found.std()) < float(plain.std()) / 5


def test_of_the_density_itself_nothing_is_uncertain() -> None:
    assert steadied(torch.zeros(64).double(), torch.ones(64, dtype=torch.bool)) == (0.0, 0.0)
