"""What a diffusion model is trained on, what is said of it held out, and what guidance is held against: in closed form."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.data.class_mixture import ClassMixture
from genexp.diffusion.base import samplers, schedules
from genexp.figures.diffusion import Curve, distances
from genexp.measures import guidance
from genexp.measures.diffusion import exact_distance
from tests.parts import make

CLASSES = DataSpec((2,), ("a", "b", "c"), "real")


def small(spec: DataSpec = CLASSES, **keys: Any) -> Any:
    torch.manual_seed(0)
    return make("diffusion", spec, field={"name": "modulated", "width": 16, "depth": 1}, **keys)


def normal_batch(n: int = 20_000) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(3 + 0.5 * torch.randn(n, 2, generator=generator), torch.randint(3, (n,), generator=generator))


@pytest.mark.parametrize("guide", ["none", "classifier_free"])
@torch.no_grad()
def test_a_silent_network_costs_one_in_training_and_half_pi_held_out(guide: str) -> None:
    """Of Gaussian data it is exact. Its own target has unit variance at every level; along straight paths what is left of
    u − ε given t u + (1 − t) ε has the variance s²/(t²s² + (1 − t)²), whose mean over t is s π/2.
    """
    model = small(guidance=guide)
    model.initialise(normal_batch())
    assert float(model.loss(normal_batch())["loss"]) == pytest.approx(1, abs=0.03)
    scale = 1.0 if guide == "classifier_free" else 0.5  # in units of u, or of the data
    assert float(model.validate(normal_batch())["loss"]) == pytest.approx(scale * math.pi / 2, rel=0.03)


@torch.no_grad()
def test_components_of_pictures_have_a_scale_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network is to say has unit variance in each of them, however little it varies."""
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(16, 16)).Q[:, :4]
    x = 0.5 + (torch.randn(4_000, 4) * torch.tensor([0.1, 0.05, 0.02, 0.01])) @ basis.T
    spec = DataSpec((1, 4, 4), kind="unit")
    model = small(spec, space={"name": "principal", "components": 4})
    batch = Batch(x.view(-1, 1, 4, 4))
    model.initialise(batch)
    output, targets = model.prediction.output, []
    monkeypatch.setattr(model.prediction, "output", lambda *of: targets.append(output(*of)) or targets[-1])
    assert float(model.loss(batch)["loss"]) == pytest.approx(1, abs=0.05)
    assert torch.allclose(targets[0].square().mean(0), torch.ones(4), atol=0.12)


@torch.no_grad()
def test_points_are_as_noisy_as_the_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """m = u + τ ε of data of unit variance has the variance 1 + τ² at each level, in training as in the bound."""
    model, seen = small(), []
    model.initialise(normal_batch())

    def network(m: Tensor, tau: Tensor, condition: Tensor | None = None) -> Tensor:
        seen.append(m.square().mean(1) / (1 + tau**2))
        assert (tau > 0).all()
        return torch.zeros_like(m)

    monkeypatch.setattr(model, "network", network)
    model.loss(normal_batch())
    model.negative_bound(normal_batch().x, 1)
    assert len(seen) == 2
    for ratio in seen:
        assert float(ratio.mean()) == pytest.approx(1, abs=0.03)
        assert float(ratio[: len(ratio) // 2].mean()) == pytest.approx(1, abs=0.05)


def test_a_share_of_the_training_is_not_told_the_class() -> None:
    part = small(guidance={"name": "classifier_free", "drop": 0.1}).guidance
    label = torch.arange(6_000) % 3
    told = part.told(label)
    silent = told.sum(1) == 0
    assert float(silent.double().mean()) == pytest.approx(0.1, abs=0.02)
    assert torch.equal(told[~silent].argmax(1), label[~silent])


def test_a_classifier_is_trained_beside_the_network_by_its_cross_entropy() -> None:
    """At first, knowing nothing, it is near ln 3; a step along its gradient makes it less."""
    model = small(guidance="classifier")
    centres = torch.tensor([[0.0, 3.0], [-3.0, -1.0], [3.0, -1.0]])
    label = torch.arange(3_000) % 3
    batch = Batch(centres[label] + 0.3 * torch.randn(3_000, 2), label)
    model.initialise(batch)
    values = []
    for _ in range(12):
        torch.manual_seed(5)
        terms = model.loss(batch)
        assert terms["loss"].item() == pytest.approx(terms["denoising"].item() + terms["classifier"].item(), rel=1e-5)
        values.append(terms["classifier"].item())
        weights = [*model.guidance.parameters()]
        for each, gradient in zip(weights, torch.autograd.grad(terms["loss"], weights), strict=True):
            each.data -= 0.2 * gradient
    assert values[0] == pytest.approx(math.log(3), abs=0.2)
    assert values[-1] < 0.9 * values[0]


def test_the_bound_and_samples_are_of_the_classes_that_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(guidance="classifier_free")
    model.initialise(normal_batch(100))
    asked = []

    def denoised(m: Tensor, tau: Tensor, label: Tensor | None = None, weight: float | None = None) -> Tensor:
        asked.append(label)
        return m / (1 + tau[:, None] ** 2)

    monkeypatch.setattr(model, "denoised", denoised)
    label = torch.tensor([2, 0, 1, 1])
    model.negative_bound(torch.randn(4, 2), 2, label)
    model.sample(4, label)
    assert all(torch.equal(each, label) for each in asked)
    asked.clear()
    model.sample(7)
    assert asked[0].tolist() == [0, 1, 2, 0, 1, 2, 0]  # all in turn


def test_a_samplers_distance_on_gaussian_data_falls_to_nothing() -> None:
    """√Σ (s_i′ − s_i)², each direction by itself."""
    schedule, heun = schedules.build({"name": "cosine", "noise_range": [1e-3, 50.0]}), samplers.build({"name": "heun"})
    variances = torch.tensor([0.25, 0.64]).double()
    few, many = (exact_distance(heun, schedule, variances, steps) for steps in (10, 40))
    assert 6 * many < few < 0.1
    alone = [exact_distance(heun, schedule, variances[[at]], 10) for at in (0, 1)]
    assert few == pytest.approx(math.hypot(*alone))


def test_samplers_that_are_the_same_share_a_line() -> None:
    """Under the straight schedule x = t m, in which Euler's step is DDIM's; under another one it is not."""
    counts, lines = np.array([3.0, 5.0]), {}
    for name in ("straight", "cosine"):
        schedule = schedules.build({"name": name})
        exact = {
            each: np.array(
                [exact_distance(samplers.build({"name": each}), schedule, torch.tensor([0.25]), int(n)) for n in counts]
            )
            for each in ("ddim", "euler", "heun")
        }
        curves = [Curve(each, True, counts, distance, distance, distance) for each, distance in exact.items()]
        lines[name] = [text.get_text() for text in distances(curves, 0.01).axes[0].get_legend().get_texts()]
    assert lines["straight"] == ["ddim = euler (ODE)", "heun (ODE)"]
    assert len(lines["cosine"]) == 3


@torch.no_grad()
def test_exact_scores_reach_the_density_itself_at_weights_nought_and_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """KL(samples ‖ p(u) p(y|u)^w / Z) is 0 there, point by point, in the units of the data; at other weights it is not."""
    data = ClassMixture(Path(), std=0.8)
    units = SimpleNamespace(units=(torch.tensor([0.5, -0.3]), torch.tensor(1.6)))
    subject: Any = SimpleNamespace(
        density=data.density,
        model=SimpleNamespace(space=units),
        settings=SimpleNamespace(seed=0),
        device=torch.device("cpu"),
        found={},
    )
    mixture = guidance.mixture_of(subject)
    subject.model.denoised = lambda m, tau, label, w: mixture.guided(m.double(), tau, label, w)
    for name, value in (("WEIGHTS", (0.0, 1.0, 4.0)), ("POINTS", 6), ("STEPS", 16)):
        monkeypatch.setattr(guidance, name, value)
    found = {each.weight: each for each in guidance.guided(subject)}
    for weight in (0.0, 1.0):
        for kl, error in (found[weight].kl, found[weight].exact_kl):
            assert kl == pytest.approx(0, abs=0.02)
            assert error < 0.02
    assert found[4.0].exact_kl[0] > 4 * found[4.0].exact_kl[1]
    mean = torch.cat([*found[1.0].exact]).mean(0) * 1.6 + units.units[0]
    assert torch.allclose(mean, data.density.means.mean(0), atol=0.6)
