"""What is said of energies, against Gaussians: losses, ln Z and likelihoods by annealed chains, gaps, chains in units of x."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.energy import chains
from genexp.energy.annealed import AnnealedSampler
from genexp.energy.base import Energy, EnergyNetwork, energy_objectives
from genexp.energy.chains import Walked
from genexp.measures import energies
from genexp.models.energy import HELD, EnergyModel
from genexp.registry import models

WIDTH, VARIANCE, DIM = 1.5, 0.36, 3  # τ, v of p(u) = N(0, v I), and of how many numbers
MIDDLE, SPREAD, SCALE = 5.0, 2.0, 0.7  # x = 5 + 2 u; ln of what the user's units are more


class Bowl(EnergyNetwork):
    """f, so that E(u) = |u|²/2v + `shift`."""

    def __init__(self, variance: float, shift: float) -> None:
        super().__init__()
        self.c, self.shift = nn.Parameter(torch.tensor(1 / variance - 1 / WIDTH**2)), nn.Parameter(torch.tensor(shift))

    def forward(self, u: Tensor) -> Tensor:
        return 0.5 * self.c * u.flatten(1).square().sum(1) + self.shift


def bowl(dim: int = DIM, shift: float = 0.0) -> Energy:
    return Energy(Bowl(VARIANCE, shift), (dim,), WIDTH).double()


def gaussian(shift: float = 2.0, dim: int = DIM, **keys: Any) -> EnergyModel:
    """p(x) = N(5, 4v I), which is not normalised: ln Z = dim/2 ln 2πv − shift."""
    torch.manual_seed(0)
    model = models.build({"name": "energy", "annealing": 10, "leaps": 3, **keys}, DataSpec((dim,), kind="real"), Context())
    model.unnormalised = Energy(Bowl(VARIANCE, shift), (dim,), WIDTH)
    model.middle.fill_(MIDDLE)
    model.spread.fill_(SPREAD)
    return model.double().eval()  # type: ignore[no-any-return]


def drawn(n: int, scale: float = 1.0) -> Tensor:
    return MIDDLE + SPREAD * scale * VARIANCE**0.5 * torch.randn(n, DIM, dtype=torch.float64)


# --- losses ----------------------------------------------------------------------------------------------------------


def test_the_reference_is_normalised() -> None:
    energy, u = bowl(), torch.randn(6, DIM, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros(DIM, dtype=torch.float64), WIDTH)
    assert torch.allclose(energy.log_reference(u), normal.log_prob(u).sum(1))
    assert float(energy.reference(20_000).std()) == pytest.approx(WIDTH, rel=0.02)


def test_score_matching_costs_what_theory_says() -> None:
    """Data N(0, s² I) and the score −u/v: ½ d [σ² s²/v² + (1 − σ²/v)²] and d [½ s²/v² − 1/v]."""
    torch.manual_seed(0)
    s, sigma, v = 0.8, 0.5, VARIANCE
    u = s * torch.randn(20_000, DIM, dtype=torch.float64)
    found = {
        name: energy_objectives.build({"name": name, **keys}).loss(bowl(), u)["loss"].item()
        for name, keys in (("denoising", {"noise": sigma}), ("sliced", {}))
    }
    assert found["denoising"] == pytest.approx(0.5 * DIM * (sigma**2 * s**2 / v**2 + (1 - sigma**2 / v) ** 2), rel=0.03)
    assert found["sliced"] == pytest.approx(DIM * (0.5 * s**2 / v**2 - 1 / v), abs=0.3)


def test_held_out_examples_of_a_likelihood_by_chains_are_judged_by_denoising() -> None:
    """In many dimensions neither energies nor chains say how good an energy is. Per number."""
    model = gaussian()
    assert (model.objective, gaussian(dim=2).objective) == ("other", "nll")
    x, kept = drawn(8_000), HELD**2 / VARIANCE
    expected = 0.5 * (kept + (1 - kept) ** 2)
    assert model.validate(Batch(x))["loss"].item() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", ["contrastive_divergence", "persistent"])
def test_the_loss_of_chains_is_a_difference_and_a_penalty_on_f(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """E_data[E] − E_chains[E] + α (E_data[f²] + E_chains[f²]), where chains are where they went, not where they began."""
    energy, part = bowl(1, 0.4), energy_objectives.build({"name": name, "penalty": 0.3})
    u, ended = torch.tensor([[0.5], [-1.0]]).double(), torch.tensor([[2.0], [0.1]]).double()
    monkeypatch.setattr(chains, "walk", lambda *_: Walked(ended, torch.zeros(4), torch.ones(())))
    part.prepare(energy)
    part.double().initialise(energy, u)
    data, model, f, f_chains = energy(u).mean(), energy(ended).mean(), energy.network(u), energy.network(ended)
    expected = data - model + 0.3 * (f.square().mean() + f_chains.square().mean())
    assert part.loss(energy, u)["loss"].item() == pytest.approx(expected.item())


# --- numbers ---------------------------------------------------------------------------------------------------------


def subject_of(model: EnergyModel, samples: Tensor, test: Tensor) -> Any:
    return SimpleNamespace(
        model=model,
        device=torch.device("cpu"),
        can=model.can,
        samples=samples,
        test=Batch(test),
        found={},
        log_scale=SCALE,
        data=SimpleNamespace(examples=lambda n, seed: Batch(drawn(4_000, 1.5))),
        settings=SimpleNamespace(seed=0, evaluation=SimpleNamespace(batch_size=1_000)),
    )


@torch.no_grad()
def test_annealed_chains_bound_z_and_the_likelihood_from_both_sides() -> None:
    """Of N(5, 4v I), whose ln Z and whose likelihood are known: in the units of x and in the user's own."""
    model = gaussian()
    torch.manual_seed(1)
    model.sampler.tune(model.unnormalised)
    test = drawn(500)
    subject = subject_of(model, drawn(energies.PARTICLES), test)
    parts = energies.log_partition(subject)
    log_z = 0.5 * DIM * math.log(2 * math.pi * VARIANCE) - 2.0
    for name in ("", "back"):
        error = energies.estimated(subject).low_error if name == "" else energies.estimated(subject).high_error
        assert parts[name].value == pytest.approx(log_z, abs=4 * error)
        assert error < 0.1
    assert 0.2 < parts["effective"].value <= 1
    normal = torch.distributions.Normal(MIDDLE, SPREAD * VARIANCE**0.5)
    true = -float(normal.log_prob(test).sum(1).mean()) + SCALE
    found = energies.ais_nll(subject)
    for name in ("", "back"):
        assert found[name].value == pytest.approx(true, abs=0.15)
        assert found[name].floor is None  # points without noise may be known as well as anyone likes


@torch.no_grad()
def test_a_likelihood_under_noise_has_the_floor_and_the_baseline_of_the_same_noise() -> None:
    """The floor is the entropy of the noise, the baseline a Gaussian fitted to training examples, here 1.5 times as wide; all in
    the user's units.
    """
    model = gaussian(noise=0.25)
    torch.manual_seed(1)
    model.sampler.tune(model.unnormalised)
    found = energies.ais_nll(subject_of(model, drawn(energies.PARTICLES), drawn(2_000)))[""]
    assert found.floor == pytest.approx(0.5 * DIM * math.log(2 * math.pi * math.e * 0.25**2) + SCALE)
    own, wide = (SPREAD**2 * VARIANCE * scale + 0.25**2 for scale in (1, 1.5**2))
    assert found.baseline == pytest.approx(0.5 * DIM * (math.log(2 * math.pi * wide) + own / wide) + SCALE, abs=0.1)


@torch.no_grad()
def test_samples_that_are_too_wide_lie_above_the_data_in_energy() -> None:
    """By d/2 (a² − 1), where they are a times as wide; and it is said."""
    torch.manual_seed(0)
    model = gaussian()
    gap = energies.energy_gap(subject_of(model, drawn(4_000, 3.0), drawn(4_000)))
    assert gap.value == pytest.approx(4 * DIM, abs=4 * gap.error)

    class Wide(nn.Module):
        def tune(self, energy: Energy) -> None:
            pass

        def forward(self, energy: Energy, n: int) -> Tensor:
            return 3 * VARIANCE**0.5 * torch.randn(n, DIM, dtype=torch.float64)

    model.sampler = Wide()
    model.conclude(Batch(drawn(1_000)))
    assert float(model.gap) == pytest.approx(4 * DIM, rel=0.15)
    (said,) = model.remarks()
    assert "above the data" in said
    model.gap.neg_()
    assert "below the data" in model.remarks()[0]
    model.gap.zero_()
    assert not model.remarks()


# --- chains ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_a_film_shows_the_chains_themselves_in_the_units_of_x() -> None:
    """Step by step they are what they are in one go: step sizes are learnt on the way, and go on."""
    model = gaussian()
    x = model.noise_samples(2_000)
    assert float(x.mean()) == pytest.approx(MIDDLE, abs=0.1)
    assert float(x.std()) == pytest.approx(SPREAD * WIDTH, rel=0.04)
    torch.manual_seed(3)
    whole = model.short_run(x, 9)
    torch.manual_seed(3)
    film = model.rolling(x, (0, 4, 9))
    assert torch.allclose(film[0], x)
    assert torch.allclose(film[2], whole)
    assert float(model.energy(film[0]).mean()) > float(model.energy(film[1]).mean()) > float(model.energy(film[2]).mean())
    assert float(model.energy(whole).mean() - model.energy(drawn(2_000)).mean()) == pytest.approx(0, abs=0.3)


@torch.no_grad()
def test_without_a_chain_annealing_is_importance_sampling_from_the_reference() -> None:
    """At one temperature, with nothing after it, samples are those of the reference, drawn again by their weights."""
    torch.manual_seed(0)
    energy = Energy(Bowl(0.8, 0.0), (1,), WIDTH).double()
    u = AnnealedSampler(1, 0, 1).double()(energy, 20_000)
    assert float(u.square().mean()) == pytest.approx(0.8, rel=0.06)
