"""Flow matching: the path, the field, the features and the sampler obey their equations."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.models.flow_matching import FlowMatching
from genexp.nn.feature_grids import Falloff, NoiseAwareFeatureGrids
from genexp.nn.fourier import HatFunctions, NoiseAwareFourierFeatures, random_frequencies
from genexp.samplers.ode import Solver, solvers, time_grids
from genexp.samplers.solvers import EULER, HEUN, MIDPOINT, RK4, fixed_steps
from genexp.velocity.base import Affine, fields, parametrisations, training_times
from genexp.velocity.likelihood import likelihood_times
from genexp.velocity.path import straight_path, stratified
from tests.parts import flow_matching

PLANE = DataSpec(shape=(2,))


def make(**keys: Any) -> FlowMatching:
    """A small model; `features` are its field, the parts by name or with settings."""
    torch.manual_seed(0)
    network = {"width": 16, "depth": 2, "num_frequencies": 8, "time_width": 8}
    return flow_matching(PLANE, keys.pop("features", "noise_aware"), network=network, **keys).double()


class Constant(torch.nn.Module):
    """A network that says the same everywhere, or what a function says."""

    def __init__(self, says: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.says = says
        self.somewhere = torch.nn.Parameter(torch.zeros(1))  # a model is on the device its parameters are on

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.says(x, t)


def test_the_velocity_is_the_time_derivative_of_the_path() -> None:
    x_0, y, t = torch.randn(50, 2).double(), torch.randn(50, 2).double(), torch.rand(50).double()
    path = straight_path(x_0, y, t)
    later, earlier = straight_path(x_0, y, t + 1e-6), straight_path(x_0, y, t - 1e-6)
    assert torch.allclose((later.x_t - earlier.x_t) / 2e-6, path.velocity, atol=1e-8)
    ends = straight_path(x_0, y, torch.zeros_like(t)).x_t, straight_path(x_0, y, torch.ones_like(t)).x_t
    assert torch.equal(ends[0], x_0)
    assert torch.equal(ends[1], y)


def test_a_silent_denoiser_is_exact_for_gaussian_data() -> None:
    """With F = 0 the velocity is E[y − x₀ | x_t] of y ~ N(0, s²I): Cov(y − x₀, x_t) / Var(x_t) · x_t."""
    model = make(parametrisation={"name": "denoiser", "data_scale": 0.3})
    model.field = Constant(lambda x, t: torch.zeros_like(x))
    x, t = torch.randn(20, 2, dtype=torch.float64), torch.rand(20, dtype=torch.float64)
    slope = (t * 0.3**2 - (1 - t)) / (t**2 * 0.3**2 + (1 - t) ** 2)
    assert torch.allclose(model.velocity(x, t), slope[:, None] * x)


def test_the_denoiser_is_karras_preconditioned_denoised_point() -> None:
    """v = (D − x)/(1−t) with D = c_skip m + c_out F, c_skip = s²/(s²+τ²), c_out = τs/√(s²+τ²), m = x/t."""
    model = make(parametrisation={"name": "denoiser", "data_scale": 0.46})
    x, t = torch.randn(30, 2, dtype=torch.float64), 0.05 + 0.9 * torch.rand(30, dtype=torch.float64)
    s, tau, m = 0.46, ((1 - t) / t)[:, None], x / t[:, None]
    network = model.field(x, t).detach()
    denoised = s**2 / (s**2 + tau**2) * m + tau * s / (s**2 + tau**2).sqrt() * network
    assert torch.allclose(model.velocity(x, t).detach(), (denoised - x) / (1 - t[:, None]), atol=1e-6)


@pytest.mark.parametrize("name", parametrisations.names())
def test_a_velocity_and_the_networks_output_follow_from_each_other(name: str) -> None:
    x, output, t = torch.randn(9, 2).double(), torch.randn(9, 2).double(), 0.05 + 0.9 * torch.rand(9).double()
    found: Affine = parametrisations.build({"name": name}).affine(t, torch.tensor(0.7).double())
    assert torch.allclose(found.output(found.velocity(output, x), x), output)
    h = 1e-6
    assert torch.allclose((found.velocity(output + h, x) - found.velocity(output, x)) / h, found.scale.expand(9, 2), atol=1e-6)
    assert torch.allclose(found.velocity(0 * x, x), found.skip * x)


@pytest.mark.parametrize("parametrisation", ["velocity", "denoiser"])
def test_the_loss_vanishes_for_the_right_velocity_only(parametrisation: str) -> None:
    """All data at one point c: v(x, t) = (c − x)/(1 − t) is exact and the loss is zero."""
    model = make(parametrisation=parametrisation, times="uniform")
    c = torch.tensor([0.3, -0.2], dtype=torch.float64)

    def exact(x: Tensor, t: Tensor) -> Tensor:
        return model.affine(t).output((c - x) / (1 - t)[:, None], x)

    model.field = Constant(exact)
    batch = Batch(c.expand(512, 2))
    assert float(model.loss(batch)["loss"]) < 1e-8
    assert float(model.validate(batch)["loss"]) < 1e-8
    model.field = Constant(lambda x, t: exact(x, t) + 0.1)
    assert float(model.loss(batch)["loss"]) == pytest.approx(0.01, rel=1e-3)


def test_validate_is_the_plain_loss_whatever_the_settings() -> None:
    """The network that makes both parametrisations the same velocity gets the same held-out loss from both."""
    batch = Batch(torch.randn(4000, 2, dtype=torch.float64) * 0.3)
    losses = []
    for parametrisation, sampling in (("velocity", "uniform"), ("denoiser", "log_noise")):
        model = make(parametrisation=parametrisation, times=sampling)

        def field(x: Tensor, t: Tensor, model: FlowMatching = model) -> Tensor:
            return model.affine(t).output(-x, x)  # v = −x

        model.field = Constant(field)
        torch.manual_seed(5)
        losses.append(float(model.validate(batch)["loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    torch.manual_seed(6)
    x_0, t = torch.randn_like(batch.x), torch.rand(4000, dtype=torch.float64)[:, None]
    by_hand = ((-((1 - t) * x_0 + t * batch.x) - (batch.x - x_0)) ** 2).mean()
    assert losses[0] == pytest.approx(float(by_hand), rel=0.1)


def test_noise_aware_features_are_the_mean_of_the_features_under_the_noise() -> None:
    features = NoiseAwareFourierFeatures(random_frequencies(2, 6, 1.0, "normal")).double()
    m, tau = torch.randn(3, 2, dtype=torch.float64), torch.tensor([0.02, 0.1, 0.3], dtype=torch.float64)
    noise = torch.randn(200_000, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    phase = 2 * math.pi * (m + tau[:, None] * noise) @ features.frequencies
    mean = torch.cat([phase.cos(), phase.sin()], dim=2).mean(0)
    assert torch.allclose(features(m, tau), math.sqrt(2) * mean, atol=0.01)


@pytest.mark.parametrize("damping", [0.3, 2.0])
def test_damping_scales_the_noise_that_the_features_see(damping: float) -> None:
    waves, m, tau = random_frequencies(2, 6, 3.0, "even"), torch.rand(9, 2), torch.linspace(0.01, 0.5, 9)
    ours, plain = NoiseAwareFourierFeatures(waves, damping), NoiseAwareFourierFeatures(waves, 1.0)
    assert torch.allclose(ours(m, tau), plain(m, damping * tau), atol=1e-6)
    assert not torch.allclose(ours(m, tau), plain(m, tau), atol=1e-2)
    grids = NoiseAwareFeatureGrids(3, 16, 2, damping)
    whole = NoiseAwareFeatureGrids(3, 16, 2, 1.0)
    whole.load_state_dict(grids.state_dict())
    assert torch.allclose(grids(m, tau), whole(m, damping * tau), atol=1e-6)
    assert not torch.allclose(grids(m, tau), whole(m, tau), atol=1e-3)


def test_even_frequencies_fill_the_disc_up_to_the_scale() -> None:
    length = random_frequencies(2, 1000, 8.0, "even").norm(dim=0)
    assert torch.equal((length / 8 * 1000).floor().sort().values, torch.arange(1000.0))
    normal = random_frequencies(2, 4000, 8.0, "normal")
    assert torch.allclose(normal.std(1), torch.tensor([8.0, 8.0]), rtol=0.05)


def test_hat_functions_interpolate() -> None:
    """Weights f(knot) on the hats give f at the knots, straight lines between them, and the ends beyond."""
    hats = HatFunctions(5, 0.0, 4.0)
    values = torch.tensor([3.0, -1.0, 2.0, 2.0, 5.0])
    x = torch.tensor([-9.0, 0.0, 0.5, 1.0, 3.25, 4.0, 7.0])
    assert torch.allclose(hats(x) @ values, torch.tensor([3.0, 3.0, 1.0, -1.0, 2.75, 5.0, 5.0]))
    assert torch.allclose(hats(x).sum(1), torch.ones(7))


def test_feature_grids_are_read_bilinearly_and_hold_their_edge() -> None:
    """One grid of four cells with values a + bx + cy + dxy at its nodes gives just that between them, x to the right."""
    grids = NoiseAwareFeatureGrids(levels=1, side=4, channels=1, damping=1.0).double()
    nodes = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def plane(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return 3 + 2 * x - 5 * y + 0.5 * x * y

    with torch.no_grad():
        grids.values[0].copy_(plane(nodes[None, :], nodes[:, None])[None, None])
        points = torch.rand(50, 2, dtype=torch.float64) * 2 - 1
        no_noise = torch.full((50,), 1e-9, dtype=torch.float64)
        assert torch.allclose(grids(points, no_noise)[:, 0], plane(*points.unbind(1)))
        assert torch.allclose(grids(3 * points, no_noise)[:, 0], plane(*(3 * points).clamp(-1, 1).unbind(1)))
        grids.cover(torch.tensor([[0.0, -4.0]]))
        assert torch.allclose(grids(4.2 * points, no_noise)[:, 0], plane(*points.unbind(1)))


def test_feature_grids_fall_silent_from_fine_to_coarse() -> None:
    """A level weighs what N(0, τ²) has within half a cell on either side: erf(h / (√8 τ)), τ times damping."""
    grids = NoiseAwareFeatureGrids(levels=3, side=64, channels=2, damping=0.7).double()
    grids.cover(torch.tensor([[2.0, 0.0]]))
    assert grids.cells.tolist() == [4, 16, 64]
    with torch.no_grad():
        for values in grids.values:
            values.fill_(1.0)
        tau = torch.tensor([1e-4, 0.05, 10.0], dtype=torch.float64)
        read = grids(torch.zeros(3, 2, dtype=torch.float64), tau)
    cell = 2 * 2.1 / torch.tensor([4, 4, 16, 16, 64, 64], dtype=torch.float64)
    within_half_a_cell = 2 * torch.special.ndtr(cell / 2 / (0.7 * tau[:, None])) - 1
    assert torch.allclose(read, within_half_a_cell)


def test_the_gain_of_a_grid_changes_how_fast_it_is_learnt_and_nothing_else() -> None:
    m, tau, found = torch.rand(5, 2), torch.full((5,), 0.01), []
    for gain in (1.0, 8.0):
        torch.manual_seed(0)
        grids = NoiseAwareFeatureGrids(levels=2, side=8, channels=2, damping=1.0, gain=gain)
        read = grids(m, tau)
        found.append((read.detach(), *torch.autograd.grad(read.sum(), [*grids.values])))
    assert torch.allclose(found[0][0], found[1][0])
    assert all(torch.allclose(8 * one, other) for one, other in zip(found[0][1:], found[1][1:], strict=True))


@pytest.mark.parametrize("name", ["noise_aware", "feature_grid"])
def test_features_are_read_at_the_point_that_the_noise_has_hidden(name: str) -> None:
    """At m = x/t, through noise of (1 − t)/t; grids reach a little beyond the data."""
    model, seen = flow_matching(DataSpec(shape=(2,)), name), []
    x, t = torch.randn(4, 2), torch.tensor([0.1, 0.5, 0.8, 0.99])
    y = 7 * torch.randn(50, 2)
    model.initialise(Batch(y))
    model.field.features.register_forward_pre_hook(lambda _, given: seen.extend(given))
    model.field(x, t)
    assert torch.allclose(seen[0], x / t[:, None])
    assert torch.allclose(seen[1], (1 - t) / t)
    if name == "feature_grid":
        assert float(model.field.features.reach) == pytest.approx(1.05 * float(y.abs().max()))


def test_the_gradient_of_a_point_reaches_the_nodes_around_it_alone() -> None:
    grids = NoiseAwareFeatureGrids(levels=2, side=32, channels=3, damping=1.0)
    grids(torch.tensor([[0.3, -0.2], [-0.7, 0.9]]), torch.tensor([0.01, 0.01])).sum().backward()
    for values in grids.values:
        assert values.grad is not None
        assert int((values.grad[0, 0] != 0).sum()) == 8


def test_a_gain_moves_what_is_read_and_not_where_it_begins() -> None:
    """At first the same values, whatever the gain; a step δ of a weight then moves its value by gain · δ."""
    m, tau = torch.rand(40, 2) - 0.5, torch.full((40,), 0.02)
    read = {}
    for gain in (1.0, 4.0):
        torch.manual_seed(3)
        grids = NoiseAwareFeatureGrids(levels=3, side=32, channels=2, damping=1.0, gain=gain)
        before = grids(m, tau)
        with torch.no_grad():
            for values in grids.values:
                values += 0.01
        read[gain] = before.detach(), (grids(m, tau) - before).detach()
    assert torch.allclose(read[1.0][0], read[4.0][0], atol=1e-6)
    assert torch.allclose(4 * read[1.0][1], read[4.0][1], atol=1e-6)


def test_waves_leave_the_slope_of_fine_grids_silent_in_wide_noise() -> None:
    """By erf the slope of what is read from a grid finer than the noise does not fall with its cells; by `wave` it is gone."""
    slope = {}
    for falloff in ("erf", "wave"):
        for side in (64, 256):
            torch.manual_seed(0)
            grids = NoiseAwareFeatureGrids(levels=1, side=side, channels=1, damping=1.0, falloff=falloff).double()
            m = (1.8 * torch.rand(4000, 2, dtype=torch.float64) - 0.9).requires_grad_(True)
            read = grids(m, torch.full((4000,), 0.3, dtype=torch.float64)).sum()
            slope[falloff, side] = float(torch.autograd.grad(read, m)[0].square().mean().sqrt())
    assert slope["erf", 256] == pytest.approx(slope["erf", 64], rel=0.1)
    assert slope["wave", 64] < 1e-9 * slope["erf", 64]
    cells = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)  # of the noise, in cells
    assert torch.allclose(grids.weight(cells * 2 / 256)[:, 0], torch.exp(-cells.square()))


@pytest.mark.parametrize("falloff", ["erf", "wave"])
def test_a_margin_of_cells_widens_coarse_grids_most(falloff: Falloff) -> None:
    """A grid of n cells over [−r, r] with a margin of k of these is one over [−r (1 + 2k/n), r (1 + 2k/n)] without."""
    m, tau = 3 * torch.randn(200, 2, dtype=torch.float64), torch.rand(200, dtype=torch.float64)
    torch.manual_seed(0)
    grids = NoiseAwareFeatureGrids(levels=2, side=16, channels=3, damping=0.7, falloff=falloff, margin=2.0).double()
    read = grids(m, tau).view(-1, 2, 3)
    for level, side in enumerate((4, 16)):
        alone = NoiseAwareFeatureGrids(levels=1, side=side, channels=3, damping=0.7, falloff=falloff).double()
        alone.values[0] = grids.values[level]
        alone.reach.copy_(1 + 2 * 2 / side)
        assert torch.allclose(read[:, level], alone(m, tau))


def test_feature_grids_cover_the_data() -> None:
    model = make(features="feature_grid")
    x = torch.randn(100, 2, dtype=torch.float64)
    model.initialise(Batch(x))
    assert float(model.field.features.reach) == pytest.approx(1.05 * float(x.abs().max()), rel=1e-6)


def test_feature_grids_are_for_the_plane() -> None:
    with pytest.raises(UserError, match="points of the plane"):
        flow_matching(DataSpec(shape=(3,)), "feature_grid")


@pytest.mark.parametrize("features", ["plain", "random", "noise_aware", "feature_grid"])
def test_every_network_answers_from_t_0_to_t_1(features: str) -> None:
    model = make(features=features)
    x = torch.randn(5, 2, dtype=torch.float64)
    for t in (0.0, 1e-6, 0.5, 1 - 1e-6, 1.0):
        velocity = model.velocity(x, torch.full((5,), t, dtype=torch.float64))
        assert velocity.shape == (5, 2)
        assert torch.isfinite(velocity).all()


def test_training_times_are_where_they_should_be() -> None:
    times = training_times.build({"name": "log_noise", "noise_range": (0.01, 1.0), "uniform_share": 0.25})
    t = times.draw(4000, torch.device("cpu"))
    assert t.shape == (4000,)
    assert 0 < t.min() < t.max() < 1
    log_tau = ((1 - t) / t).log()[1000:]
    assert log_tau.min() >= math.log(0.01) - 1e-4
    assert log_tau.max() <= 1e-4
    assert float(log_tau.mean()) == pytest.approx(math.log(0.01) / 2, abs=0.01)  # stratified: far tighter than 1/√n
    assert float(t[:1000].mean()) == pytest.approx(0.5, abs=1e-3)


def test_a_range_of_noise_that_ends_before_it_begins_is_refused() -> None:
    for registry, name, key in ((training_times, "log_noise", "noise_range"), (time_grids, "log_noise", "grid_range")):
        with pytest.raises(UserError, match=rf"{key}=\[2, 1\]: the first must be less than the second"):
            registry.build({"name": name, key: (2.0, 1.0)})


def test_stratified_numbers_fall_one_in_each_interval() -> None:
    u = stratified(100, torch.device("cpu"))
    assert torch.equal((u * 100).floor().long(), torch.arange(100))


METHODS = {"euler": EULER, "midpoint": MIDPOINT, "heun": HEUN, "rk4": RK4}
UNIFORM = {"name": "uniform"}


def solver(name: str, **keys: Any) -> Solver:
    """With uniform steps, where nothing else is said and it takes any."""
    grid = {"time_grid": UNIFORM} if "time_grid" in solvers.parts(name) else {}
    return solvers.build({"name": name, **grid, **keys})


@pytest.mark.parametrize("name", ["euler", "midpoint", "heun", "rk4"])
def test_solvers_converge_with_the_order_that_they_declare(name: str) -> None:
    """dx/dt = −2t x² has x(t) = 1/(1 + t²) from x(0) = 1: halving the step divides the error by 2^order, both ways in time."""
    found = solver(name)
    for ends, end in (((0.0, 1.0), 0.5), ((1.0, 0.0), 1.0)):
        x_0 = torch.full((1, 2), 1.5 - end, dtype=torch.float64)
        errors = []
        for steps in (20, 40):
            times = torch.linspace(*ends, steps + 1, dtype=torch.float64)
            errors.append(float((found.solve(lambda x, t: -2 * t[:, None] * x**2, x_0, times)[-1] - end).abs().max()))
        assert math.log2(errors[0] / errors[1]) == pytest.approx(found.order, abs=0.35)


def test_adaptive_steps_keep_to_their_tolerance_and_know_the_way_back() -> None:
    x_0, times = torch.ones(3, 2, dtype=torch.float64), torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    errors = []
    for tolerance in (1e-2, 1e-5):
        path = solver("dopri5", tolerance=tolerance).solve(lambda x, t: -2 * t[:, None] * x**2, x_0, times)
        errors.append(float((path - 1 / (1 + times**2)[:, None, None]).abs().max()))
        assert errors[-1] < tolerance
    assert errors[1] < errors[0] / 10
    end = solver("dopri5").solve_closely(lambda x, t: -2 * t[:, None] * x**2, x_0 / 2, times.flip(0), 1)[-1]
    assert torch.allclose(end, x_0, atol=1e-4)


@pytest.mark.parametrize("name", ["euler", "midpoint", "heun", "rk4"])
def test_a_likelihood_is_of_order_four_whatever_the_method(name: str) -> None:
    x_0, errors = torch.full((1, 2), 0.5, dtype=torch.float64), []
    for steps in (20, 40):
        times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
        end = solver(name).solve_closely(lambda x, t: -2 * t[:, None] * x**2, x_0, times, 1)[-1]
        errors.append(float((end - 1).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.35)


def test_a_likelihood_by_adaptive_steps_is_closer_than_samples_and_the_closer_the_more_it_is_refined() -> None:
    x_0, times = torch.full((1, 2), 0.5, dtype=torch.float64), torch.tensor([1.0, 0.0], dtype=torch.float64)
    calls: list[int] = []

    def field(x: Tensor, t: Tensor) -> Tensor:
        calls[-1] += 1
        return -2 * t[:, None] * x**2

    for follow in (lambda of: of.solve(field, x_0, times), *(partial(closely, field, x_0, times, by) for by in (1, 16))):
        calls.append(0)
        follow(solver("dopri5", tolerance=1e-2))
    assert calls[0] < calls[1] < calls[2]


def closely(field: Any, x: Tensor, times: Tensor, refinement: int, by: Solver) -> Tensor:
    return by.solve_closely(field, x, times, refinement)


def test_noise_levels_within_the_range_of_the_knots_are_told_apart_and_others_are_not() -> None:
    torch.manual_seed(0)
    times = 1 / (1 + torch.tensor([2e-4, 5e-4]))
    for low, apart in ((1e-4, True), (1e-3, False)):
        field = fields.build({"name": "feature_grid", "side": 8, "knot_range": (low, 3.0)}, 2)
        first, second = field.noise_level(((1 - times) / times).log())
        assert torch.equal(first, second) != apart


def test_a_field_knows_the_finest_noise_that_it_was_trained_at() -> None:
    assert training_times.build({"name": "log_noise", "noise_range": (0.01, 1.0)}).finest == 0.01


@pytest.mark.parametrize(("name", "gain"), [("euler", 0), ("midpoint", 1 / 4), ("heun", 1 / 2), ("rk4", 1 / 3)])
def test_one_step_of_each_solver_is_its_own_formula(name: str, gain: float) -> None:
    """dx/dt = t² in a single step: f(0), f(½), (f(0) + f(1))/2, (f(0) + 3f(⅓) + 3f(⅔) + f(1))/8."""
    x_0, times = torch.zeros(3, 2, dtype=torch.float64), torch.tensor([0.0, 1.0], dtype=torch.float64)
    x = fixed_steps(lambda x, t: t[:, None].square().expand_as(x), x_0, times, METHODS[name])[-1]
    assert torch.allclose(x, torch.full_like(x, gain))


@pytest.mark.parametrize("name", [*METHODS])
def test_with_the_exact_field_of_one_point_the_default_grid_ends_at_it(name: str) -> None:
    c = torch.tensor([0.3, -0.2])
    model = make(solver=name).float()
    model.velocity = lambda x, t: (c - x) / (1 - t)[:, None]
    assert torch.allclose(model.sample(50), c.expand(50, 2), atol=1e-6)
    assert torch.allclose(model.trajectory(torch.randn(50, 2), frames=4)[-1], c.expand(50, 2), atol=1e-6)


@pytest.mark.parametrize("noise_range", [(3e-3, 1.0), (2e-3, 0.3), (1e-5, 0.1)])
@pytest.mark.parametrize("steps", [64, 256])
def test_the_likelihoods_grid_reaches_down_to_where_the_field_was_trained(noise_range: tuple, steps: int) -> None:
    """From the data to the noise, with steps that are even in ln τ over all that was seen in training."""
    times = likelihood_times(noise_range[0], steps, torch.device("cpu"))
    assert times[0] == 1
    assert times[-1] == 0
    assert (times.diff() < 0).all()
    assert len(times) == pytest.approx(steps, abs=2)
    tau = ((1 - times) / times)[1:-1]
    assert tau[0] <= noise_range[0]
    assert float(tau[tau < 10].log().diff().max()) < 2 * math.log(20 / noise_range[0]) / steps


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_the_scale_of_the_data_is_measured_around_their_mean(dim: int) -> None:
    model = flow_matching(DataSpec(shape=(dim,)))
    model.initialise(Batch(3 + 0.3 * torch.randn(20_000, dim, generator=torch.Generator().manual_seed(0))))
    assert float(model.data_scale) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("name", [*METHODS, "dopri5"])
def test_sampling_spends_the_evaluations_it_was_given(name: str) -> None:
    model = make(solver={"name": name, **({"evaluations": 24} if name in METHODS else {})}).float()
    calls = []
    field = model.field
    model.field = Constant(lambda x, t: calls.append(1) or field(x, t))
    x = model.sample(7)
    assert x.shape == (7, 2)
    assert torch.isfinite(x).all()
    assert 20 < len(calls) <= 24 or name == "dopri5"


@pytest.mark.parametrize("grid", time_grids.names())
def test_time_grids_go_from_0_to_1(grid: str) -> None:
    for evaluations in (1, 2, 3, 50):
        times = solver("euler", evaluations=evaluations, time_grid={"name": grid}).times(torch.device("cpu"))
        assert times[0] == 0
        assert times[-1] == 1
        assert (times.diff() > 0).all()
        assert len(times) == evaluations + 1


def test_the_exact_gaussian_field_samples_the_gaussian() -> None:
    model = make(parametrisation={"name": "denoiser", "data_scale": 0.3}, solver={"name": "heun", "evaluations": 200}).float()
    model.field = Constant(lambda x, t: torch.zeros_like(x))
    torch.manual_seed(0)
    x = model.sample(20_000)
    assert torch.allclose(x.std(0), torch.tensor([0.3, 0.3]), rtol=0.03)


def test_a_trajectory_starts_at_the_noise_and_ends_at_the_sample() -> None:
    model = make(solver={"name": "heun", "evaluations": 20}).float()
    x_0 = torch.randn(10, 2)
    trajectory = model.trajectory(x_0, frames=11)
    assert trajectory.shape == (11, 10, 2)
    assert torch.equal(trajectory[0], x_0)
    assert len({float(frame.sum()) for frame in trajectory}) == 11  # every frame moves


@pytest.mark.parametrize("name", ["noise_aware", "feature_grid"])
def test_a_field_at_one_time_for_all_is_the_field_at_each_points_time(name: str) -> None:
    """A solver's time is one number, spread over the points; what depends on it alone is found once."""
    torch.manual_seed(0)
    field = fields.build({"name": name}, 2).double()
    for weights in field.parameters():
        torch.nn.init.normal_(weights, std=0.1)
    x, t = torch.randn(7, 2, dtype=torch.float64), torch.tensor(0.8, dtype=torch.float64)
    assert torch.allclose(field(x, t.expand(7)), field(x, t.repeat(7)), rtol=1e-12)
    assert not torch.allclose(field(x, t.expand(7)), field(x, t.repeat(7) - 0.1))
    assert field(x[:1], t.expand(1)).shape == (1, 2)


def test_samples_along_the_likelihoods_steps_are_of_that_density() -> None:
    """Of a field that ends sharply: the mean of ln p over them is the entropy that a fine histogram of them has."""
    torch.manual_seed(0)
    model = make().float()
    model.velocity = lambda x, t: x * (t / (1 - t + 1e-2))[:, None].clamp(max=3)
    x = model.sample_closely(20_000, 1)
    scale = float(x.std())  # a linear flow: Gaussian
    expected = -(1 + math.log(2 * math.pi) + 2 * math.log(scale))
    assert float(model.log_prob(x[:4000]).mean()) == pytest.approx(expected, abs=0.05)
