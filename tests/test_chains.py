"""Markov chains: what their kernels leave as it is, how the step size is found, the numbers, and whole runs."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.config.composition import compose
from genexp.context import Context
from genexp.data.banana import BentGaussian
from genexp.data.base import Batch, DataSpec
from genexp.data.double_well import DoubleWell
from genexp.data.gmm40 import GMM40
from genexp.data.normal import Normal
from genexp.errors import UserError
from genexp.folder import checkpoint
from genexp.models.chains import Chains
from genexp.pictures.chains import mixing, trails, trails_film
from genexp.registry import models
from genexp.samplers import diagnostics, hmc, independence, mala, random_walk
from genexp.samplers.hmc import leapfrog
from genexp.samplers.kernels import Decision, Diagnostics, Kernel, LogDensity, kernels, metropolis, with_gradient
from genexp.samplers.ula import ULA
from genexp.subject import Subject
from tests.laws.members import shaken
from tests.subjects import record, taken

PLANE = DataSpec((2,), kind="real")
SETTINGS = {
    "random_walk": {"step_size": 0.5},
    "mala": {"step_size": 0.25},
    "hmc": {"step_size": 0.6, "steps": 3},
    "independence": {"run": "flow"},
    "mixture_of_moves": {"run": "flow", "share": 0.5, "local": {"name": "mala", "step_size": 0.25}},
    "neutra": {"run": "flow", "local": {"name": "mala", "step_size": 0.3}},
}
MANY = 20_000


def flow() -> Any:
    """A flow with random weights, whose samples lie about where the banana's do."""
    torch.manual_seed(3)
    built = models.build({"name": "coupling_flow", "depth": 2, "transformer": {"name": "affine"}}, PLANE)
    return shaken(built, 0.3).eval()


def context(model: Any) -> Context:
    return Context(lambda name: (SimpleNamespace(model=model, spec=PLANE), {"folder": name}))


def kernel_of(name: str, model: Any = None, **more: Any) -> Kernel:
    return kernels.build({"name": name, **SETTINGS.get(name, {}), **more}, PLANE, context(model or flow()))


def banana() -> tuple[Tensor, LogDensity]:
    """Exact samples of a density that no Gaussian is, and ln p̃, off by a constant as it may be."""
    density = BentGaussian(1.0, 0.4, 0.4)
    x = density.sample(MANY, torch.Generator().manual_seed(0)).double()
    return x, lambda x: density.log_prob(x) + 3.0


def one_way(x: Tensor, y: Tensor) -> Tensor:
    """Bounded functions of a place and the next, (n, 8)."""
    moments = (torch.tanh(y[:, 0]), torch.tanh(2 * y[:, 1]), torch.cos(3 * y[:, 1]), torch.sin(y[:, 0] + 2 * y[:, 1]))
    both = (torch.tanh(x[:, 0] - 2 * y[:, 1]), torch.sin(x[:, 0] * y[:, 0] + y[:, 1]), torch.cos(x[:, 1]) * y[:, 0].tanh())
    return torch.stack([*moments, *both, (x[:, 1] - y[:, 0]).clamp(-1, 1) * x[:, 0].sin()], dim=1)


def imbalance(kernel: Kernel, transitions: int = 1) -> float:
    """From exact samples, the largest |E h(x, x′) − E h(x′, x)| in units of its standard error. Of a reversible kernel it is 0;
    h(x, x′) = f(x′) makes of it that the distribution stays what it is.
    """
    x, log_density = banana()
    torch.manual_seed(1)
    state, y = kernel.begin(x, log_density), x
    with torch.no_grad():
        for _ in range(transitions):
            moved = kernel.step(y, state, log_density)
            y, state = moved.x, moved.state
    assert torch.allclose(state["log_p"], log_density(y), atol=1e-6)
    difference = one_way(x, y) - one_way(y, x)
    return float((difference.mean(0) / difference.std(0) * MANY**0.5).abs().max())


@pytest.mark.parametrize("name", list(SETTINGS))
def test_a_kernel_is_in_detailed_balance_with_its_target(name: str) -> None:
    """After one transition, and after three, whose product is reversible too."""
    kernel = kernel_of(name)
    assert imbalance(kernel) < 4.5
    assert imbalance(kernel, 3) < 4.5


@pytest.mark.parametrize(
    ("module", "name"), [(random_walk, "random_walk"), (mala, "mala"), (hmc, "hmc"), (independence, "independence")]
)
def test_a_wrong_sign_is_seen(module: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def reversed_ratio(log_ratio: Tensor, good: Tensor) -> Decision:
        return metropolis(-log_ratio, good)

    monkeypatch.setattr(module, "metropolis", reversed_ratio)
    assert imbalance(kernel_of(name)) > 8


def test_without_rejections_the_target_is_another() -> None:
    assert imbalance(kernel_of("ula", step_size=0.1)) > 8


def test_all_kernels_are_held_to_these_laws() -> None:
    assert {*SETTINGS, "ula"} == {*kernels.names()}


# --- the leapfrog, Langevin's steps ----------------------------------------------------------------------------------


def coupled(x: Tensor) -> Tensor:
    """ln p̃ = −¼ Σ x_i⁴ − ½ (x₁ x₂)² − ½ |x|²."""
    return -(x**4).sum(-1) / 4 - 0.5 * (x[..., 0] * x[..., 1]) ** 2 - 0.5 * x.square().sum(-1)


def force(x: Tensor) -> Tensor:
    return torch.stack([-(x[..., i] ** 3) - x[..., i] * x[..., 1 - i] ** 2 - x[..., i] for i in (0, 1)], dim=-1)


def test_the_leapfrog_goes_back_and_keeps_volumes() -> None:
    generator = torch.Generator().manual_seed(0)
    x, v = torch.randn(2, 5, 2, generator=generator, dtype=torch.float64)
    there = leapfrog(x, v, force, 0.2, 7)
    back = leapfrog(there.x, -there.momentum, force, 0.2, 7)
    assert torch.allclose(back.x, x, atol=1e-12)
    assert torch.allclose(back.momentum, -v, atol=1e-12)
    assert torch.allclose(there.gradient, force(there.x))

    def flat(phase: Tensor) -> Tensor:
        end = leapfrog(phase[None, :2], phase[None, 2:], force, 0.2, 7)
        return torch.cat([end.x[0], end.momentum[0]])

    jacobian = torch.autograd.functional.jacobian(flat, torch.cat([x[0], v[0]]))
    assert float(torch.linalg.det(jacobian)) == pytest.approx(1, abs=1e-10)
    assert not torch.allclose(jacobian, torch.eye(4, dtype=torch.float64), atol=0.3)
    size = torch.full((5, 1), 0.2, dtype=torch.float64)
    assert torch.equal(leapfrog(x, v, force, size, 7, force(x)).x, there.x)


def test_the_leapfrog_is_of_order_two() -> None:
    x, v = torch.tensor([[1.0, -0.5]], dtype=torch.float64), torch.tensor([[0.3, 0.8]], dtype=torch.float64)
    true = leapfrog(x, v, force, 1 / 2048, 2048).x
    errors = [float((leapfrog(x, v, force, 1 / steps, steps).x - true).norm()) for steps in (16, 32, 64)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


def test_hmc_misses_the_energy_by_what_the_leapfrog_does() -> None:
    torch.manual_seed(0)
    x = torch.randn(1000, 2, dtype=torch.float64)
    errors = []
    for size, steps in ((0.2, 5), (0.1, 10)):
        torch.manual_seed(1)
        found = hmc.hmc(x, coupled, size, steps).diagnostics
        assert found.energy_error is not None
        assert torch.allclose(found.acceptance, (-found.energy_error).clamp(max=0).exp())
        assert found.gradients == steps + 1
        errors.append(float(found.energy_error.abs().mean()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert torch.allclose(with_gradient(coupled, x)["gradient"], force(x))


@pytest.mark.parametrize("h", [0.2, 1.0])
def test_the_variance_of_unadjusted_langevin_steps_is_that_of_theory(h: float) -> None:
    """1/(1 − h/2) of N(0, 1); of a correlated Gaussian the fixed point of the recursion that its steps are."""
    kernel, n = ULA(step_size=h), 20_000
    torch.manual_seed(0)
    x = torch.randn(n, 1)
    state = kernel.begin(x, lambda x: -0.5 * x.square().sum(1))
    for _ in range(40):
        moved = kernel.step(x, state, lambda x: -0.5 * x.square().sum(1))
        x, state = moved.x, moved.state
    theory = 1 / (1 - h / 2)
    assert float(x.var()) == pytest.approx(theory, abs=4 * theory * math.sqrt(2 / n))
    assert float(kernel.covariance(state, torch.eye(1, dtype=torch.float64))) == pytest.approx(theory)
    target = torch.tensor([[1.5, 0.6], [0.6, 0.9]], dtype=torch.float64)
    found, shrink = target.clone(), torch.eye(2, dtype=torch.float64) - h * target.inverse()
    for _ in range(400):
        found = shrink @ found @ shrink + 2 * h * torch.eye(2, dtype=torch.float64)
    assert torch.allclose(kernel.covariance(state, target), found, atol=1e-8)
    with pytest.raises(UserError, match="no stationary distribution"):
        ULA(step_size=2.0).covariance(state, torch.eye(1, dtype=torch.float64))


# --- diagnostics -----------------------------------------------------------------------------------------------------


def autoregressive(rho: float, chains: int, draws: int, seed: int, apart: float = 0.0) -> np.ndarray:
    """x_t+1 = ρ x_t + ε, chain by chain `apart` from one another."""
    x = np.random.default_rng(seed).normal(size=(chains, draws))
    for t in range(1, draws):
        x[:, t] += rho * x[:, t - 1]
    return x + apart * np.arange(chains)[:, None]


# Of arviz-stats 0.8.0, once: with `a` its arviz_stats.base.array_stats and x the arrays below,
# a.rhat(x, 0, 1, method="rank"), a.ess(x, 0, 1, method="bulk"), x.size / a.ess(x, 0, 1, method="identity"),
# the axes by their names chain_axis and draw_axis. Of one chain it gives no R̂; ours is that of its halves.
ARVIZ: list[tuple[Callable[[], np.ndarray], float | None, float, float]] = [
    (lambda: autoregressive(0.9, 4, 501, 0), 1.0360469443331235, 86.10971477967622, 25.653332983409438),
    (lambda: autoregressive(-0.6, 3, 200, 1), 1.0059428279101568, 1666.890750230186, 0.35995160445706725),
    (lambda: autoregressive(0.5, 4, 300, 2, 0.4), 1.0891630587563481, 44.19639134206062, 70.15127292454966),
    (lambda: np.round(2 * autoregressive(0.7, 4, 250, 3)), 1.0172126657053844, 191.49727001394896, 5.125814453092968),
    (lambda: autoregressive(0.8, 1, 400, 4), None, 33.76048510680511, 12.335093602412542),
    (lambda: autoregressive(0.3, 2, 12, 5), 0.9894416655322275, 24.496192789696025, 1.5166451299604216),
]


@pytest.mark.parametrize(("make", "r_hat", "bulk", "time"), ARVIZ, ids=["slow", "alternating", "apart", "ties", "one", "short"])
def test_the_numbers_are_those_of_arviz(make: Callable[[], np.ndarray], r_hat: float | None, bulk: float, time: float) -> None:
    x = torch.from_numpy(make())
    if r_hat is not None:
        assert diagnostics.r_hat(x) == pytest.approx(r_hat, rel=1e-10)
    assert diagnostics.ess_bulk(x) == pytest.approx(bulk, rel=1e-10)
    assert diagnostics.autocorrelation_time(x) == pytest.approx(time, rel=1e-10)


def test_the_autocorrelation_time_is_that_of_theory() -> None:
    """(1 + ρ)/(1 − ρ) of an autoregressive process, whose ρ_t = ρ^t."""
    x = torch.from_numpy(autoregressive(0.8, 16, 4_000, 0))
    assert diagnostics.autocorrelation_time(x) == pytest.approx(9, rel=0.1)
    assert diagnostics.autocorrelation(x)[:5].tolist() == pytest.approx([0.8**t for t in range(5)], abs=0.02)


def test_other_means_and_other_widths_are_both_seen() -> None:
    x = torch.from_numpy(autoregressive(0.0, 4, 500, 0))
    assert diagnostics.r_hat(x) < 1.01
    moved, wide = x.clone(), x.clone()
    moved[0] += 1
    wide[0] *= 3
    assert diagnostics.r_hat(moved) > 1.05
    assert diagnostics.r_hat(wide) > 1.05
    assert math.isnan(diagnostics.r_hat(torch.ones(4, 50)))
    assert math.isnan(diagnostics.ess_bulk(torch.ones(4, 50)))


# --- the model -------------------------------------------------------------------------------------------------------


def gaussian(x: Tensor) -> Tensor:
    return -0.5 * x.square().sum(1)


def run(log_density: LogDensity, steps: int, dim: int = 2, **settings: Any) -> Chains:
    """Chains after so many transitions."""
    torch.manual_seed(0)
    built: Chains = models.build({"name": "chains", "chains": 40, **settings}, DataSpec((dim,), kind="real"), Context())
    batch = Batch(torch.randn(500, dim), log_density=log_density)
    built.initialise(batch)
    for _ in range(steps):
        built.transition(batch)
    return built


@pytest.mark.parametrize(
    ("kernel", "wanted"),
    [({"name": "random_walk"}, 0.234), ({"name": "mala"}, 0.574), ({"name": "hmc", "steps": 3, "target_acceptance": 0.7}, 0.7)],
)
def test_the_step_size_is_found_in_the_burn_in_and_stays(kernel: dict, wanted: float) -> None:
    chains = run(gaussian, 150, dim=5, burn_in=150, draws=40, kernel=kernel)
    found = chains.kernel.step_size(chains._state())
    batch = Batch(torch.zeros(1), log_density=gaussian)
    for _ in range(40):
        chains.transition(batch)
    assert torch.equal(chains.kernel.step_size(chains._state()), found)
    assert float(chains.tally.acceptance.mean()) == pytest.approx(wanted, abs=0.06)
    assert chains.complete


@pytest.mark.parametrize("name", ["mala", "mixture_of_moves", "neutra"])
def test_the_burn_in_ends_with_the_average_step_of_the_local_moves(name: str) -> None:
    """Only these are learnt from; afterwards each transition is of the average of what was tried, and not of the last."""
    torch.manual_seed(0)
    settings = {"name": name, "run": "flow", "local": {"name": "mala"}, "share": 0.3}
    unused = {"mala": ("run", "local", "share"), "neutra": ("share",)}.get(name, ())
    kernel = kernels.build({key: value for key, value in settings.items() if key not in unused}, PLANE, context(flow()))
    x, local, tried = torch.randn(30, 2).double(), 0, []
    state = kernel.begin(x, gaussian)
    (tuning,) = (each for each in state if each.endswith("tuning"))
    for _ in range(30):
        with torch.no_grad():
            moved = kernel.step(x, state, gaussian)
        x, state = moved.x, kernel.tune(moved.state, moved.diagnostics)
        local += moved.diagnostics.move == 0
        tried.append(float(state[tuning][0]))
        assert float(state[tuning][3]) == local
        for each, found in kernel.at(x, gaussian).items():  # what is kept is of where the chains are, whatever the move
            assert torch.allclose(state[each], found, atol=1e-6)
    assert local == 30 if name != "mixture_of_moves" else 15 < local < 27
    step = kernel.step_size(kernel.settle(state))
    assert step is not None
    assert float(step.log()) == pytest.approx(float(state[tuning][1]))
    assert min(tried) < float(step.log()) != pytest.approx(tried[-1], abs=1e-3)
    assert torch.allclose(kernel.step_size(state).log(), state[tuning][:1])  # type: ignore[union-attr]


def test_the_step_size_is_that_of_dual_averaging() -> None:
    """By hand, of Hoffman & Gelman's section 3.2: what is accepted by nobody, and then by all, where 0.8 is wanted."""
    kernel = kernel_of("hmc", step_size=0.5, target_acceptance=0.8)
    state, error = kernel.begin(torch.zeros(3, 2), gaussian), 0.0
    for count, rate in ((1, 0.0), (2, 1.0)):
        state = kernel.tune(state, Diagnostics(torch.full((3,), rate), torch.ones(3) > 0, torch.ones(3) < 0))
        error += (0.8 - rate - error) / (count + 10)
        assert float(state["tuning"][0]) == pytest.approx(math.log(5) - 20 * count**0.5 * error, rel=1e-5)


def test_chains_begin_where_the_data_lie_or_where_the_settings_say() -> None:
    """As wide as `spread` times the data's standard deviation; around a start, in the units of x."""
    look = Batch(torch.tensor([5.0, -2.0]) + torch.tensor([3.0, 0.2]) * torch.randn(2_000, 2))
    for start, middle, width in ((None, (5.0, -2.0), (6.0, 0.4)), ([1.0, 7.0], (1.0, 7.0), (2.0, 2.0))):
        torch.manual_seed(0)
        chains = models.build({"name": "chains", "chains": 4_000, "start": start, "spread": 2.0, "draws": 4}, PLANE, Context())
        chains.initialise(look)  # type: ignore[attr-defined]
        for x in (chains.position, chains.first):
            assert (x.mean(0) - torch.tensor(middle)).abs().tolist() < [5 * each / 60 for each in width]
            assert x.std(0).tolist() == pytest.approx(width, rel=0.07)


def test_the_local_moves_alone_begin_as_the_chains_did_and_forget_as_much() -> None:
    chains = run(gaussian, 0, burn_in=4, draws=4, thin=2, kernel={"name": "ula"})
    local, began = chains.kernel, chains.first.clone()
    chains.position.add_(100)
    local.step = lambda x, state, log_density: SimpleNamespace(x=x + 1, state=state)  # type: ignore[assignment, method-assign]
    type(local).alone, before = property(lambda self: self), type(local).alone  # type: ignore[method-assign, assignment]
    try:
        path = chains.alone(3, gaussian)
    finally:
        type(local).alone = before  # type: ignore[method-assign]
    assert torch.allclose(path, began[:, None] + torch.tensor([6.0, 8.0, 10.0])[:, None])


def test_every_thinth_state_after_the_burn_in_is_kept() -> None:
    chains = run(gaussian, 5, burn_in=5, draws=4, thin=2, kernel={"name": "ula"})
    batch, seen = Batch(torch.zeros(1), log_density=gaussian), []
    assert chains.draws().shape == (40, 0, 2)
    assert chains.can == {"sample"}
    while not chains.complete:
        chains.transition(batch)
        seen.append(chains.position.clone())
    assert len(seen) == 8
    assert torch.equal(chains.draws(), torch.stack(seen[1::2], dim=1))
    drawn = chains.sample(30)
    assert all(any(torch.equal(x, kept) for kept in chains.draws().flatten(0, 1)) for x in drawn[:5])
    assert chains.tally.transitions == 8
    assert chains.tally.gradients == 8


@pytest.mark.parametrize("name", ["random_walk", "ula", "mala", "hmc"])
def test_where_the_density_is_not_finite_nobody_goes(name: str) -> None:
    def holed(x: Tensor) -> Tensor:
        inside = torch.where(x[:, 0] > 0.5, torch.nan, gaussian(x))
        return torch.where(x[:, 0] < -0.5, torch.inf, inside)

    kernel = {"name": name, "step_size": 0.3} | ({} if name == "ula" else {"adapt": False})
    chains = run(holed, 30, burn_in=0, draws=30, kernel=kernel)
    assert bool((chains.draws()[..., 0].abs() <= 0.5).all())
    assert chains.tally.bad > 0
    told = " ".join(chains.remarks())
    assert "were rejected because the density is not finite there" in told
    assert "chains could not begin, or leave, where they were" in told
    with pytest.raises(UserError, match="finite at none of the 40 places where the chains begin"):
        run(lambda x: x.sum(1) * math.nan, 0)


@pytest.mark.parametrize("name", ["ula", "mala", "hmc"])
def test_where_the_gradient_is_no_number_nobody_goes(name: str) -> None:
    """Of a density that is a number everywhere: what `where` leaves out, autograd does not."""

    def torn(x: Tensor) -> Tensor:
        return gaussian(x) + 0.0 * torch.where(x[:, 0] > 0.5, 0.0, (0.5 - x[:, 0]).sqrt())

    assert bool(torn(torch.ones(3, 2)).isfinite().all())
    chains = run(torn, 20, burn_in=0, draws=20, kernel={"name": name, "step_size": 0.3})
    assert bool((chains.draws()[..., 0] <= 0.5).all())
    assert chains.tally.bad > 0


def test_chains_that_never_move_are_named() -> None:
    chains = run(lambda x: 1e8 * gaussian(x), 20, burn_in=0, draws=20, kernel={"name": "random_walk", "adapt": False})
    told = chains.remarks()
    assert any("never accepted a proposal" in line for line in told)
    assert any("have not mixed" in line for line in told)
    assert all(line.startswith("warning: ") for line in told)
    assert not [line for line in run(gaussian, 100, burn_in=50, draws=50).remarks() if "mixed" not in line]


def test_too_few_draws_are_told_before_anybody_believes_the_numbers() -> None:
    assert (
        "warning: the burn-in was not over after 3 of 50 steps: samples lie where chains are"
        in run(gaussian, 3, burn_in=50, draws=5).remarks()
    )
    told = run(gaussian, 52, burn_in=50, draws=2).remarks()
    assert "warning: 2 draws of each chain are too few for r_hat and what belongs to it; 4 are the least" in told
    assert not [line for line in run(gaussian, 54, burn_in=50, draws=4).remarks() if "too few" in line]


def test_a_chain_that_is_stuck_in_the_burn_in_goes_on_from_where_others_are() -> None:
    """One that comes halfway to where the leapfrog diverges; beside others it has their state, and from then on it moves."""

    def quartic(x: Tensor) -> Tensor:
        return -x.pow(4).sum(1)

    chains = run(quartic, 10, burn_in=100, draws=20, kernel={"name": "hmc", "step_size": 0.3, "adapt": False})
    chains.position[7] = 50.0  # what it accepted before does not count
    chains._keep_state(chains.kernel.begin(chains.position, quartic))
    batch = Batch(torch.zeros(1), log_density=quartic)
    while not chains.complete:
        chains.transition(batch)
        if int(chains.taken) in (99, 100):
            assert bool(chains.position[7, 0] == 50) == (int(chains.taken) == 99)
            assert torch.allclose(chains._state()["log_p"], quartic(chains.position))
    assert int(chains.moved_away) == 1
    assert 0 < int(chains.accepted.min()) <= int(chains.accepted.max()) <= 20
    assert "1 of 40 chains could not begin, or leave" in chains.remarks()[0]


@pytest.mark.parametrize("burn_in", [1, 4, 20, 100])
def test_no_healthy_chain_is_put_onto_another(burn_in: int) -> None:
    """The steps are large at first, and in a short burn-in many have not moved yet."""
    chains = run(gaussian, burn_in, burn_in=burn_in, draws=5, kernel={"name": "random_walk"})
    assert len(chains.position.unique(dim=0)) == len(chains.position)
    assert int(chains.moved_away) == 0


def test_ways_on_which_the_energy_is_lost_are_counted_by_themselves() -> None:
    """With ε = 3 the leapfrog of N(0, I) is unstable."""
    wild = {"name": "hmc", "steps": 20, "jitter": 0.0, "adapt": False}
    lost, kept = (run(gaussian, 8, burn_in=0, draws=8, kernel={**wild, "step_size": size}).tally for size in (3.0, 0.1))
    assert (lost.divergent, kept.divergent) == (8 * 40, 0)
    assert math.isnan(lost.energy_error)
    assert 0 < kept.energy_error < 0.01
    for tally, share in ((lost, 1.0), (kept, 0.0)):
        told = SimpleNamespace(model=SimpleNamespace(tally=tally))
        assert record("divergences").function(told).value == share


def test_bad_settings_are_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"model\.start: 3 numbers, and the data are of 2 dimensions"):
        run(gaussian, 0, start=[0.0, 1.0, 2.0])
    with pytest.raises(UserError, match="too many to keep"):
        run(gaussian, 0, chains=60_000, draws=1_000_000)
    with pytest.raises(UserError, match=r"model\.kernel\.run must name another run"):
        models.build({"name": "chains", "kernel": {"name": "neutra"}}, PLANE, Context())
    unable = SimpleNamespace(can={"sample"}, parameters=list)
    with pytest.raises(UserError, match="its model has no exact likelihood"):
        kernel_of("independence", unable)
    opened = Context(lambda name: (SimpleNamespace(model=flow(), spec=DataSpec((7,))), {}))
    with pytest.raises(UserError, match="of shape 7, and these data of 2"):
        kernels.build({"name": "neutra", "run": "flow"}, PLANE, opened)


def test_neutra_moves_in_the_base_of_the_flow() -> None:
    """With the flow's own density for its target, the base is a normal distribution, whatever the flow is."""
    model = flow()
    kernel, x = kernel_of("neutra", model), model.sample(50)
    base = kernel.pulled_back(model.log_prob)(model.transform(x)[0])  # type: ignore[operator]
    assert torch.allclose(base, model.base.log_prob(model.transform(x)[0]), atol=1e-5)
    assert not kernel.train().flow.training  # type: ignore[union-attr]


# --- measures and pictures -------------------------------------------------------------------------------------------


def subject_of(chains: Chains, data: Any) -> Subject:
    return Subject(chains, data, compose([]).settings, torch.device("cpu"), training={"seconds_train": 2.0})


def test_shares_of_modes_and_the_time_to_all_of_them() -> None:
    """Of four chains one never leaves, and the others cross after 3, 5 and 8 draws."""
    data = DoubleWell(Path())
    chains: Chains = models.build({"name": "chains", "chains": 4, "burn_in": 0, "draws": 10}, PLANE, Context())
    for chain, crosses in enumerate((10, 3, 5, 8)):
        chains.kept[:, chain, 0] = torch.where(torch.arange(10) < crosses, -1.7, 1.7)
    chains.taken.fill_(10)
    found = taken(subject_of(chains, data), "mode_share", "draws_to_all_modes")
    assert found["mode_share/1"] == pytest.approx((0 + 7 + 5 + 2) / 40)
    assert found["exact/mode_share/1"] == pytest.approx(0.8443, abs=1e-4)
    assert found["mode_share/1_error"] == pytest.approx(np.std([0, 0.7, 0.5, 0.2], ddof=1) / 2)
    assert (found["draws_to_all_modes"], found["draws_to_all_modes/reached"]) == (6, 0.75)


def test_the_numbers_of_chains_on_a_gaussian() -> None:
    """The variance against theory within its own error; efficiency from counts."""
    data = Normal(Path(), correlation=0.5)
    for name, settings in (("ula", {"step_size": 0.3}), ("hmc", {"steps": 3})):
        chains = run(data.log_density, 220, burn_in=60, draws=160, kernel={"name": name, **settings})
        names = ("stationary_variance", "effective_samples", "ess_per_gradient", "ess_per_second", "r_hat", "acceptance")
        found: dict[str, Any] = taken(subject_of(chains, data), *names, "never_accepted")
        assert found["stationary_variance"] == pytest.approx(
            found["exact/stationary_variance"], abs=4 * found["stationary_variance_error"]
        )
        assert found["stationary_variance_error"] < 0.1
        assert found["ess_per_gradient"] == pytest.approx(found["effective_samples"] / (40 * 160 * (1 if name == "ula" else 3)))
        assert found["ess_per_second"] == found["effective_samples"] / 2
        assert found["r_hat"] < 1.05
        assert found["never_accepted"] == 0
        exact = found["exact/stationary_variance"]
        assert (exact > 1.15) if name == "ula" else (exact == pytest.approx(1))


@pytest.mark.parametrize("name", ["mixture_of_moves", "neutra"])
def test_of_langevin_steps_among_other_moves_or_in_another_space_nobody_knows_the_variance(name: str) -> None:
    """Theirs is not the target's, and is not said to be; that of moves which are exact is."""
    for local, known in (("ula", False), ("hmc", True)):
        kernel = kernel_of(name, flow(), local={"name": local})
        x = torch.zeros(3, 2)
        state = kernel.begin(x, lambda x: -0.5 * x.square().sum(1))
        found = kernel.covariance(state, torch.eye(2, dtype=torch.float64))
        assert (found is not None) == known


def test_the_numbers_are_those_of_the_worst_coordinate() -> None:
    """One is as good as new draws, one mixes slowly; the error of the variance knows how slowly."""
    data = Normal(Path(), correlation=0.5)
    chains: Chains = models.build({"name": "chains", "chains": 40, "burn_in": 0, "draws": 200}, PLANE, Context())
    for coordinate, rho in ((0, 0.0), (1, 0.95)):
        chains.kept[..., coordinate] = torch.from_numpy(autoregressive(rho, 40, 200, 7).T)
    chains.taken.fill_(200)
    subject = subject_of(chains, data)
    found: dict[str, Any] = taken(subject, "r_hat", "effective_samples", "autocorrelation_time", "stationary_variance")
    good, bad = chains.draws().double().unbind(2)
    assert found["r_hat"] == diagnostics.r_hat(bad) > diagnostics.r_hat(good) + 0.01
    assert found["effective_samples"] == diagnostics.ess_bulk(bad) < 0.1 * diagnostics.ess_bulk(good)
    assert found["autocorrelation_time"] == diagnostics.autocorrelation_time(bad) > 10
    of_chains = chains.draws().double().square().mean((1, 2))
    assert found["stationary_variance_error"] == pytest.approx(float(of_chains.std()) / 40**0.5, rel=0.4)


def test_draws_of_one_mode_of_many_are_misplaced() -> None:
    """All but the share that they should have there: half the sum of what each mode has too much or too little."""
    data = GMM40(Path())
    chains: Chains = models.build({"name": "chains", "chains": 4, "burn_in": 0, "draws": 10}, PLANE, Context())
    chains.kept[:] = data.density.means[3]
    chains.taken.fill_(10)
    assert taken(subject_of(chains, data), "mode_share")["mode_share/misplaced"] == pytest.approx(39 / 40, abs=1e-3)


def test_stuck_chains_are_drawn_beside_those_with_proposals() -> None:
    data, settings = DoubleWell(Path()), {"name": "mixture_of_moves", **SETTINGS["mixture_of_moves"]}
    torch.manual_seed(0)
    chains = models.build(
        {"name": "chains", "chains": 5, "burn_in": 2, "draws": 30, "start": [-1.7, 0.0], "spread": 0.1, "kernel": settings},
        PLANE,
        context(flow().float()),
    )
    batch = Batch(torch.randn(20, 2), log_density=data.log_density)
    chains.initialise(batch)
    while not chains.complete:
        chains.transition(batch)
    subject = subject_of(chains, data)
    found = taken(subject, "acceptance", "draws_to_all_modes")
    assert {"acceptance/local", "acceptance/proposed", "draws_to_all_modes/local/reached"} <= {*found}
    assert found["draws_to_all_modes/local/reached"] == 0
    assert found["acceptance"] == pytest.approx(float(chains.accepted.double().mean()) / 30)
    for draw in (trails, mixing):
        assert len(draw(subject).axes) >= 2
    frames = trails_film(subject).frames
    assert frames[0].size == (960, 480)
    assert len({frame.tobytes() for frame in (frames[0], frames[-1])}) == 2


# --- whole runs ------------------------------------------------------------------------------------------------------


def test_chains_stopped_and_resumed_are_those_that_never_stopped(genexp, tiny: list[str], tmp_path: Path) -> None:
    """Positions, step size, what was kept and counted: bit for bit, in the burn-in and after it."""
    model = ["dataset=double_well", "model=chains", "model.chains=5", "model.burn_in=4", "model.draws=6", "figures.enabled=false"]
    keys = [*[word for word in tiny if "max_steps" not in word], *model, "trainer.checkpoint_every=1"]
    assert genexp("run", "run_dir=whole", "trainer.max_steps=100", *keys)[0] == 0
    for steps in (3, 7, 100):
        command = ["resume", "parts"] if (tmp_path / "parts").exists() else ["run", "run_dir=parts", *keys]
        code, out, err = genexp(*command, f"trainer.max_steps={steps}")
        assert code == 0, err
    whole, parts = (checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "parts"))
    assert whole["position"]["step"] == 10  # it has finished by itself
    assert set(whole["model"]) == set(parts["model"])
    for name, value in whole["model"].items():
        assert torch.equal(value, parts["model"][name]), name
    metrics = [json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("whole", "parts")]
    for name in ("r_hat", "effective_samples", "acceptance", "mode_share/0", "draws_to_all_modes/reached", "energy_error"):
        assert metrics[0][name] == metrics[1][name], name
    assert "step_size" in json.loads((tmp_path / "whole" / "history.jsonl").read_text().splitlines()[0])
    assert "the chains have not mixed" in out
