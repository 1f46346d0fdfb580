"""Annealed importance sampling, and the flow that is trained by it."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genexp.bijections.fab import FAB
from genexp.bijections.objectives import Alpha, ReverseKL, constant_log_prob, renyi
from genexp.data.base import Batch, DataSpec
from genexp.data.many_well import ManyWell
from genexp.errors import UserError
from genexp.folder import checkpoint
from genexp.models.flow import Flow
from genexp.registry import models
from genexp.samplers.annealing import anneal, tuned
from tests.test_distributed import metrics

SCALE, LOG_C = 0.8, 3.0  # p̃ = e³ N(1, 0.8²), all but normalised
SIDE = 4_000


def log_p(x: Tensor) -> Tensor:
    return LOG_C - 0.5 * ((x[:, 0] - 1) / SCALE).square() - math.log(SCALE) - 0.5 * math.log(2 * math.pi)


def log_normal(x: Tensor) -> Tensor:
    return (-0.5 * x.square() - 0.5 * math.log(2 * math.pi)).sum(1)


def flow_on_a_line(**keys: object) -> Flow:
    """N(mean, std²) with two weights, whose divergences are known integrals."""
    settings = {"name": "linear_flow", "factor": "diagonal", "normalise": False, **keys}
    flow = models.build(settings, DataSpec((1,), kind="real")).double()
    with torch.no_grad():
        flow.bijections[0].factor.log_diagonal.fill_(-0.3)
        flow.bijections[0].bias.fill_(-0.2)
    return flow  # type: ignore[no-any-return]


def gradient(flow: Flow, value: Tensor) -> Tensor:
    """Of a scalar by the flow's weights, all in a row."""
    return torch.cat([each.flatten() for each in torch.autograd.grad(value, [*flow.parameters()])])


def by_quadrature(flow: Flow, alpha: float | None) -> Tensor:
    """KL(q ‖ p), or D_α(p ‖ q), of which each is an integral along the line."""
    x = torch.linspace(-12, 12, SIDE, dtype=torch.float64)[:, None]
    step, log_q, truth = 24 / (SIDE - 1), flow.log_prob(x), log_p(x) - LOG_C
    if alpha is None:
        return (log_q.exp() * (log_q - truth)).sum() * step
    if alpha == 1:
        return (truth.exp() * (truth - log_q)).sum() * step
    return ((alpha * truth + (1 - alpha) * log_q).exp().sum() * step).log() / (alpha - 1)


@pytest.mark.parametrize("objective", [ReverseKL(), ReverseKL(path_gradient=True), Alpha(alpha=1.0), Alpha(alpha=2.0)])
def test_values_and_gradients_are_those_of_the_divergence(objective: ReverseKL | Alpha) -> None:
    """The mean over many batches, within five of its standard errors, is autograd's of the quadrature."""
    torch.manual_seed(0)
    flow = flow_on_a_line()
    batch = Batch(torch.zeros(20_000, 1), log_density=log_p)
    losses = [objective.loss(flow, batch)["loss"] for _ in range(12)]
    divergence = by_quadrature(flow, getattr(objective, "alpha", None))
    values = torch.stack(losses).detach() + (0 if isinstance(objective, Alpha) else LOG_C)  # KL − ln Z
    assert float(values.mean()) == pytest.approx(float(divergence.detach()), abs=5 * float(values.std()) / len(values) ** 0.5)
    assert float(values.std()) < 0.05 * float(divergence.detach())
    found, exact = torch.stack([gradient(flow, loss) for loss in losses]), gradient(flow, divergence)
    error = found.std(0) / len(found) ** 0.5
    assert (error < 0.02).all()
    assert ((found.mean(0) - exact).abs() <= 5 * error + 1e-4).all()
    assert (exact.abs() > 20 * error).all()  # so that a wrong sign or factor is seen


def test_fab_follows_the_divergence_of_order_two() -> None:
    """Points annealed to p²/q and drawn from the buffer by their weights: ∇ D_2, whatever the flow was when they were kept."""
    torch.manual_seed(0)
    flow = flow_on_a_line()
    objective = FAB(capacity=20_000, least=4, temperatures=3, leaps=3, every=1)
    objective.prepare(1)
    objective.double()
    batch = Batch(torch.zeros(5_000, 1), log_density=log_p)
    found = torch.stack([gradient(flow, objective.loss(flow, batch)["loss"]) for _ in range(12)])
    error = found.std(0) / len(found) ** 0.5
    divergence = by_quadrature(flow, 2.0)
    assert float(objective.validate(flow, batch)["loss"].detach()) == pytest.approx(float(divergence.detach()), rel=0.1)
    assert ((found.mean(0) - gradient(flow, divergence)).abs() <= 6 * error + 0.02).all()
    kept = objective.log_weight.clone()
    with torch.no_grad():
        flow.bijections[0].bias.add_(0.1)  # type: ignore[union-attr,operator]
        objective.every = 10**6
        for _ in range(40):
            objective.loss(flow, batch)
    change = objective.log_weight - kept
    moved = change != 0
    assert moved.double().mean() > 0.5
    assert torch.allclose(objective.log_q[moved], flow.log_prob(objective.x[moved]), atol=1e-9)  # w ← w q_old/q


def test_new_points_take_the_place_of_the_oldest() -> None:
    """`least` batches before the first step, one more before every third; the buffer is a ring."""
    torch.manual_seed(0)
    flow, batch = flow_on_a_line(), Batch(torch.zeros(10, 1), log_density=log_p)
    objective = FAB(capacity=35, least=2, every=3, temperatures=2, leaps=1)
    objective.prepare(1)
    objective.double()
    put, steps = [], [float(objective.step_sizes)]
    for _ in range(8):
        before = objective.x.clone()
        objective.loss(flow, batch)
        put.append((objective.x != before)[:, 0].nonzero()[:, 0].tolist())
        steps.append(float(objective.step_sizes))
    first, _, _, second, _, _, third, _ = put
    assert (first, second, third) == ([*range(20)], [*range(20, 30)], [*range(5), *range(30, 35)])
    assert [len(places) for places in put] == [20, 0, 0, 10, 0, 0, 10, 0]
    assert all((one != other) == bool(places) for one, other, places in zip(steps[:-1], steps[1:], put, strict=True))
    objective.log_q += 50  # as if the flow had lost all of them: each counts for ten, and no more
    log_q = objective.log_q - 50
    found = objective.loss(flow, batch)["loss"].detach()
    drawn = objective.log_q < 40
    low, high = (-10 * edge for edge in reversed(log_q[drawn].aminmax()))
    assert low - 1e-6 <= found <= high + 1e-6


def test_points_of_annealed_importance_are_drawn_by_their_weights() -> None:
    """Of p̃ = e³ N(1, 0.8²) its integral, mean and width, from few temperatures, so that the weights differ."""
    torch.manual_seed(0)
    model = models.build({"name": "annealed_importance", "points": 20_000, "temperatures": 2}, DataSpec((1,), kind="real"))
    batch = Batch(torch.zeros(1, 1), log_density=log_p)
    model.initialise(batch)
    assert float(model.log_weight.std()) > 0.5
    assert float(model.loss(batch)["loss"]) == pytest.approx(-LOG_C, abs=0.05)
    x = model.sample(20_000)
    assert float(x.mean()) == pytest.approx(1, abs=0.04)
    assert float(x.std()) == pytest.approx(SCALE, rel=0.04)
    assert abs(float(model.x.std()) - SCALE) > 0.2  # unlike the points themselves


def test_the_path_gradient_has_no_noise_where_the_flow_is_right() -> None:
    torch.manual_seed(0)
    flow, batch = flow_on_a_line(), Batch(torch.zeros(50, 1), log_density=log_p)
    with torch.no_grad():
        flow.bijections[0].factor.log_diagonal.fill_(-math.log(SCALE))  # type: ignore[union-attr,operator]
        flow.bijections[0].bias.fill_(-1 / SCALE)  # type: ignore[union-attr,operator]
    assert float(gradient(flow, ReverseKL(path_gradient=True).loss(flow, batch)["loss"]).abs().max()) < 1e-12
    assert float(gradient(flow, ReverseKL().loss(flow, batch)["loss"]).abs().max()) > 1e-3
    x = torch.randn(5, 1, dtype=torch.float64, requires_grad=True)
    assert torch.equal(constant_log_prob(flow, x), flow.log_prob(x))


def test_renyis_divergence_is_the_effective_sample_size() -> None:
    log_weight = torch.randn(1_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = log_weight.exp()
    assert float(renyi(log_weight + 5, 2.0)) == pytest.approx(-math.log(float(w.sum() ** 2 / (w.square().sum() * len(w)))))
    assert float(renyi(log_weight, 1.0)) == pytest.approx(float(renyi(log_weight, 1 + 1e-6)), abs=1e-5)
    assert float(renyi(torch.tensor([0.0, -math.inf]).double(), 1.0)) == pytest.approx(math.log(2))


@pytest.mark.parametrize(("alpha", "temperatures"), [(1.0, 1), (1.0, 5), (2.0, 4)])
def test_annealed_weights_have_the_integral_as_their_mean(alpha: float, temperatures: int) -> None:
    """∫ p̃^α q^(1−α) of two Gaussians in closed form, whatever the step sizes; and weighted points have the target's moments."""
    torch.manual_seed(0)
    n = 20_000
    x = torch.randn(n, 1, dtype=torch.float64)
    betas = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64)
    found = anneal(x, log_normal, log_p, betas, torch.linspace(0.1, 1.2, temperatures - 1), 3, alpha)
    precision = alpha / SCALE**2 + 1 - alpha
    mean = alpha / SCALE**2 / precision
    log_peak = alpha * float(log_p(torch.tensor([[mean]])) + 0.5 * math.log(2 * math.pi)) - (1 - alpha) * 0.5 * mean**2
    exact = log_peak - 0.5 * math.log(precision)
    weights = (found.log_weight - exact).exp()
    error = float(weights.std()) / n**0.5
    assert error < 0.05
    assert float(weights.mean()) == pytest.approx(1, abs=4 * error)
    share = weights / weights.sum()
    for moment, value in ((found.x[:, 0], mean), ((found.x[:, 0] - mean).square(), 1 / precision)):
        spread = 4 * float((share * (moment - value)).square().sum().sqrt())
        assert float(share @ moment) == pytest.approx(value, abs=spread)
    assert torch.allclose(found.log_q, log_normal(found.x))
    assert len(found.acceptance) == temperatures - 1


def test_more_temperatures_make_the_weights_alike() -> None:
    torch.manual_seed(0)
    spreads = []
    for temperatures in (1, 8):
        betas = torch.linspace(0, 1, temperatures + 1, dtype=torch.float64)
        x = 3 * torch.randn(2_000, 1, dtype=torch.float64)
        found = anneal(x, lambda x: log_normal(x / 3) - math.log(3), log_p, betas, torch.full((temperatures - 1,), 0.5), 3)
        spreads.append(float(found.log_weight.std()))
    assert spreads[1] < 0.4 * spreads[0]
    assert tuned(torch.ones(2), torch.tensor([0.9, 0.1])).tolist() == pytest.approx([1.1, 1 / 1.1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_density_that_is_no_number_is_said(value: float) -> None:
    x = torch.randn(10, 1)
    with pytest.raises(UserError, match=r"NaN or \+inf at 10 of 10 points"):
        anneal(x, log_normal, lambda x: x.sum(1) * 0 + value, torch.tensor([0.0, 1.0]), torch.zeros(0), 1)


def test_fab_goes_on_where_it_was(genexp, tiny: list[str], tmp_path: Path) -> None:
    """A run that was stopped goes on bit for bit, its buffer included; its samples are in every well."""
    words = [word for word in tiny if not word.startswith("trainer.max_steps")]
    words += ["experiment=many_well_flow", "dataset.dimension=4", "figures.enabled=false", "trainer.schedule=constant"]
    words += ["trainer.warmup=0", "model.objective.capacity=500", "model.depth=2", "model.objective.least=2"]
    assert genexp("run", "run_dir=whole", *words, "trainer.max_steps=7")[0] == 0
    assert genexp("run", "run_dir=parts", *words, "trainer.max_steps=3")[0] == 0
    code, _, err = genexp("resume", "parts", "trainer.max_steps=7")
    assert code == 0, err
    whole, parts = (checkpoint.load(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "parts"))
    assert {"criterion.x", "criterion.log_weight", "criterion.counts", "criterion.step_sizes"} <= {*whole["model"]}
    for name, value in whole["model"].items():
        assert torch.equal(value, parts["model"][name]), name
    found = metrics(tmp_path / "whole")
    assert found["modes_found"] == found["exact/modes_found"] == 4
    assert {"ess", "ess_forward", "log_z_bias", "nll"} <= {*found}
    assert found["floor/heldout_loss"] == 0


def test_annealed_importance_finds_the_integral(genexp, tiny: list[str], tmp_path: Path) -> None:
    small = ["model.points=2000", "model.temperatures=16", "dataset.dimension=4", "figures.enabled=false"]
    code, _, err = genexp("run", "run_dir=run", "experiment=annealed_importance", *tiny, *small)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert abs(found["log_z_bias"]) < 4 * found["log_z_bias_error"] < 1
    assert found["exact/log_z"] == pytest.approx(ManyWell(Path(), dimension=4).log_z)
    assert found["modes_found"] == 4
    code, _, err = genexp("run", "run_dir=stuck", "experiment=annealed_importance", *tiny, *small, "model.step_size=1000")
    assert code == 2
    assert "of the proposals are accepted" in err
