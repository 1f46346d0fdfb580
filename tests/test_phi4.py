"""Lattice φ⁴: the action and its symmetries, flows that keep them, the free theory as an oracle, and chains of proposals."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.bijections.base import bijections
from genexp.config.composition import compose
from genexp.data.base import DataSpec
from genexp.data.lattice import correlator, magnetisation
from genexp.data.phi4 import Phi4
from genexp.errors import UserError
from genexp.measures import lattice
from genexp.nn.divergence import divergence
from genexp.nn.lattice import LatticeField, displacements
from genexp.registry import models
from genexp.samplers.fields import independent
from genexp.subject import Subject
from tests.laws import test_bijections as laws
from tests.laws.members import shaken
from tests.subjects import taken
from tests.test_distributed import metrics

SIDE = 4
Moved = Callable[[Tensor], Tensor]


def on_lattice(move: Moved) -> Moved:
    return lambda x: move(x.unflatten(1, (SIDE, SIDE))).flatten(1)


EVEN: dict[str, Moved] = {  # those that leave the colours of a checkerboard
    "two sites on": on_lattice(lambda field: field.roll(2, 1)),
    "one on and one across": on_lattice(lambda field: field.roll((1, 1), (1, 2))),
    "half a turn": on_lattice(lambda field: field.flip(1, 2)),
    "the other sign": lambda x: -x,
}
ALL: dict[str, Moved] = {
    **EVEN,
    "one site on": on_lattice(lambda field: field.roll(1, 2)),
    "mirrored": on_lattice(lambda field: field.flip(1)),
    "transposed": on_lattice(lambda field: field.mT),
    "a quarter turn": on_lattice(lambda field: field.rot90(1, (1, 2))),
}


def fields(n: int = 7) -> Tensor:
    return torch.randn(n, SIDE**2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def flow(bijection: str, **keys: object) -> torch.nn.Module:
    torch.manual_seed(0)
    depth = 1 if bijection == "lattice_continuous" else 4
    settings = {"name": "flow", "depth": depth, "normalise": False, "bijection": {"name": bijection, **keys}}
    return shaken(models.build(settings, DataSpec((SIDE**2,), kind="real"))).eval()


# --- the theory ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [2, 3, 4])
def test_the_action_is_the_sum_over_sites(side: int) -> None:
    data = Phi4(Path(), side=side, m2=-1.3, lam=0.7)
    x = torch.randn(3, side**2, dtype=torch.float64)
    for number, field in enumerate(x.view(-1, side, side).numpy()):
        action = 0.0
        for i in range(side):
            for j in range(side):
                phi = field[i, j]
                for di, dj in ((1, 0), (0, 1)):
                    ahead, behind = field[(i + di) % side, (j + dj) % side], field[(i - di) % side, (j - dj) % side]
                    action += phi * (2 * phi - ahead - behind)
                action += -1.3 * phi**2 + 0.7 * phi**4
        assert float(data.action(x)[number]) == pytest.approx(action, rel=1e-12)


@pytest.mark.parametrize("move", ALL.values(), ids=ALL)
def test_the_action_has_the_symmetries_of_the_lattice(move: Moved) -> None:
    data = Phi4(Path(), side=SIDE)
    assert torch.allclose(data.action(move(fields())), data.action(fields()), rtol=1e-12)
    assert not torch.allclose(data.action(fields()[:, torch.randperm(SIDE**2)]), data.action(fields()))


def test_the_force_is_the_gradient() -> None:
    data, x = Phi4(Path(), side=SIDE), fields().requires_grad_()
    (gradient,) = torch.autograd.grad(data.log_density(x).sum(), x)
    assert torch.allclose(data.force(x), gradient)


def test_the_free_theory_is_the_gaussian_of_its_matrix() -> None:
    """S = φᵀ M φ with M read off the force: ln Z = ½ ln det(π M⁻¹), ⟨φφᵀ⟩ = ½ M⁻¹."""
    data = Phi4(Path(), side=SIDE, m2=0.6, lam=0.0)
    matrix = -data.force(torch.eye(SIDE**2, dtype=torch.float64)) / 2
    assert data.log_z == pytest.approx(0.5 * float(torch.logdet(math.pi * matrix.inverse())), rel=1e-12)
    x = fields()
    assert torch.allclose(data.action(x), ((x @ matrix) * x).sum(1))
    covariance = (matrix.inverse() / 2).view(SIDE, SIDE, SIDE, SIDE)
    across = covariance[0, 0].sum(0)  # at momentum zero along the other direction
    assert torch.allclose(data.free_correlator(), across)
    assert float(across.sum()) == pytest.approx(1 / (2 * 0.6))
    half = torch.linalg.cholesky(matrix.inverse() / 2)
    draws = torch.randn(20_000, SIDE**2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) @ half.mT
    found = correlator(draws)
    error = found.std(0) / len(found) ** 0.5
    assert ((found.mean(0) - data.free_correlator()).abs() < 4 * error).all()
    assert torch.allclose(found.sum(1), SIDE**2 * magnetisation(draws).square())  # the susceptibility


def test_what_has_no_integral_is_refused() -> None:
    with pytest.raises(UserError, match="no integral"):
        Phi4(Path(), m2=-1.0, lam=0.0)
    for name in ("checkerboard_coupling", "lattice_continuous"):
        with pytest.raises(UserError, match="square lattice"):
            bijections.build({"name": name}, 8, 0)


# --- flows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [9, 16])
def test_checkerboards_are_bijections_of_a_lattice(dim: int) -> None:
    laws.test_the_inverse_undoes_and_both_determinants_are_autograds("checkerboard_coupling", dim, 1)


def test_the_ode_is_a_bijection_of_a_lattice() -> None:
    """In small steps: its determinant is that of the way that points go, and the way back leads back."""
    torch.manual_seed(0)
    ode = shaken(bijections.build({"name": "lattice_continuous", "frequencies": 2, "steps": 60}, 9, 0), 0.1).eval()
    x = torch.randn(4, 9, dtype=torch.float64)
    z, log_det = ode.inverse(x)
    back, log_det_back = ode(z)
    assert torch.allclose(back, x, atol=1e-6)
    assert torch.allclose(log_det, laws.log_det_by_autograd(ode.inverse, x), atol=1e-6)
    assert torch.allclose(log_det_back, -log_det, atol=1e-6)


@pytest.mark.parametrize("move", ALL.values(), ids=ALL)
def test_the_continuous_flow_is_equivariant(move: Moved) -> None:
    model = flow("lattice_continuous", frequencies=3, steps=4)
    z, log_det = model.inverse(fields())
    moved, log_det_moved = model.inverse(move(fields()))
    assert torch.allclose(moved, move(z), atol=1e-12)
    assert torch.allclose(log_det_moved, log_det, atol=1e-12)
    assert not torch.allclose(z, fields() / math.e, atol=1e-2)


@pytest.mark.parametrize("move", EVEN.values(), ids=EVEN)
def test_checkerboard_couplings_keep_the_sign_and_shifts_of_an_even_number_of_sites(move: Moved) -> None:
    """What they keep of reflections, the kernels would have to be symmetric for."""
    model = flow("checkerboard_coupling", width=5)
    z, log_det = model.inverse(fields())
    assert bool(((z - fields()).abs() > 1e-2).any(0).all())  # every site, whatever its colour
    if move is EVEN["half a turn"]:
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.weight.data += layer.weight.data.flip(2, 3)
        z, log_det = model.inverse(fields())
    moved, log_det_moved = model.inverse(move(fields()))
    assert torch.allclose(moved, move(z), atol=1e-12)
    assert torch.allclose(log_det_moved, log_det, atol=1e-12)


def test_the_field_knows_its_divergence() -> None:
    field = shaken(LatticeField(SIDE, 3, 3), 0.5)
    x, t = fields().requires_grad_(), torch.tensor(0.3, dtype=torch.float64)
    motion = field(x, t, True)
    assert torch.allclose(motion.divergence, divergence(motion.velocity, x, None))
    jacobians = [torch.autograd.functional.jacobian(lambda v: field(v[None], t).velocity[0], point) for point in x]
    assert torch.allclose(motion.squared_jacobian, torch.stack(jacobians).square().sum((1, 2)))
    assert not torch.allclose(field(x, t + 0.4).velocity, motion.velocity, atol=1e-3)


def test_the_field_begins_as_one_that_narrows() -> None:
    field, x = LatticeField(SIDE, 3, 3).double(), fields()
    motion = field(x, torch.tensor(0.3, dtype=torch.float64))
    assert torch.allclose(motion.velocity, -x)
    assert torch.allclose(motion.divergence, torch.full((len(x),), -16.0).double())


def test_displacements_are_as_many_as_the_symmetry_leaves() -> None:
    """0 ≤ a ≤ b ≤ side/2: and nothing is the same but by a symmetry."""
    for side, classes in ((1, 1), (2, 3), (4, 6), (5, 6), (8, 15)):
        found = displacements(side)
        assert int(found.max()) + 1 == classes
        assert (found.diagonal() == 0).all()
        assert torch.equal(found, found.mT)


# --- chains and numbers ----------------------------------------------------------------------------------------------


def test_a_chain_of_proposals_has_the_shares_of_the_weights() -> None:
    """q uniform on three states with weights 1, 2, 5: a chain is at each by its weight, accepts Σ_ij min(w_i, w_j) / 3 Σ w."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([1.0, 2.0, 5.0], dtype=torch.float64)
    state = torch.randint(3, (4_000, 50), generator=generator)
    found = independent(weights.log()[state], generator)
    visited = state.gather(0, found.chosen)[50:]
    assert np.allclose(torch.bincount(visited.flatten()) / visited.numel(), weights / 8, atol=6e-3)
    expected = sum(min(a, b) for a in (1, 2, 5) for b in (1, 2, 5)) / (3 * 8)
    assert found.acceptance == pytest.approx(expected, abs=6e-3)


class Widened:
    """Of the free theory, samples whose standard deviation is 1.1 times what it should be."""

    can, objective = frozenset({"sample", "exact"}), "reverse_kl"

    def __init__(self, data: Phi4) -> None:
        precision = -data.force(torch.eye(data.side**2, dtype=torch.float64)) / 1.1**2
        self.normal = torch.distributions.MultivariateNormal(torch.zeros(data.side**2).double(), precision_matrix=precision)

    def log_prob(self, x: Tensor) -> Tensor:
        return self.normal.log_prob(x.double())

    def sample(self, n: int) -> Tensor:
        return self.normal.sample((n,)).float()

    def eval(self) -> "Widened":
        return self


def test_the_observables_are_those_of_the_free_theory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By weights, whose own mean square would be 1.21 times too large; by HMC from its first kept state on."""
    monkeypatch.setattr(lattice, "CHAINS", 1_000)
    torch.manual_seed(0)
    data = Phi4(Path(), side=3, m2=0.3, lam=0.0)
    words = ["experiment=phi4_continuous", "evaluation.num_samples=8000", "figures.enabled=false"]
    subject = Subject(Widened(data), data, compose(words).settings, torch.device("cpu"))
    found: dict[str, Any] = taken(subject, "susceptibility", "action_density", "two_point", "ess")
    for name in ("susceptibility", "action_density", "two_point/0", "two_point/1"):
        for each in (name, f"{name}/hmc"):
            assert 0 < found[f"{each}_error"] < 0.04 * abs(found[f"exact/{name}"]), each
            assert found[each] == pytest.approx(found[f"exact/{name}"], abs=4 * found[f"{each}_error"]), each
    assert found["exact/action_density"] == 0.5
    first = lattice.reference(subject).observables[0, :, 1]
    assert float(first.mean()) == pytest.approx(found["exact/susceptibility"], abs=4 * float(first.std()) / 1_000**0.5)
    ratio = torch.tensor(1.1, dtype=torch.float64)  # E w² of so many Gaussians of another width
    assert found["ess"] == pytest.approx(float(((2 * ratio**2 - 1).sqrt() / ratio**2) ** 9), abs=0.02)


def test_the_error_of_a_long_chain_is_by_the_spread_of_the_chains() -> None:
    """However many transitions there are: chains that stay where they are have as many values as there are chains."""
    means = torch.randn(1, 50, 2, dtype=torch.float64)
    found = lattice.Reference(means.expand(200, 50, 2), means[..., 0], means[0], 0.1, 1.0).estimate
    assert torch.allclose(found.mean, means[0].mean(0))
    assert torch.allclose(found.error, means[0].std(0) / 50**0.5)


def test_the_magnetisation_along_a_chain_is_that_of_what_it_accepted() -> None:
    """With weights that rise steeply with m it never falls."""
    data = Phi4(Path(), side=2)
    words = ["experiment=phi4_continuous", "evaluation.num_samples=700"]
    model = SimpleNamespace(can={"sample", "exact"}, objective="other", log_prob=lambda x: -data.action(x) - 1e4 * x.mean(1))
    subject = Subject(model, data, compose(words).settings, torch.device("cpu"))
    subject.samples = torch.randn(700, 4, generator=torch.Generator().manual_seed(0))
    m = lattice.proposed_magnetisation(subject)
    assert m.shape == (10, 70)
    assert bool((m.diff(dim=0) >= 0).all())
    assert bool((m[-1] > m[0]).double().mean() > 0.8)
    assert 0.1 < lattice.proposed(subject).acceptance < 0.4  # a new highest of t is at t with probability 1/t


def test_the_free_theory_is_measured_right(genexp, tiny: list[str], tmp_path: Path) -> None:
    """By weighted samples of a flow that has learnt little, and by HMC: within four of their own errors."""
    small = ["dataset.side=4", "dataset.m2=1", "dataset.lam=0", "model.bijection.frequencies=2", "model.bijection.steps=4"]
    more = [
        "trainer.max_steps=40",
        "trainer.lr=2e-2",
        "trainer.eval_every=40",
        "evaluation.num_samples=4000",
        "figures.enabled=false",
    ]
    words = [word for word in tiny if not word.startswith(("trainer.max_steps", "evaluation.num_samples"))]
    code, _, err = genexp("run", "run_dir=run", "experiment=phi4_continuous", *words, *small, *more)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    names = ["magnetisation", "susceptibility", "action_density", "two_point/0", "two_point/1", "two_point/2"]
    for name in [*names, *(f"{name}/hmc" for name in names), "log_z"]:
        assert 0 < found[f"{name}_error"] < 0.2 * abs(found[f"exact/{name}"]), name
        assert abs(found[name] - found[f"exact/{name}"]) < 4 * found[f"{name}_error"], name
    assert found["exact/susceptibility"] == 0.5
    assert 0.1 < found["ess"] < 1
    assert 0.1 < found["acceptance"] < 1
    assert {"autocorrelation_time", "autocorrelation_time/hmc/signed"} <= {*found}
