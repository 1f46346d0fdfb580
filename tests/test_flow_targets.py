"""The mean velocity by counted points is the optimal field."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.data.cells import UniformCells
from genexp.data.qr import QR
from genexp.errors import UserError
from genexp.fit.gradient import Gradient
from genexp.settings import TrainerSettings
from genexp.velocity.base import targets
from genexp.velocity.path import PathSample, straight_path
from tests.parts import flow_matching


def counted(points: Tensor, **settings: int) -> torch.nn.Module:
    target = targets.build({"name": "counted", **settings}, 2).double()
    target.initialise(points)
    return target


def noise_seen(target: torch.nn.Module, y: Tensor, tau: float) -> tuple[Tensor, PathSample]:
    """E[x₀ | x_t] = x_t − t v of the target, at points of paths to y with noise τ."""
    path = straight_path(torch.randn_like(y), y, torch.full((len(y),), 1 / (1 + tau), dtype=y.dtype))
    return path.x_t - path.t[:, None] * target(path, y), path


@pytest.mark.parametrize("tau", [0.02, 0.033, 0.05, 0.1, 0.3, 1.0, 30.0])
def test_the_mean_is_that_of_gaussian_data(tau: float) -> None:
    """y ~ N(0, s²I): E[x₀|m] = τ m / (s² + τ²), to the scatter of the points that are counted within the noise."""
    torch.manual_seed(0)
    y = 0.4 * torch.randn(60_000, 2, dtype=torch.float64)
    found, path = noise_seen(counted(y), y[:2000], tau)
    m = path.x_t / path.t[:, None]
    error = (found - tau * m / (0.4**2 + tau**2)).square().mean()
    inside = min(1.0, 2 * tau**2 / 0.4**2) * len(y)  # about as many points are averaged in the middle, fewer at the rim
    assert float(error) < 12 / inside + 2e-4


def test_the_blur_of_a_bin_is_taken_off_the_noise() -> None:
    """Of y ~ N(0, s²I) and bins as wide as the noise, h ≈ τ, E[x₀|m] has the slope τ/(s² + τ²): 6 % off without h²/12."""
    torch.manual_seed(0)
    spread, tau = 0.02, 0.0325
    y = spread * torch.randn(200_000, 2, dtype=torch.float64)
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)  # so that the widest bins are 2.04/64 wide
    found, path = noise_seen(counted(torch.cat([y, corners])), y[:20_000], tau)
    m = path.x_t / path.t[:, None]
    assert float((found * m).sum() / m.square().sum()) == pytest.approx(tau / (spread**2 + tau**2), rel=0.015)


@pytest.mark.parametrize("tau", [0.01, 0.06])
def test_the_mean_is_the_optimal_field_of_a_board_and_has_no_noise(tau: float) -> None:
    torch.manual_seed(1)
    board = UniformCells(torch.eye(4, dtype=torch.bool), -1.0, 1.0, 0.5)
    target = counted(board.sample(300_000).double())
    y = board.sample(1000).double()
    found, path = noise_seen(target, y, tau)
    exact = path.x_t - path.t[:, None] * board.optimal_velocity(path.x_t, path.t)
    drawn = path.x_t - path.t[:, None] * path.velocity
    assert float((found - exact).square().mean()) < 0.02
    assert float((drawn - exact).square().mean()) > 0.5


def test_a_point_that_was_not_met_is_known_by_what_was() -> None:
    """The answer is a mean over all points, whose own sample is one of them."""
    y = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    target = counted(y.repeat(500, 1))
    found, _ = noise_seen(target, y[:1], 0.5)
    assert torch.isfinite(found).all()
    before = float(target.counts.sum())
    noise_seen(target, y, 0.5)
    assert float(target.counts.sum()) == before + 2 * len(target.side)


def test_what_was_counted_is_stored_with_the_model() -> None:
    torch.manual_seed(0)
    y = torch.randn(3000, 2, dtype=torch.float64) + 5
    target, other = counted(y), targets.build({"name": "counted"}, 2).double()
    other.load_state_dict(target.state_dict())
    _, path = noise_seen(target, y[:100], 0.3)
    other.meet(y[:100])  # type: ignore[operator]
    assert torch.equal(other(path, y), target(path, y))
    assert not torch.equal(target(path, y), path.velocity)


def test_as_many_points_as_are_asked_for_teach_from_the_first_step() -> None:
    """All of them are counted, in every level, whatever part of them is counted at once; and more of them err less."""
    data, errors = QR(Path()), {}
    for asked in (0, 200_000):
        model = flow_matching(data.spec, target={"name": "counted", "first_look": asked})
        Gradient(model, data, TrainerSettings(max_steps=1), 0).begin(new=True)
        assert float(model.target.counts.sum()) == max(asked, 16_384) * len(model.target.side)
        torch.manual_seed(0)
        y = data.density.sample(4000)
        path = straight_path(torch.randn_like(y), y, torch.full((len(y),), 1 / 1.02))
        exact = data.density.optimal_velocity(path.x_t, path.t)
        errors[asked] = float((model.target(path, y) - exact).square().mean())
    assert errors[200_000] < errors[0] / 4


def test_noise_finer_than_the_bins_gets_the_sample() -> None:
    y = torch.rand(200, 2, dtype=torch.float64)
    target = counted(y, side=64)
    path = straight_path(torch.randn_like(y), y, torch.full((200,), 1 / (1 + 1e-3), dtype=torch.float64))
    assert torch.equal(target(path, y), path.velocity)


def test_any_time_and_any_place_get_a_number() -> None:
    y = torch.rand(50, 2, dtype=torch.float64)
    target = counted(y, side=64)
    for t in (0.0, 1e-7, 0.5, 1 - 1e-9, 1.0):
        time = torch.full((50,), t, dtype=torch.float64)
        for x_t in (y, 1e3 * (y - 0.5)):
            assert torch.isfinite(target(PathSample(x_t, time, y), y)).all(), t


def test_counted_points_are_for_the_plane() -> None:
    with pytest.raises(UserError, match="points of the plane"):
        flow_matching(DataSpec(shape=(3,)), target="counted")


def test_both_targets_have_one_gradient_on_average() -> None:
    """∇E|F − sample|² = ∇E|F − mean|²: the average over many draws is the same, and scatters less."""
    torch.manual_seed(0)
    y = 0.5 * torch.randn(20_000, 2)
    slopes = {}
    for name in targets.names():
        torch.manual_seed(2)
        model = flow_matching(DataSpec(shape=(2,)), network={"activation": "silu"}, target=name, times="uniform")
        model.initialise(Batch(y))
        found = []
        for draw in range(30):
            torch.manual_seed(draw)
            model.zero_grad()
            model.loss(Batch(y[500 * draw : 500 * draw + 500]))["loss"].backward()
            found.append(model.field.trunk.out.weight.grad.flatten().clone())
        slopes[name] = torch.stack(found)
    mean, spread = slopes["sample"].mean(0), slopes["sample"].std(0)
    assert float(((slopes["counted"].mean(0) - mean) / spread * math.sqrt(30)).abs().mean()) < 1.5
    assert float(slopes["counted"].std(0).mean()) < 0.8 * float(spread.mean())


@pytest.mark.parametrize("tau", [0.1, 0.15, 0.2, 0.3])
def test_wide_noise_is_seen_right_where_it_carries_points_beyond_the_data(tau: float) -> None:
    """Stripes narrower than the noise: bins as wide as it is get their outline wrong, by more than 0.002 in the mean square."""
    torch.manual_seed(2)
    stripes = UniformCells(torch.arange(25).remainder(2)[None].eq(0).repeat(25, 1), -0.77, 0.77, 1.54 / 25)
    target = counted(stripes.sample(400_000).double())
    found, path = noise_seen(target, stripes.sample(4000).double(), tau)
    exact = path.x_t - path.t[:, None] * stripes.optimal_velocity(path.x_t, path.t)
    assert float((found - exact).square().mean()) < 2e-4


def test_counts_of_runs_that_had_coarser_bins_too_are_still_read() -> None:
    target = counted(torch.randn(1000, 2, dtype=torch.float64), side=128)
    stored = target.state_dict()
    again = targets.build({"name": "counted", "side": 128}, 2).double()
    again.load_state_dict(stored | {"counts": torch.cat([torch.full((11**2 + 16**2,), 7.0).double(), stored["counts"]])})
    assert torch.equal(again.counts, target.counts)
