"""Diffusion: predictions convert, scores are gradients, samplers have their order, the bound and guidance are what they say."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from scipy import integrate
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.diffusion.base import DiffusionSampler, Noise, Schedule, guidances, predictions, samplers, schedules
from genexp.diffusion.bound import negative_bound
from genexp.diffusion.exact import NoisyMixture, gaussian_std
from genexp.diffusion.flow import flow_samples, log_prob
from genexp.diffusion.predictions import noise_of, score_of
from genexp.diffusion.schedules import Exploding
from genexp.errors import UserError
from genexp.measures.diffusion import bures
from genexp.measures.guidance import log_tilted, log_z
from genexp.models import diffusion
from tests.parts import make

MIXTURE = NoisyMixture(
    torch.tensor([0.3, 0.7], dtype=torch.float64),
    torch.tensor([[-1.0, 0.2], [0.6, -0.4]], dtype=torch.float64),
    torch.tensor([[[0.3, 0.1], [0.1, 0.2]], [[0.15, 0.0], [0.0, 0.4]]], dtype=torch.float64),
)
LINE = NoisyMixture(
    torch.tensor([0.4, 0.6], dtype=torch.float64),
    torch.tensor([[-1.2], [0.8]], dtype=torch.float64),
    torch.tensor([[[0.1]], [[0.25]]], dtype=torch.float64),
)
STD = 0.5


def sampler_of(name: str, **keys: Any) -> DiffusionSampler:
    return samplers.build({"name": name, **keys})


def schedule_of(name: str, **keys: Any) -> Schedule:
    return schedules.build({"name": name, **keys})


def cloud(n: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    m = 1.5 * torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return m, 0.05 + 2 * torch.rand(n, generator=generator, dtype=torch.float64)


# --- predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", predictions.names())
def test_what_the_network_says_and_the_denoised_point_follow_from_each_other(name: str) -> None:
    (m, tau), scale = cloud(), torch.tensor([0.7, 1.3], dtype=torch.float64)
    found, tau = predictions.build({"name": name}), tau[:, None]
    output = torch.sin(3 * m)
    assert torch.allclose(found.output(found.denoised(output, m, tau, scale), m, tau, scale), output)
    assert torch.allclose(found.denoised(found.output(m.flip(1), m, tau, scale), m, tau, scale), m.flip(1))


def test_predictions_are_what_their_names_say() -> None:
    """Of u and ε that are known, with α² + σ² = 1; and v is edm of unit scale, but for its sign."""
    (u, tau), noise, one = cloud(), torch.randn(40, 2).double(), torch.ones(2).double()
    tau = tau[:, None]
    m, alpha = u + tau * noise, 1 / (1 + tau**2).sqrt()
    told = {name: predictions.build({"name": name}).output(u, m, tau, one) for name in predictions.names()}
    assert torch.allclose(told["noise"], noise)
    assert torch.equal(told["data"], u)
    assert torch.allclose(told["v"], alpha * noise - alpha * tau * u)
    assert torch.allclose(told["score"], -noise)
    assert torch.allclose(told["edm"], -told["v"])


def test_a_silent_edm_network_is_exact_for_gaussian_data_and_of_unit_size_for_it() -> None:
    _, tau = cloud(20_000)
    tau, scale = tau[:, None], torch.tensor([0.4, 2.0], dtype=torch.float64)
    edm, u = predictions.build({"name": "edm"}), scale * torch.randn(20_000, 2).double()
    m = u + tau * torch.randn_like(u)
    assert torch.allclose(edm.denoised(0 * m, m, tau, scale), scale**2 / (scale**2 + tau**2) * m)
    target = edm.output(u, m, tau, scale)
    assert torch.allclose(target.square().mean(0), torch.ones(2).double(), atol=0.05)
    assert torch.allclose((target * m).mean(0), torch.zeros(2).double(), atol=0.05)


def test_the_score_is_the_gradient_of_the_exact_marginal() -> None:
    """Tweedie's formula against autograd, and the marginal against an independent formula."""
    m, tau = cloud()
    m.requires_grad_(True)
    (gradient,) = torch.autograd.grad(MIXTURE.log_prob(m, tau).sum(), m)
    denoised = MIXTURE.denoised(m, tau).detach()
    assert torch.allclose(score_of(denoised, m.detach(), tau[:, None]), gradient)
    assert torch.allclose(-noise_of(denoised, m.detach(), tau[:, None]) / tau[:, None], gradient)
    normal = torch.distributions.MultivariateNormal(MIXTURE.means, MIXTURE.covariances + 0.49 * torch.eye(2))
    true = (normal.log_prob(m.detach()[:, None]) + MIXTURE.weights.log()).logsumexp(1)
    assert torch.allclose(MIXTURE.log_prob(m.detach(), torch.full_like(tau, 0.7)), true)


# --- schedules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", schedules.names())
def test_a_schedule_goes_from_data_to_noise(name: str) -> None:
    schedule, s = schedule_of(name), torch.linspace(0, 1, 30, dtype=torch.float64)
    assert (schedule.tau(s).diff() > 0).all()
    assert schedule.ends[0] < 0.02
    assert schedule.ends[1] > 5
    rates, h = schedule.rates(s[1:-1]), 1e-6
    for rate, of in zip(rates, (schedule.alpha, schedule.sigma), strict=True):
        assert torch.allclose(rate, (of(s[1:-1] + h) - of(s[1:-1] - h)) / (2 * h), rtol=1e-5, atol=1e-7)
    grid = schedule.grid(7)
    assert len(grid) == 8
    assert (grid.diff() < 0).all()
    assert torch.allclose(grid[[0, -1]], torch.tensor([1.0, 0.0], dtype=torch.float64))
    kept = schedule.alpha(s) ** 2 + schedule.sigma(s) ** 2
    assert torch.allclose(kept, torch.ones_like(s)) == (name in ("linear", "cosine"))


def test_schedules_are_those_of_their_sources() -> None:
    s = torch.tensor([1.0], dtype=torch.float64)
    assert float(schedule_of("linear").alpha(s)) == pytest.approx(math.exp(-0.25 * (20 - 0.1) - 0.5 * 0.1), rel=1e-6)
    karras, u = schedule_of("karras", noise_range=[0.002, 80.0]), torch.tensor([0.5], dtype=torch.float64)
    assert isinstance(karras, Exploding)
    assert float(karras.levels(u)) == pytest.approx(((0.002 ** (1 / 7) + 80 ** (1 / 7)) / 2) ** 7)
    geometric = schedule_of("geometric", noise_range=[0.01, 100.0])
    assert isinstance(geometric, Exploding)
    assert float(geometric.levels(u)) == pytest.approx(1)
    with pytest.raises(UserError, match="noise_range"):
        schedule_of("cosine", noise_range=[1.0, 0.5])


# --- samplers --------------------------------------------------------------------------------------------------------


def by_hand(name: str, tau: list[float], std: float, ratio: float = 0.16) -> float:
    """The variance of samples of N(0, std²) by exact scores, step by step, in m: the recursions that a hand writes down."""
    variance = 1 + tau[0] ** 2
    for t, after in pairwise(tau):
        clean = std**2 / (std**2 + t**2)
        if name == "ddim":
            variance *= (clean + after / t * (1 - clean)) ** 2
        else:
            r = (after / t) ** 2
            variance = variance * (clean + r * (1 - clean)) ** 2 + after**2 * (1 - r)
        if name == "predictor_corrector":
            delta = 2 * (ratio * after) ** 2
            variance = variance * (1 - delta / (std**2 + after**2)) ** 2 + 2 * delta
    return variance * (std**2 / (std**2 + tau[-1] ** 2)) ** 2


@pytest.mark.parametrize("name", ["ddim", "ancestral", "predictor_corrector"])
def test_the_variance_of_gaussian_samples_is_the_one_in_closed_form(name: str) -> None:
    schedule = schedule_of("cosine")
    tau = schedule.tau(schedule.grid(9)).tolist()
    assert gaussian_std(sampler_of(name), schedule, STD, 9) ** 2 == pytest.approx(by_hand(name, tau, STD), rel=1e-9)


ORDERS = {"euler": 1, "ddim": 1, "heun": 2, "ancestral": 1, "euler_maruyama": 1}


@pytest.mark.parametrize("name", samplers.names())
@pytest.mark.parametrize("schedule", ["cosine", "straight"])
def test_samplers_have_their_weak_order(name: str, schedule: str) -> None:
    """Of the variance on Gaussian data, against what infinitely many steps make of it; ever nearer to the data."""
    found = schedule_of(schedule, noise_range=[0.05, 10.0])
    counts = (40, 80, 160)
    values = [gaussian_std(sampler_of(name), found, STD, steps) for steps in counts]
    if name == "predictor_corrector":  # the corrector's own error stays
        assert abs(values[2] - values[1]) < abs(values[1] - values[0])
        return
    ratio = (values[1] - values[0]) / (values[2] - values[1])
    assert math.log2(abs(ratio)) == pytest.approx(ORDERS[name], abs=0.25)
    assert values[-1] == pytest.approx(STD, rel=0.05)


def in_turn(draws: Tensor) -> Noise:
    """The given noises, (k, n, dim), one after the other."""
    waiting = iter(draws)
    return lambda m: next(waiting)


def test_euler_maruyama_has_strong_order_one_as_its_noise_does_not_depend_on_x() -> None:
    """The same Brownian paths in finer and finer steps: distances between the ends fall by half."""
    schedule, n, finest = schedule_of("cosine", noise_range=[0.05, 5.0]), 100, 128
    torch.manual_seed(0)
    increments = torch.randn(finest, n, 1, dtype=torch.float64)
    start, ends = schedule.start * torch.randn(n, 1, dtype=torch.float64), []
    for steps in (32, 64, 128):
        coarse = increments.unflatten(0, (steps, -1)).sum(1) / math.sqrt(finest // steps)
        walk = sampler_of("euler_maruyama").walk(LINE.denoised, start, schedule, steps, in_turn(coarse))
        ends.append(walk.m[-1])
    errors = [float((a - b).square().mean().sqrt()) for a, b in pairwise(ends)]
    for coarse_error, fine_error in pairwise(errors):
        assert math.log2(coarse_error / fine_error) == pytest.approx(1, abs=0.35)


@pytest.mark.parametrize("name", samplers.names())
def test_all_samplers_share_the_marginals_of_a_mixture(name: str) -> None:
    """By moments of the samples of exact scores, along the ODE and along the SDE."""
    schedule = schedule_of("cosine", noise_range=[0.01, 20.0])
    torch.manual_seed(1)
    start, sampler = schedule.start * torch.randn(2_000, 1, dtype=torch.float64), sampler_of(name)
    x = sampler.walk(LINE.denoised, start, schedule, 40).m[-1][:, 0]
    second = (LINE.weights * (LINE.means[:, 0] ** 2 + LINE.covariances[:, 0, 0])).sum()
    right = 0.6 * torch.special.ndtr(torch.tensor(0.8 / 0.5)) + 0.4 * torch.special.ndtr(torch.tensor(-1.2 / math.sqrt(0.1)))
    assert float(x.mean()) == pytest.approx(float((LINE.weights * LINE.means[:, 0]).sum()), abs=0.08)
    assert float(x.square().mean()) == pytest.approx(float(second), abs=0.08)
    assert float((x > 0).double().mean()) == pytest.approx(float(right), abs=0.04)


def test_as_many_evaluations_as_were_allowed() -> None:
    for name in samplers.names():
        sampler = sampler_of(name, evaluations=21)
        calls: list[int] = []

        def denoised(m: Tensor, tau: Tensor, calls: list[int] = calls) -> Tensor:
            calls.append(len(m))
            return 0 * m

        steps = sampler.steps(sampler.evaluations)
        walk = sampler.walk(denoised, torch.randn(3, 2), schedule_of("karras"), steps)
        assert len(calls) == 21
        assert walk.m.shape == (steps + 2, 3, 2)
        assert float(walk.tau[-1]) == 0
        assert not walk.m[-1].any()


# --- likelihoods -----------------------------------------------------------------------------------------------------


def test_the_flows_likelihood_is_that_of_the_mixture() -> None:
    u, ends = cloud(12)[0] / 1.5, (0.01, 1000.0)
    found = log_prob(MIXTURE.denoised, u, ends, 50)
    assert torch.allclose(found, MIXTURE.log_prob(u, torch.full((len(u),), 0.01)), atol=4e-3)
    torch.manual_seed(0)
    drawn = flow_samples(MIXTURE.denoised, torch.randn(500, 2, dtype=torch.float64), ends, 20)
    mean = (MIXTURE.weights[:, None] * MIXTURE.means).sum(0)
    assert torch.allclose(drawn.mean(0), mean, atol=0.15)


def sde_std(gain: float, std: float, ends: tuple[float, float]) -> float:
    """Of the reversed SDE with scores of N(0, std²) that are `gain` times as large: its variance
    obeys dV/dq = 2 g V/(s²+q) − 1 in q = τ², falling from τ₁².
    """
    low, high = (end**2 for end in ends)
    solved = integrate.solve_ivp(lambda q, v: 2 * gain * v / (std**2 + q) - 1, (high, low), [1 + high], rtol=1e-9, atol=1e-12)
    return math.sqrt(float(solved.y[0, -1]))


@pytest.mark.parametrize("gain", [1.0, 0.8, 1.3])
def test_the_bound_lies_below_the_sdes_likelihood_and_is_tight_for_exact_scores(gain: float) -> None:
    """Data N(0, s²) and scores `gain` times too large: the SDE's samples are Gaussian, of a variance that is known."""
    ends, std, n = (0.01, 30.0), 0.8, 4_000

    def denoised(m: Tensor, tau: Tensor) -> Tensor:
        return m - gain * tau[:, None] ** 2 * m / (std**2 + tau[:, None] ** 2)

    torch.manual_seed(0)
    u = std * torch.randn(n, 1, dtype=torch.float64)
    found = negative_bound(denoised, u, ends, 40)
    error = float(found.std()) / math.sqrt(n)
    width = math.hypot(sde_std(gain, std, ends), ends[0])
    nll = 0.5 * math.log(2 * math.pi * width**2) + float(u.square().mean()) / (2 * width**2)
    if gain == 1:
        assert float(found.mean()) == pytest.approx(nll, abs=4 * error + 2e-3)
        assert float(found.mean()) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * std**2), abs=0.05)
    else:
        assert float(found.mean()) > nll + 4 * error


def test_the_bound_pays_for_both_of_its_ends() -> None:
    """Of N(0, 1) it is tight for any range of noise levels, however much is left at their ends."""
    torch.manual_seed(0)
    u = torch.randn(4_000, 2, dtype=torch.float64)
    for ends in ((0.02, 1.0), (0.02, 8.0)):
        found = negative_bound(lambda m, tau: m / (1 + tau[:, None] ** 2), u, ends, 16)
        assert float(found.mean()) == pytest.approx(math.log(2 * math.pi * math.e), abs=0.05)


def test_the_bound_is_exact_point_by_point_for_exact_scores() -> None:
    torch.manual_seed(0)
    u = torch.tensor([[-1.0, 0.0], [1.5, 0.5]], dtype=torch.float64)
    found = negative_bound(MIXTURE.denoised, u.repeat(2_000, 1), (0.01, 50.0), 24).view(2_000, 2)
    true = -MIXTURE.log_prob(u, torch.full((2,), 1e-6))
    assert torch.allclose(found.mean(0), true, atol=0.06)


# --- the model -------------------------------------------------------------------------------------------------------


def small(spec: DataSpec, **keys: Any) -> Any:
    return make("diffusion", spec, field={"name": "modulated", "width": 16, "depth": 1}, **keys)


def test_a_model_of_gaussian_data_knows_them_before_it_has_learnt_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent network is exact: likelihood, bound, samples and velocity, in the units of the data."""
    torch.manual_seed(0)
    x = torch.tensor([3.0, -2.0]) + 0.5 * torch.randn(20_000, 2)
    monkeypatch.setattr(diffusion, "LIKELIHOOD_STEPS", 20)
    model = small(DataSpec((2,)), schedule={"name": "karras", "noise_range": [0.01, 40.0]})
    model.initialise(Batch(x))
    entropy = math.log(2 * math.pi * math.e * 0.25)
    assert float(-model.log_prob(x[:500]).mean()) == pytest.approx(entropy, abs=0.12)
    assert float(model.negative_bound(x[:4_000], 8).mean()) == pytest.approx(entropy, abs=0.12)
    drawn = model.sample(4_000)
    assert torch.allclose(drawn.mean(0), torch.tensor([3.0, -2.0]), atol=0.05)
    assert torch.allclose(drawn.std(0), torch.tensor([0.5, 0.5]), atol=0.06)
    t = torch.full((7,), 0.6)
    points = torch.randn(7, 2)
    mean = torch.tensor([3.0, -2.0])
    slope = (0.6 * 0.25 - 0.4) / (0.36 * 0.25 + 0.16)
    assert torch.allclose(model.velocity(points, t), mean + slope * (points - 0.6 * mean), atol=0.1)
    way = model.trajectory(torch.randn(500, 2), 5)
    assert torch.allclose(way[-1].mean(0), mean, atol=0.1)
    assert torch.allclose(way[2].mean(0), 0.5 * mean, atol=0.2)


@pytest.mark.parametrize("space", ["standard", "as_is"])
def test_points_on_their_way_are_as_wide_as_the_mixture_of_noise_and_data(space: str) -> None:
    """By the exact denoiser of N(0, ¼) each is √((1 − t)² + t²/4) times where it began, also beyond the largest noise level."""
    model = small(DataSpec((2,)), space=space, schedule={"name": "karras", "noise_range": [0.002, 10.0]})
    torch.manual_seed(0)
    x = torch.randn(4_000, 2)
    model.initialise(Batch(0.5 * (x - x.mean(0)) / x.std()))
    variance = 0.25 / float(model.space.units[1]) ** 2
    model.denoised = lambda m, tau, label=None: m * variance / (variance + tau[:, None] ** 2)
    x0, t = torch.randn(50, 2), torch.linspace(0, 1, 31)[:, None, None]
    assert torch.allclose(model.trajectory(x0, 31), x0 * ((1 - t) ** 2 + t**2 / 4).sqrt(), rtol=0.02, atol=0.005)


def test_units_go_where_the_model_goes() -> None:
    """Else points on a GPU meet a mean on the CPU."""
    for space in ("standard", "as_is"):
        mean, scale = small(DataSpec((2,)), space=space).double().space.units
        assert mean.dtype == scale.dtype == torch.float64


def test_along_the_sde_there_is_the_bound_and_no_likelihood() -> None:
    assert "exact" in small(DataSpec((2,))).can
    for name in samplers.names():
        can = small(DataSpec((2,)), sampler=name).can
        assert {"velocity", "diffusion"} <= can
        assert ("exact" in can) == (name in ("euler", "heun", "ddim"))
    assert "exact" not in small(DataSpec((2,)), prediction="data").can
    assert small(DataSpec((1, 8, 8), kind="unit"), space={"name": "principal", "components": 5}).can == {"sample", "diffusion"}
    with pytest.raises(UserError, match="learns points"):
        small(DataSpec((1, 8, 8), kind="unit"))
    with pytest.raises(UserError, match="classes"):
        small(DataSpec((2,)), guidance="classifier_free")


# --- guidance --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["classifier_free", "classifier"])
def test_guidance_adds_the_classifiers_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exact D of a mixture, and its exact classifier: both ways are D + w τ² ∇ ln p_τ(y|m)."""
    m, tau = cloud()
    label = torch.arange(40) % 2
    found = guidances.build({"name": name}, 2, 2)

    def plain(m: Tensor, tau: Tensor, condition: Tensor | None) -> Tensor:
        free = MIXTURE.denoised(m, tau)
        if condition is None:
            return free
        told = (condition[..., None] * MIXTURE.of_each(m, tau)).sum(1)
        return torch.where(condition.sum(1, keepdim=True) > 0, told, free)

    if name == "classifier":
        monkeypatch.setattr(found, "log_classes", lambda m, tau: MIXTURE.log_joint(m, tau).log_softmax(1))
    point = m.clone().requires_grad_(True)
    chosen = MIXTURE.log_joint(point, tau).log_softmax(1).gather(1, label[:, None]).sum()
    (gradient,) = torch.autograd.grad(chosen, point)
    for weight in (0.0, 1.0, 3.0):
        expected = MIXTURE.denoised(m, tau) + weight * tau[:, None] ** 2 * gradient
        assert torch.allclose(found.guided(plain, m, tau, label, weight), expected)
        assert torch.allclose(MIXTURE.guided(m, tau, label, weight), expected)
    assert torch.allclose(found.guided(plain, m, tau, None, 3.0), MIXTURE.denoised(m, tau))


def test_the_tilted_density_is_the_class_at_one_and_all_at_nought() -> None:
    u = cloud()[0]
    assert log_z(MIXTURE, 0.0).exp().tolist() == pytest.approx([1, 1], abs=1e-6)
    assert log_z(MIXTURE, 1.0).exp().tolist() == pytest.approx(MIXTURE.weights.tolist(), abs=1e-6)
    each = torch.distributions.MultivariateNormal(MIXTURE.means, MIXTURE.covariances).log_prob(u[:, None])
    assert torch.allclose(log_tilted(MIXTURE, u, 1.0) - log_z(MIXTURE, 1.0), each, atol=1e-6)


@pytest.mark.parametrize("std", [1.0, 0.02])
def test_the_integral_of_the_tilted_density_is_found_however_narrow_the_classes_are(std: float) -> None:
    """And wherever: that of p(u) p(y|u) is the share of the class."""
    means = torch.tensor([[-1.0, -1.0], [1.2, -1.0], [0.0, 12.0]], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    mixture = NoisyMixture(weights, means, std**2 * torch.eye(2, dtype=torch.float64).expand(3, 2, 2))
    assert log_z(mixture, 0.0).exp().tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    assert log_z(mixture, 1.0).exp().tolist() == pytest.approx(weights.tolist(), abs=1e-4)


def test_the_distance_of_gaussians() -> None:
    x = torch.randn(50_000, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([2.0, 0.5])
    covariance = torch.diag(torch.tensor([1.0, 1.0], dtype=torch.float64))
    assert bures(x, covariance) == pytest.approx(math.hypot(1, 0.5), abs=0.02)
