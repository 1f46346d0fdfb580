"""Laws of energies: the gradient of the likelihood, the optimum of each objective, chains, ln Z, and what is remembered."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.energy.annealed import AnnealedSampler, drawn_again
from genexp.energy.base import Energy, EnergyNetwork, EnergyObjective, energy_objectives, score
from genexp.energy.chains import walk
from genexp.energy.partition import resolved
from genexp.errors import UserError
from genexp.figures import energies as figures
from genexp.figures.style import Window
from genexp.measures.energies import EqualCells, log_mean
from genexp.models.energy import EnergyModel
from genexp.registry import models
from genexp.samplers.mala import MALA

WIDTH, VARIANCE = 1.5, 0.49  # τ, and the variance of the data


class Parabola(EnergyNetwork):
    """f(u) = ½ c |u|², so that E is the energy of N(0, 1/(c + 1/τ²)); and a constant, as a network has."""

    def __init__(self, c: float) -> None:
        super().__init__()
        self.c, self.shift = torch.nn.Parameter(torch.tensor(c).double()), torch.nn.Parameter(torch.zeros(()).double())

    def forward(self, u: Tensor) -> Tensor:
        return 0.5 * self.c * u.flatten(1).square().sum(1) + self.shift


def parabola(variance: float, dim: int = 1) -> Energy:
    return Energy(Parabola(1 / variance - 1 / WIDTH**2), (dim,), WIDTH)


def objective(name: str, **keys: Any) -> EnergyObjective:
    return energy_objectives.build({"name": name, **keys}).double()


def slope(name: str, variance: float, u: Tensor, **keys: Any) -> float:
    """∂loss/∂c of an objective, on data u, for the energy of a Gaussian of that variance."""
    torch.manual_seed(1)
    energy, part = parabola(variance, u.shape[1]), objective(name, **keys)
    part.prepare(energy)
    part.double().initialise(energy, u)
    if name == "noise_contrastive":  # which learns Z as well: the constant at its best
        with torch.no_grad():
            energy.network.shift.copy_(torch.tensor(0.5 * u.shape[1] * math.log(2 * math.pi * variance)))
    for _ in range(25 if name == "persistent" else 1):  # until its chains are there
        loss = part.loss(energy, u)["loss"]
    (found,) = torch.autograd.grad(loss, energy.network.c)
    return float(found)


@pytest.fixture(scope="module")
def data() -> Tensor:
    """Normal numbers whose mean square is VARIANCE exactly."""
    u = torch.randn(10_000, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return u * (VARIANCE / u.square().mean()).sqrt()


OPTIMA = {
    "likelihood": (VARIANCE, {}),
    "quadrature": (VARIANCE, {}),
    "contrastive_divergence": (VARIANCE, {"penalty": 0.0, "steps": 12}),
    "persistent": (VARIANCE, {"penalty": 0.0, "capacity": 10_000, "steps": 2, "fresh": 0.0}),
    "sliced": (VARIANCE, {}),
    "noise_contrastive": (VARIANCE, {}),
    "denoising": (VARIANCE + 0.5**2, {"noise": 0.5}),  # of the data under noise
}


@pytest.mark.parametrize("name", energy_objectives.names())
def test_each_objective_has_its_optimum_where_it_should(name: str, data: Tensor) -> None:
    """Of E = u²/2v its derivative with respect to 1/v is zero at the variance of the data, and has the right sign beside it."""
    best, keys = OPTIMA[name]
    wide, there, narrow = (slope(name, scale * best, data, **keys) for scale in (1.25, 1.0, 0.8))
    assert wide < 0 < narrow  # 1/v is to rise where v is too large
    assert abs(there) < 0.2 * min(-wide, narrow)


def test_the_gradient_of_the_likelihood_is_the_lectures() -> None:
    """∇_θ E_data[−ln p] = E_data[∇E] − E_p[∇E], E_p by the exact density, against autograd through the quadrature; of all weights
    of a network in the plane.
    """
    torch.manual_seed(0)
    model = models.build(
        {"name": "energy", "network": {"name": "mlp", "width": 8, "depth": 1, "num_frequencies": 0}}, DataSpec((2,)), Context()
    )
    model.double()
    energy, u = model.unnormalised, 0.6 * torch.randn(400, 2, dtype=torch.float64) + 0.3
    for weights in energy.parameters():
        weights.data += 0.6 * torch.randn_like(weights)
    part = objective("quadrature", side=64)
    part.prepare(energy)
    part.double().initialise(energy, u)
    loss = part.loss(energy, u)["loss"]
    assert float(loss.detach()) == pytest.approx(float(energy(u).mean().detach() + model.log_z), abs=6e-3)
    found = torch.autograd.grad(loss, [*energy.parameters()])
    grid = model._resolved()
    keep = grid.log_mass > grid.log_mass.max() - 12
    share = grid.log_mass[keep].softmax(0)
    lecture = energy(u).mean() - (share * energy(grid.points[keep])).sum()
    for one, other in zip(found, torch.autograd.grad(lecture, [*energy.parameters()]), strict=True):
        assert torch.allclose(one, other, atol=6e-3)


def test_log_z_of_gaussians() -> None:
    for dim, variance in ((1, 1e-4), (2, 0.3), (2, 60.0), (1, 400.0)):  # far narrower and far wider than the reference
        energy = parabola(variance, dim)
        grid = resolved(energy.log_density, dim, WIDTH, torch.zeros((), dtype=torch.float64))
        assert float(grid.log_z) == pytest.approx(0.5 * dim * math.log(2 * math.pi * variance), abs=1e-4)
        assert float(grid.sample(4_000).square().mean()) == pytest.approx(variance, rel=0.1)


def test_the_score_is_the_gradient_of_ln_p() -> None:
    energy, u = parabola(0.3, 2), torch.randn(5, 2, dtype=torch.float64)
    assert torch.allclose(score(energy, u), -u / 0.3)


def test_chains_leave_the_density_as_it_is_and_come_to_it() -> None:
    """Begun as samples of it they stay that; begun far away, on a steep slope, they come down. The step size goes on from a call
    to the next.
    """
    torch.manual_seed(0)
    energy = parabola(0.25, 2)
    u = 0.5 * torch.randn(4_000, 2, dtype=torch.float64)
    walked = walk(MALA(), energy, u, 8, torch.zeros(4, dtype=torch.float64))
    assert float(walked.u.var()) == pytest.approx(0.25, rel=0.06)
    steep = parabola(1e-4, 2)
    far, tuning = torch.full((500, 2), 3.0, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    for _ in range(20):
        walked = walk(MALA(), steep, far, 8, tuning)
        far, tuning = walked.u, walked.tuning
    assert float(walked.tuning[3]) > 20
    assert float(far.square().mean()) == pytest.approx(1e-4, rel=0.2)


class Walls(EnergyNetwork):
    """A wide valley between steep walls."""

    def forward(self, u: Tensor) -> Tensor:
        return (2 * u.square() + 60 * torch.relu(u.abs() - 1).square()).sum(1)


def test_chains_that_begin_on_a_wall_come_down() -> None:
    """With the step size of the valley alone they would overshoot it, and be rejected for ever."""
    torch.manual_seed(0)
    energy = Energy(Walls(), (1,), WIDTH)
    u, tuning = 0.4 * torch.randn(520, 1, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    u[:20] = 3.0
    for _ in range(8):
        walked = walk(MALA(), energy, u, 8, tuning)
        u, tuning = walked.u, walked.tuning
    assert float(tuning[0].exp()) > 0.1
    assert float(u[:20].abs().max()) < 2


def test_annealed_chains_find_z_and_both_valleys() -> None:
    """E[w] = Z, on the way there and 1/Z on the way back; samples drawn by weights are in each of two far valleys as often as
    they should be.
    """

    class TwoValleys(EnergyNetwork):
        def forward(self, u: Tensor) -> Tensor:
            each = torch.stack([math.log(0.8) - 8 * (u[:, 0] - 1.5) ** 2, math.log(0.2) - 8 * (u[:, 0] + 1.5) ** 2])
            return -each.logsumexp(0)

    torch.manual_seed(1)
    energy = Energy(TwoValleys(), (1,), WIDTH)
    energy.network.register_parameter("none", torch.nn.Parameter(torch.zeros((), dtype=torch.float64)))
    sampler = AnnealedSampler(12, 4, 3).double()
    torch.manual_seed(1)
    sampler.tune(energy)
    once = sampler.step_sizes.clone()
    torch.manual_seed(1)
    sampler.tune(energy)  # as of a run that goes on after its training
    assert torch.equal(sampler.step_sizes, once)
    grid = resolved(energy.log_density, 1, WIDTH, torch.zeros((), dtype=torch.float64))
    right = float(grid.log_mass.softmax(0)[grid.points[:, 0] > 0].sum())
    assert right == pytest.approx(0.8, abs=1e-6)
    there, error = log_mean(sampler.log_weights(energy, 4_000))
    assert there == pytest.approx(float(grid.log_z), abs=4 * error)
    assert error < 0.05
    back, error = log_mean(sampler.log_weights_back(energy, grid.sample(4_000)))
    assert -back == pytest.approx(float(grid.log_z), abs=4 * error)
    assert error < 0.15
    assert float((sampler(energy, 4_000) > 0).double().mean()) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("dim", [1, 2])
def test_in_training_it_is_the_same_number_as_of_held_out_examples(dim: int) -> None:
    """−E[ln p] of x, and not of x in units of the data."""
    model, batch = energy_model(dim, objective={"name": "quadrature", "side": 256}), Batch(0.2 * torch.randn(500, dim))
    model.initialise(batch)
    assert float(model.loss(batch)["loss"].detach()) == pytest.approx(float(model.validate(batch)["loss"].detach()), abs=0.01)


def test_what_is_drawn_again_comes_up_by_its_weight() -> None:
    weights = torch.tensor([0.5, 0.25, 0.125, 0.125, 0, 0, 0, 0], dtype=torch.float64)
    assert torch.bincount(drawn_again(weights), minlength=8).tolist() == [4, 2, 1, 1, 0, 0, 0, 0]


def energy_model(dim: int = 2, **keys: Any) -> EnergyModel:
    torch.manual_seed(0)
    small = {"network": {"name": "mlp", "width": 8, "depth": 1, "num_frequencies": 0}, "annealing": 4, "settling": 2}
    return models.build({"name": "energy", **small, **keys}, DataSpec((dim,), kind="real"), Context())  # type: ignore[no-any-return]


def test_likelihood_and_energy_are_in_units_of_x() -> None:
    """ln p(x) of data that are scaled by a: less by dim ln a; E by as much more."""
    x, scale = torch.randn(500, 2), torch.tensor([10.0, 0.5])
    one, other = energy_model(), energy_model()
    one.initialise(Batch(x))
    other.initialise(Batch(x * scale + 3))
    one.eval(), other.eval()
    assert torch.allclose(one.log_prob(x) - scale.log().sum(), other.log_prob(x * scale + 3), atol=1e-3)
    assert torch.allclose(one.energy(x) + one.log_z, -one.log_prob(x))


def test_ln_z_is_that_of_the_weights_as_they_are() -> None:
    model = energy_model().eval()
    before = float(model.log_z)
    with torch.no_grad():
        model.unnormalised.network.net[-1].bias += 1.0  # E is higher by one everywhere
    assert float(model.log_z) == pytest.approx(before - 1, abs=1e-5)
    other = copy.deepcopy(model)
    other.load_state_dict(energy_model().state_dict())
    assert float(other.log_z) == pytest.approx(before, abs=1e-5)


def test_the_buffer_goes_on_and_some_of_it_begins_anew() -> None:
    torch.manual_seed(0)
    energy, part = parabola(0.25, 2), objective("persistent", capacity=400, steps=1, fresh=0.25)
    part.prepare(energy)
    part.double().chains.fill_(100.0)  # where no chain comes from by itself
    u = torch.randn(200, 2, dtype=torch.float64)
    part.loss(energy, u)
    moved = (part.chains < 50).all(1)
    assert 30 < int(moved.sum()) < 70  # a quarter of the 200 that were taken
    kept = part.chains.clone()
    part.eval()
    part.loss(energy, u)
    assert torch.equal(part.chains, kept)  # held-out losses leave no trace
    assert "chains" in part.state_dict()


def test_resumed_from_its_state_training_goes_on_bit_for_bit() -> None:
    """The buffer, the step size and the weights are all there is beside the random numbers."""
    batches = [Batch(torch.randn(32, 2)) for _ in range(4)]

    def trained(model: EnergyModel, parts: list[Batch]) -> EnergyModel:
        torch.manual_seed(len(parts))
        for batch in parts:
            loss = model.train().loss(batch)["loss"]
            for weights, gradient in zip(model.parameters(), torch.autograd.grad(loss, [*model.parameters()]), strict=True):
                weights.data -= 0.01 * gradient
        return model

    whole, other = (energy_model(objective={"name": "persistent", "capacity": 64, "steps": 3}) for _ in range(2))
    whole.initialise(batches[0])
    trained(whole, batches[:2])
    other.load_state_dict(whole.state_dict())
    for one, two in zip(*(trained(each, batches[2:]).state_dict().items() for each in (whole, other)), strict=True):
        assert torch.equal(one[1], two[1]), one[0]


def test_cells_of_equal_mass() -> None:
    """KL of as many exact samples is about (cells − 1)/2n; that of samples from one half is at least ln 2."""
    torch.manual_seed(0)
    cells = EqualCells(torch.randn(65_536, 2, dtype=torch.float64))
    assert torch.allclose(cells.shares, torch.full((128,), 1 / 128, dtype=torch.float64), rtol=0.02)
    x = torch.randn(20_000, 2, dtype=torch.float64)
    assert cells.kl(x) == pytest.approx(127 / 40_000, rel=0.5)
    assert cells.kl(x.abs() * torch.tensor([1.0, -1.0])) == pytest.approx(math.log(4), abs=0.02)


def test_what_is_refused() -> None:
    for keys, spec, what in (
        ({"objective": {"name": "quadrature"}}, DataSpec((3,)), "one or two dimensions"),
        ({"network": {"name": "conv"}}, DataSpec((2,)), "pictures"),
        ({}, DataSpec((4,), kind="tokens"), "symbols"),
    ):
        with pytest.raises(UserError, match=what):
            models.build({"name": "energy", **keys}, spec, Context())


def test_pictures_of_energies() -> None:
    """A valley is darker than the heights around it; every picture is drawn, with one panel for each of its parts."""
    window, side = Window(0.0, 0.0, 2.0), 24
    across = np.linspace(-2, 2, side)
    energy = 6 * (across[:, None] ** 2 + across[None] ** 2)
    lit = figures.relief(energy)
    assert lit.shape == (side, side, 3)
    assert lit[side // 2, side // 2].sum() < lit[0, side // 2].sum() - 0.5
    frames = figures.rolling_frames(energy, np.zeros((3, 5, 2)), [0, 1, 9], window, 64)
    assert [frame.size for frame in frames] == [(64, 64)] * 3
    series = {name: (np.arange(4), np.arange(4.0) * scale) for name, scale in (("data", 1.0), ("samples", 2.0))}
    found = {name: np.random.default_rng(0).normal(size=50) for name in ("test data", "samples", "noise")}
    assert len(figures.energies(series, found).axes) == 3
    assert len(figures.energies({}, found).axes) == 1
    curves = {"begun at the noise": [1.0, 0.1], "begun at the data": [0.1, 0.1]}
    assert len(figures.short_runs((1, 10), curves, 0.1, 0.1).axes) == 1
    assert len(figures.pulled([figures.Pull("now", energy, energy - 3)], window).axes) == 2  # the other is its colours
