"""The uniform density over cells: every closed form against brute force."""

import math
from itertools import pairwise

import pytest
import torch

from genexp.data.cells import UniformCells
from tests.parts import corners


def fine_grid(cells: UniformCells, per_cell: int = 60) -> torch.Tensor:
    """Midpoints that fill every black cell evenly."""
    steps = (torch.arange(per_cell, dtype=torch.float64) + 0.5) / per_cell * cells.cell
    inside = torch.cartesian_prod(steps, steps)
    return torch.cat([inside + corner for corner in corners(cells).double()])


def brute_posterior(cells: UniformCells, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """E[y | x_t] and tr Cov(y | x_t) by summing over a fine grid of y."""
    y = fine_grid(cells)
    log_weight = -((x[:, None] - t[:, None, None] * y) ** 2).sum(2) / (2 * (1 - t[:, None]) ** 2)
    weight = torch.softmax(log_weight, dim=1)
    mean = weight @ y
    return mean, weight @ y.square().sum(1) - mean.square().sum(1)


def test_density_integrates_to_one(small_cells: UniformCells) -> None:
    line = (torch.arange(1200) + 0.5) / 600 - 1
    density = small_cells.log_prob(torch.cartesian_prod(line, line)).exp()
    assert float(density.sum() / 600**2) == pytest.approx(1, abs=5e-3)


def test_entropy_is_the_mean_surprise_of_samples(small_cells: UniformCells) -> None:
    x = small_cells.sample(1000, torch.Generator().manual_seed(0))
    assert small_cells.contains(x).all()
    assert float(-small_cells.log_prob(x).mean()) == pytest.approx(small_cells.entropy, abs=1e-6)


def test_samples_fill_the_black_cells_evenly(small_cells: UniformCells) -> None:
    x = small_cells.sample(60_000, torch.Generator().manual_seed(0))
    row, column, _ = small_cells.cells_of(x)
    counts = torch.bincount(row * 4 + column, minlength=12).reshape(3, 4)
    expected = 60_000 / int(small_cells.mask.sum())
    assert torch.equal(counts > 0, small_cells.mask)
    assert (counts[small_cells.mask] - expected).abs().max() < 5 * math.sqrt(expected)
    offset = (x - corners(small_cells)[0]) / small_cells.cell % 1
    assert torch.allclose(offset.mean(0), torch.tensor([0.5, 0.5]), atol=0.01)


def test_y_points_up(small_cells: UniformCells) -> None:
    upper_left, lower_left = torch.tensor([[-0.65, 0.45]]), torch.tensor([[-0.65, -0.35]])
    assert small_cells.contains(upper_left).item()
    assert not small_cells.contains(lower_left).item()


@pytest.mark.parametrize("t", [1e-4, 0.1, 0.5, 0.8, 0.95])
def test_posterior_moments_equal_brute_force(small_cells: UniformCells, t: float) -> None:
    torch.manual_seed(1)
    times = torch.full((40,), t, dtype=torch.float64)
    x = (1 - t) * torch.randn(40, 2, dtype=torch.float64) + t * small_cells.sample(40).double()
    mean, trace = brute_posterior(small_cells, x, times)
    posterior = small_cells.posterior(x, times)
    tolerance = 2e-5 if t < 0.9 else 2e-4  # of the brute force, whose grid is as fine as a tenth of the noise
    assert torch.allclose(posterior.mean, mean, atol=tolerance)
    assert torch.allclose(posterior.trace_cov, trace, atol=tolerance)


def test_optimal_velocity_is_the_conditional_mean_of_the_target(small_cells: UniformCells) -> None:
    """No field does better: moving v* in any direction raises E|v − (y − x₀)|²."""
    generator = torch.Generator().manual_seed(2)
    n = 40_000
    t = torch.rand(n, generator=generator, dtype=torch.float64).clamp(0.01, 0.99)
    x_0 = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    y = small_cells.sample(n, generator).double()
    x_t = (1 - t)[:, None] * x_0 + t[:, None] * y
    residual = y - x_0 - small_cells.optimal_velocity(x_t, t)
    for probe in (torch.ones_like(x_t), x_t, torch.sin(7 * x_t), t[:, None] * torch.cos(5 * x_t)):
        correlation = (residual * probe).mean()
        noise = (residual * probe).std() / math.sqrt(2 * n)
        assert correlation.abs() < 5 * noise


def test_irreducible_loss_is_what_the_optimal_field_pays(small_cells: UniformCells) -> None:
    generator = torch.Generator().manual_seed(3)
    n = 200_000
    t = torch.rand(n, generator=generator, dtype=torch.float64).clamp(1e-4, 1 - 1e-4)
    x_0 = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    y = small_cells.sample(n, generator).double()
    x_t = (1 - t)[:, None] * x_0 + t[:, None] * y
    squares = (y - x_0 - small_cells.optimal_velocity(x_t, t)).square().mean(1)
    paid, noise = float(squares.mean()), float(squares.std() / math.sqrt(n))
    assert small_cells.irreducible_loss(20_000) == pytest.approx(paid, abs=5 * noise + 2e-3)


def test_the_optimal_field_carries_noise_into_the_black_cells(small_cells: UniformCells) -> None:
    x = torch.randn(4000, 2, generator=torch.Generator().manual_seed(4))
    times = 1 - (1 - torch.linspace(0, 1, 26)) ** 2
    for now, then in pairwise(times):
        x = x + (then - now) * small_cells.optimal_velocity(x, now.expand(len(x)))
    assert small_cells.contains(x).double().mean() > 0.99


def test_far_from_everything_the_nearest_black_cell_attracts(small_cells: UniformCells) -> None:
    x, t = torch.tensor([[40.0, 40.0], [-0.95, -30.0]]), torch.tensor([0.9999, 0.999])
    mean = small_cells.posterior(x, t).mean
    corners = torch.tensor([[0.5, 0.5], [0.2, -0.4]], dtype=torch.float64)
    assert torch.allclose(mean, corners, atol=1e-3)


def test_no_black_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="black"):
        UniformCells(torch.zeros(3, 3, dtype=torch.bool), 0, 0, 1)


def test_the_extent_is_where_the_outermost_cells_end() -> None:
    cells = UniformCells(torch.ones(2, 3, dtype=torch.bool), -0.5, 1.0, 0.25)
    low, high = corners(cells).amin(0), corners(cells).amax(0) + 0.25
    assert cells.extent == (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
