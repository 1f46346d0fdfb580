"""Models: they can what they say; an exact likelihood is a density, and that of the samples; a bound lies below."""

from collections.abc import Sequence
from itertools import product

import pytest
import torch
from torch import Tensor

from genexp.bijections import residual
from genexp.capabilities import ABILITIES
from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.measures.latent_quadrature import integrated_nll
from genexp.models import diffusion, flow_matching
from genexp.models.base import GenerativeModel
from genexp.quadrature import midpoints
from genexp.registry import models
from genexp.velocity import likelihood
from tests.laws.members import MODELS, SPECS, can, moments, shaken, some

LABELS = list(MODELS)
SAMPLES = 10_000


def accepted(label: str, spec: str, seed: int = 0) -> GenerativeModel:
    """The model on data of that shape, after a first look at some and shaken."""
    torch.manual_seed(seed)
    model = models.build(MODELS[label], SPECS[spec], Context())
    model.initialise(some(SPECS[spec], 200))
    shaken(model).float()
    model.conclude(some(SPECS[spec], 200))
    return model.eval()  # type: ignore[no-any-return]


def able(specs: Sequence[str], *words: str) -> list[tuple[str, str]]:
    """The pairs of a model and a spec that it accepts, where it can all that: found before any test, so that none is skipped."""
    cans = {(label, spec): can(label, SPECS[spec]) for label, spec in product(LABELS, specs)}
    return [pair for pair, there in cans.items() if there is not None and there >= {*words}]


def pairs(found: list[tuple[str, str]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("label", "spec"), found)


ALL = [*{label: (label, spec) for label, spec in able([*reversed(SPECS)])}.values()]  # each model, on one spec
LOW = ("1 numbers, real", "2 numbers, real")
NAMED = {*models.names(), *(label for label in LABELS if label.startswith("flow bijection="))}
TEN = DataSpec((10,), kind="real")
ESTIMATED = pytest.mark.parametrize(
    "label", [label for label in LABELS if label in NAMED and "estimate" in (can(label, TEN) or ())]
)
FEW = 4  # steps of an ODE, where its error does not matter


@pytest.fixture(autouse=True)
def _short_odes(monkeypatch: pytest.MonkeyPatch) -> None:
    by_steps(monkeypatch, FEW)


def by_steps(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Likelihoods along an ODE by so many steps."""
    for module in (flow_matching, diffusion):
        monkeypatch.setattr(module, "LIKELIHOOD_STEPS", steps)


# --- can -------------------------------------------------------------------------------------------------------------


def test_a_model_that_says_nothing_is_sampled_and_no_more() -> None:
    assert GenerativeModel().can == {"sample"}
    assert GenerativeModel().objective == "other"


@pairs(ALL)
@torch.no_grad()
def test_it_can_what_it_says(label: str, spec: str) -> None:
    model, shape = accepted(label, spec), SPECS[spec].shape
    batch = some(SPECS[spec], 6)
    assert model.can <= set(ABILITIES)
    if "sample" in model.can:
        for n in (1, 7):
            x = model.sample(n)
            assert x.shape == (n, *shape)
            assert bool(torch.isfinite(x).all())
    if model.can & {"exact", "estimate"}:
        log_p = model.log_prob(batch.x)  # type: ignore[operator]
        assert log_p.shape == (6,)
        assert bool(torch.isfinite(log_p).all() or model.base.bounded)  # type: ignore[union-attr]
    if "latents" in model.can:
        z = model.encode(batch.x, batch.label)  # type: ignore[operator]
        assert z.shape == model.draw_posterior(batch.x, batch.label).shape == (6, model.latent)  # type: ignore[operator]
        assert model.decode(z, batch.label).shape == (6, *shape)  # type: ignore[operator]
        assert ("plane" in model.can) == (model.latent == 2)
    if "posterior" in model.can:
        drawn = model.importance(batch.x, batch.label, 3)  # type: ignore[operator]
        assert drawn.z.shape == (3, 6, model.latent)
        assert drawn.log_weights().shape == (3, 6)
    if "pairs" in model.can:
        assert model.log_likelihoods(batch.x, torch.randn(4, 2)).shape == (6, 4)  # type: ignore[operator]
    if "prior" in model.can:
        assert model.sample_latent(5, label=None if batch.label is None else batch.label[:5]).shape == (5, model.latent)  # type: ignore[operator]
    if "layers" in model.can:
        z = model.sample_base(5)  # type: ignore[operator]
        layers = model.layers(z)  # type: ignore[operator]
        assert torch.equal(layers[0], z)
        assert torch.allclose(layers[-1], model.inverse(z)[0])  # type: ignore[operator]
    if "velocity" in model.can:
        assert model.velocity(batch.x, torch.full((6,), 0.3)).shape == batch.x.shape  # type: ignore[operator]
        path = model.trajectory(batch.x, 4)  # type: ignore[operator]
        assert path.shape[1:] == batch.x.shape
        assert torch.equal(path[0], batch.x)


@pairs(ALL)
@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(label: str, spec: str) -> None:
    one, other = accepted(label, spec), accepted(label, spec, seed=1)
    batch = some(SPECS[spec], 6)
    found = []
    for model in (one, other):
        other.load_state_dict(one.state_dict())
        torch.manual_seed(2)
        found.append([model.sample(4), *([model.log_prob(batch.x)] if "exact" in model.can else [])])  # type: ignore[operator]
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pairs([(label, spec) for label, spec in ALL if "exact" in can(label, SPECS[spec])])  # type: ignore[operator]
def test_each_example_has_a_likelihood_of_its_own(label: str, spec: str) -> None:
    """ln p(x) of one does not depend on the others of the batch, nor on their order; the objective is its mean."""
    model = accepted(label, spec)
    x = some(SPECS[spec], 9).x
    with torch.no_grad():
        together = model.log_prob(x)[:4]  # type: ignore[operator]
        alone = torch.cat([model.log_prob(each[None]) for each in x[:4]])  # type: ignore[operator]
    inside = torch.isfinite(together)
    adaptive = 1e-2 if "velocity" in model.can else 1e-4
    assert torch.allclose(together[inside], alone[inside], atol=adaptive, rtol=1e-3)
    if model.objective == "nll" and bool(inside.all()):
        batch = some(SPECS[spec], 9)
        with torch.no_grad():
            assert torch.allclose(model.validate(batch)["loss"], -model.log_prob(batch.x).mean(), atol=1e-5)  # type: ignore[operator]


# --- exact -----------------------------------------------------------------------------------------------------------


def box_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """The box that holds all of the samples, with room around it."""
    low, high = x.amin(0), x.amax(0)
    return low - 0.3 * (high - low), high + 0.3 * (high - low)


@pairs(able(LOW, "exact", "sample"))
def test_an_exact_likelihood_integrates_to_one_and_is_that_of_the_samples(
    label: str, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Means of bounded functions over samples, and of ln p itself, are their integrals against exp(log_prob)."""
    by_steps(monkeypatch, 16)
    model = accepted(label, spec)
    torch.manual_seed(1)
    dim, by_ode = SPECS[spec].shape[0], "velocity" in model.can
    with torch.no_grad():
        x = model.sample(SAMPLES)
        low, high = box_of(x)
        if dim == 1:
            side = 300 if by_ode else 2000
            points = (low + (high - low) * (torch.arange(side)[:, None] + 0.5) / side).double()
            area = float(high - low) / side
        else:
            fine = min(900, max(250, int(2 * float((high - low).max()))))  # half a unit, where tails reach far
            grid = midpoints(low, high, 40 if by_ode else fine)
            points, area = grid.points, grid.area
        log_p = torch.cat([model.log_prob(part.float()) for part in points.split(30_000)]).double()  # type: ignore[operator]
        own = model.log_prob(x[:1000]).double()  # type: ignore[operator]
    mass = log_p.exp() * area
    assert float(mass.sum()) == pytest.approx(1, abs=1e-2)
    found = moments(x.double())
    error = found.std(0) / SAMPLES**0.5
    assert (
        (found.mean(0) - mass @ moments(points)).abs() <= 5 * error + (0.03 if by_ode else 3e-3)
    ).all()  # a coarse solver's samples
    surprise = -float(torch.xlogy(mass, mass / area).sum())
    assert -float(own.mean()) == pytest.approx(surprise, abs=5 * float(own.std()) / len(own) ** 0.5 + 1e-2)


# --- estimate --------------------------------------------------------------------------------------------------------


@ESTIMATED
@torch.no_grad()
def test_an_estimated_likelihood_is_right_in_the_mean_and_exact_in_the_plane(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many estimates of ln p of the same points, against the exact one of the same weights, within their own standard error."""
    assert "exact" in accepted(label, "2 numbers, real").can
    torch.manual_seed(0)
    model = models.build(MODELS[label], TEN, Context())
    for module, limit in ((residual, "EXACT"), (flow_matching, "EXACT_DIVERGENCE"), (likelihood, "EXACT_DIVERGENCE")):
        monkeypatch.setattr(module, limit, 64)
    exact = models.build(MODELS[label], TEN, Context())
    assert "exact" in exact.can
    model.initialise(some(TEN, 200))
    shaken(model).eval()
    exact.double().eval().load_state_dict(model.state_dict())
    x = some(TEN, 3, torch.float64).x
    monkeypatch.undo()
    by_steps(monkeypatch, FEW)  # whose error both share
    found = torch.stack([model.log_prob(x.repeat(40, 1)).view(40, 3).mean(0) for _ in range(8)])
    error = found.std(0) / len(found) ** 0.5
    monkeypatch.setattr(likelihood, "EXACT_DIVERGENCE", 64)
    true = exact.log_prob(x)
    assert (error > 1e-6).any()  # it is an estimate
    assert (error < 1).all()
    assert ((found.mean(0) - true).abs() <= 7 * error + 1e-5).all()


@pytest.mark.parametrize("label", [label for label, _ in able(["2 numbers, real"], "gaussians", "exact")])
@torch.no_grad()
def test_the_gaussians_are_the_mixture_that_its_density_is(label: str) -> None:
    model = accepted(label, "2 numbers, real")
    found, x = model.gaussians(), some(SPECS["2 numbers, real"], 50).x  # type: ignore[operator]
    each = torch.distributions.MultivariateNormal(found.means, found.covariances).log_prob(x[:, None])
    assert float(found.weights.sum()) == pytest.approx(1, abs=1e-6)
    assert torch.allclose((found.weights.log() + each).logsumexp(1), model.log_prob(x), atol=1e-4)  # type: ignore[operator]


# --- bound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [label for label, _ in able(["3 numbers, unit"], "bound")])
@torch.no_grad()
def test_a_bound_lies_below_the_likelihood(label: str) -> None:
    """−validate is below ln p(x): by quadrature where that can be, else by many weighted samples, which find no more."""
    model = accepted(label, "3 numbers, unit")
    batch = some(SPECS["3 numbers, unit"], 20)
    evidence = []
    if "posterior" in model.can:
        wide = torch.full_like(model.infer(batch.x, batch.label), 0.8)  # type: ignore[operator]
        evidence.append(float(model.importance(batch.x, batch.label, 20_000, wide).log_evidence().mean()))  # type: ignore[operator]
    if "pairs" in model.can:
        evidence.append(-float(integrated_nll(model, batch.x, 120).mean()))  # type: ignore[arg-type]
    assert evidence
    assert evidence[0] <= evidence[-1] + 0.03
    if "posterior_flow" not in model.can:  # q is as wide as was asked for, so that its samples find everything
        assert evidence[-1] - evidence[0] < 0.03
    bounds = -torch.stack([model.validate(batch)["loss"] for _ in range(60)]).double()
    error = float(bounds.std()) / 60**0.5
    assert float(bounds.mean()) <= evidence[-1] + 4 * error + 5e-3
