"""Fitters other than the gradient: expectation maximisation, and models that are fitted at one look."""

import os
import signal
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec
from genexp.fit.em import EM
from genexp.folder import checkpoint
from genexp.folder.run_folder import RunFolder
from genexp.mixtures import shrinkage
from genexp.mixtures.clusters import clusters
from genexp.mixtures.whitening import factor_of
from genexp.models.gmm import GMM
from genexp.models.mfa import MFA
from genexp.models.normal import Normal
from genexp.optim.schedule import Rate
from genexp.registry import datasets
from tests.conftest import small_parts
from tests.test_distributed import metrics
from tests.test_trainer import assert_same_state, strip

POINTS = DataSpec(shape=(3,), kind="real")
COVARIANCES = ("full", "tied", "diagonal", "spherical")
OF_ONE = ("full", "diagonal", "spherical")


@pytest.fixture
def x() -> Tensor:
    """Three clusters of unlike shapes, in three dimensions."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(3, 400, 3, generator=generator)
    turned = torch.randn(3, 3, 3, generator=generator)
    return (z @ turned + 4 * torch.randn(3, 1, 3, generator=generator)).flatten(0, 1)


def fitted(x: Tensor, steps: int, **settings) -> tuple[GMM, list[float]]:
    torch.manual_seed(0)
    model = GMM(POINTS, **{"shrinkage": 0.0, "restarts": 1, **settings})
    model.initialise(Batch(x))
    return model, [float(model.em_step(Batch(x))["loss"]) for _ in range(steps)]


def of(model: GMM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Its weights, means and covariances."""
    found = model.gaussians()
    return found.weights.double().numpy(), found.means.double().numpy(), found.covariances.double().numpy()


@pytest.mark.parametrize("shrinkage", [0.0, 50.0])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_likelihood_never_falls(x: Tensor, covariance: str, shrinkage: float) -> None:
    """Nor does what shrinkage leaves of it."""
    _, losses = fitted(x, 60, components=5, covariance=covariance, ridge=0.0, shrinkage=shrinkage)
    falls = [before - after for before, after in pairwise(losses)]
    assert min(falls) > -1e-7
    assert sum(falls) > 1e-3


@pytest.mark.parametrize("shrinkage", [0.0, 50.0])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_a_converged_mixture_is_a_stationary_point(x: Tensor, covariance: str, shrinkage: float) -> None:
    """∂/∂θ of the objective vanishes: by autograd, which knows nothing of expectation maximisation."""
    model, losses = fitted(x, 250, components=2, covariance=covariance, ridge=0.0, shrinkage=shrinkage)
    assert losses[-1] == pytest.approx(float(model.loss(Batch(x))["loss"]), abs=1e-4)
    model = model.double().requires_grad_(True)
    model.loss(Batch(x.double()))["loss"].backward()
    found = {name: float(weights.grad.abs().max()) for name, weights in model.named_parameters() if weights.grad is not None}
    assert {"mean", "log_scale", "log_weight"} <= {*found}
    assert max(found.values()) < 1e-4, found


def test_em_steps_are_those_of_the_textbook(x: Tensor) -> None:
    """Against the same formulas, written with scipy's density."""
    from scipy.stats import multivariate_normal

    model, _ = fitted(x, 1, components=3)
    with torch.no_grad():  # a step that moves means far: what the covariance loses by that is no longer small
        model.mean.add_(torch.tensor([[0.2, -0.1, 0.15], [-0.2, 0.1, 0.1], [0.1, 0.2, -0.2]]))
    data = x.double().numpy()
    weights, means, covariances = of(model)
    parts = zip(weights, means, covariances, strict=True)
    joint = torch.tensor(np.stack([w * multivariate_normal(m, c).pdf(data) for w, m, c in parts], axis=1))
    assert float(-joint.sum(1).log().mean()) == pytest.approx(float(model.loss(Batch(x))["loss"]), abs=1e-4)
    responsible = joint / joint.sum(1, keepdim=True)
    model.em_step(Batch(x))
    counts = responsible.sum(0)
    assert torch.allclose(model.log_weight.exp().double(), counts / len(x), atol=1e-5)
    _, means, covariances = of(model)
    expected = (responsible.T @ x.double() / counts[:, None]).numpy()
    assert np.allclose(means, expected, atol=1e-4)
    away = data[:, None] - expected
    assert np.allclose(covariances, np.einsum("nk,nki,nkj->kij", responsible / counts, away, away), atol=1e-3)


@pytest.mark.parametrize("covariance", OF_ONE)
def test_one_component_is_the_normal_and_that_is_the_best_gaussian(x: Tensor, covariance: str) -> None:
    mixture, _ = fitted(x, 1, components=1, covariance=covariance)
    normal = Normal(POINTS, covariance=covariance, ridge=0.0)
    normal.initialise(Batch(x))
    assert torch.allclose(mixture.log_prob(x), normal.log_prob(x), atol=1e-4)
    here = normal.double().requires_grad_(True)
    here.loss(Batch(x.double()))["loss"].backward()
    assert all(float(weights.grad.abs().max()) < 1e-4 for weights in here.parameters() if weights.numel())


def test_the_normal_is_that_of_numpy(x: Tensor) -> None:
    from scipy.stats import multivariate_normal

    model = Normal(POINTS, ridge=0.0)
    model.initialise(Batch(x))
    exact = multivariate_normal(x.double().mean(0).numpy(), torch.cov(x.double().T, correction=0).numpy())
    assert torch.allclose(model.log_prob(x).double(), torch.tensor(exact.logpdf(x.double().numpy())), atol=1e-4)
    torch.manual_seed(0)
    drawn = model.sample(100_000)
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.1)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(x.T), rtol=0.03, atol=0.1)


def test_samples_of_a_mixture_have_its_moments(x: Tensor) -> None:
    model, _ = fitted(x, 30, components=3)
    torch.manual_seed(0)
    drawn = model.sample(200_000)
    assert torch.allclose(drawn.mean(0), x.mean(0), atol=0.1)  # which EM keeps
    assert torch.allclose(torch.cov(drawn.T), torch.cov(x.T), rtol=0.03, atol=0.1)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_samples_of_one_component_have_its_covariance(x: Tensor, covariance: str) -> None:
    """In units that are not the model's own."""
    model, _ = fitted(10 * x + 3, 20, components=3, covariance=covariance)
    _, means, covariances = of(model)
    for k in range(3):
        model.log_weight.copy_(torch.full((3,), -80.0))
        model.log_weight[k] = 0
        drawn = model.sample(20_000).double().numpy()
        size = np.sqrt(covariances[k].diagonal())
        assert np.allclose((drawn.mean(0) - means[k]) / size, 0, atol=0.05)
        assert np.allclose((np.cov(drawn.T) - covariances[k]) / np.outer(size, size), 0, atol=0.06)


def test_narrow_covariances_are_raised_and_others_stay() -> None:
    """L Lᵀ has the same eigenvectors and no eigenvalue below the least; L is a triangle with a positive diagonal."""
    torch.manual_seed(0)
    turned = torch.linalg.qr(torch.randn(4, 3, 3, dtype=torch.float64)).Q
    values = torch.tensor([[1.0, 2, 3], [1e-3, 2, 3], [-1e-9, 1e-9, 3], [0, 0, 0]], dtype=torch.float64)
    factor = factor_of((turned * values[:, None]) @ turned.mT, 0.1)
    assert torch.allclose(factor @ factor.mT, (turned * values.clamp(min=0.1)[:, None]) @ turned.mT)
    assert torch.allclose(factor.tril(), factor)
    assert float(factor.diagonal(dim1=1, dim2=2).min()) > 0


def test_clusters_that_are_far_apart_are_found() -> None:
    """From every seed, one in each cloud, and its mean is theirs."""
    middle = 2_000 * torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [3, 3]])
    for seed in range(10):
        torch.manual_seed(seed)
        x = (middle[:, None] + torch.randn(5, 40, 2)).flatten(0, 1)
        means, index = clusters(x, 5)
        own = index.view(5, 40)
        assert torch.equal(own, own[:, :1].expand_as(own))
        assert torch.allclose(means[own[:, 0]], x.view(5, 40, 2).mean(1), atol=1e-2)


@pytest.mark.parametrize("settings", [{"components": 1}, {"components": 7}, {"components": 4, "covariance": "diagonal"}])
def test_awkward_data(settings: dict) -> None:
    """The same point often, a coordinate that never moves, a mean far from the origin: finite numbers."""
    torch.manual_seed(0)
    cloud = torch.cat([torch.ones(300, 3), torch.randn(20, 3)])
    cloud[:, 2] = 2.0
    model, losses = fitted(cloud + 1000, 20, **settings)
    assert torch.isfinite(torch.tensor(losses)).all()
    assert torch.isfinite(model.log_prob(cloud + 1000)).all()


def test_em_is_that_of_scikit_learn() -> None:
    """From the same start, step after step, the same likelihood; and the same BIC."""
    from sklearn.mixture import GaussianMixture

    generator = torch.Generator().manual_seed(2)
    middle, turned = 3 * torch.randn(5, 4, generator=generator).double(), torch.randn(5, 4, 4, generator=generator).double()
    x = torch.cat([m + torch.randn(600, 4, generator=generator).double() @ t for m, t in zip(middle, turned, strict=True)])
    torch.manual_seed(0)
    model = GMM(DataSpec((4,), kind="real"), components=5, ridge=0.0, shrinkage=0.0, restarts=1).double()
    model.initialise(Batch(x))
    weights, means, covariances = of(model)
    theirs = GaussianMixture(5, tol=0, reg_covar=0, max_iter=30, weights_init=weights, means_init=means, init_params="random")
    theirs.precisions_init = np.linalg.inv(covariances)
    with warnings.catch_warnings(action="ignore"):
        theirs.fit(x.numpy())
    for _ in range(30):
        model.em_step(Batch(x))
    ours = float(model.log_prob(x).mean())
    assert ours == pytest.approx(theirs.score(x.numpy()), abs=1e-9)
    price = model.gaussians().free * np.log(len(x)) / (2 * len(x))
    assert price - ours == pytest.approx(theirs.bic(x.numpy()) / (2 * len(x)), abs=1e-9)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_the_set_is_read_in_parts(x: Tensor, covariance: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small these are, the step is the same."""
    whole, _ = fitted(x, 3, components=4, covariance=covariance)
    monkeypatch.setattr("genexp.models.gmm.PART", 1)
    parts, _ = fitted(x, 3, components=4, covariance=covariance)
    assert_same_state(*({name: weights.round(decimals=5) for name, weights in m.state_dict().items()} for m in (whole, parts)))


def test_the_gradient_ends_where_em_does(x: Tensor) -> None:
    best, _ = fitted(x, 60, components=3, shrinkage=20.0)
    torch.manual_seed(0)
    model = GMM(POINTS, components=3, fitter="gradient", shrinkage=20.0, restarts=1)
    model.initialise(Batch(x))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-2)
    for _ in range(90):
        optimizer.zero_grad()
        model.loss(Batch(x))["loss"].backward()
        optimizer.step()
    with torch.no_grad():
        assert float(model.loss(Batch(x))["loss"]) == pytest.approx(float(best.loss(Batch(x))["loss"]), abs=2e-3)


@pytest.mark.parametrize("full", [True, False])
def test_unlike_covariances_cost_their_divergence_from_the_likeliest_common_one(full: bool) -> None:
    """ν Σ_k KL(N(0, Σ₀) ‖ N(0, Σ_k)), and no other Σ₀ gives less; alike they cost nothing."""
    from torch.distributions import MultivariateNormal, kl_divergence

    torch.manual_seed(0)
    lower = 0.4 * torch.randn(5, 3, 3, dtype=torch.float64).tril(-1) * full + torch.diag_embed(0.5 + torch.rand(5, 3).double())
    factor = lower if full else lower.diagonal(dim1=1, dim2=2)
    zero = torch.zeros(3, dtype=torch.float64)

    def price(covariance: Tensor) -> float:
        middle, each = MultivariateNormal(zero, covariance), MultivariateNormal(zero.expand(5, 3), scale_tril=lower)
        return 7.0 * float(kl_divergence(middle, each).sum())

    least = shrinkage.common(factor)
    least = least if full else least.diag()
    assert float(shrinkage.loss(factor, 7.0)) == pytest.approx(price(least), rel=1e-9)
    for _ in range(10):
        other = torch.eye(3).double() + 0.1 * torch.randn(3, 3).double()
        assert price(other @ least @ other.mT) > price(least)
    assert float(shrinkage.loss(factor[:1].expand_as(factor), 7.0)) == pytest.approx(0, abs=1e-9)


def test_the_price_is_paid_once_for_the_whole_set_and_not_in_validation(x: Tensor) -> None:
    model, _ = fitted(x, 3, components=3, shrinkage=20.0)
    price = float(shrinkage.loss(model._factors(), 20.0)) / len(x)
    loss, plain = float(model.loss(Batch(x[:50]))["loss"]), float(model.validate(Batch(x[:50]))["loss"])
    assert price > 1e-2
    assert loss - plain == pytest.approx(price, rel=1e-3)
    assert plain == pytest.approx(-float(model.log_prob(x[:50]).mean()))


def test_few_examples_of_many_dimensions() -> None:
    """By maximum likelihood a mixture is no better than one Gaussian on the digits' held-out part; by default it is."""
    data = datasets.build({"name": "digits", "flat": True}, Path())
    x, held = data.examples(10_000, 0).x, data.heldout(1_000, 0).x
    nll = {}
    for label, keys in {"one": {"components": 1}, "likelihood": {"shrinkage": 0.0}, "default": {}}.items():
        torch.manual_seed(0)
        model = GMM(data.spec, restarts=1, **keys)  # type: ignore[arg-type]
        model.initialise(Batch(x))
        for _ in range(6):
            model.em_step(Batch(x))
        nll[label] = -float(model.log_prob(held).mean())
    assert nll["default"] < nll["one"] - 5 < nll["likelihood"] - 10


def test_a_start_is_chosen_by_what_becomes_of_it() -> None:
    """Two long clouds side by side: clusters halve them the wrong way, and from some starts EM stays there."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 3, generator=generator) * torch.tensor([0.3, 1.0, 1.0])
    x[:, 0] += torch.where(torch.arange(600) % 2 == 0, 1.0, -1.0)

    def ends(restarts: int) -> list[float]:
        found = []
        for seed in range(4):
            torch.manual_seed(seed)
            model = GMM(POINTS, components=2, restarts=restarts)
            model.initialise(Batch(x))
            found.append([float(model.em_step(Batch(x))["loss"]) for _ in range(20)][-1])
        return found

    begun, _ = fitted(x, 0, components=2, restarts=3)
    assert torch.equal(begun.log_scale[0], begun.log_scale[1])  # it begins with clusters, and not where it was tried to
    single, best_of = ends(1), ends(6)
    assert max(single) - min(single) > 0.1
    assert max(best_of) - min(best_of) < 1e-3


def test_float32_far_from_the_origin(x: Tensor) -> None:
    """What float32 can still tell of numbers near 100,000, the mixture does."""
    far = x.round(decimals=2) + 100_000.0
    near = (far.double() - 100_000).float()
    losses, densities = [], []
    for data in (near, far):
        model, found = fitted(data, 20, components=3)
        losses.append(found[-1])
        densities.append(model.log_prob(data))
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)
    assert torch.allclose(*densities, atol=1e-3)


@pytest.mark.parametrize("covariance", COVARIANCES)
@pytest.mark.parametrize("fitter", ["em", "gradient"])
def test_a_likelihood_without_a_maximum(covariance: str, fitter: str) -> None:
    """Points on a line of the plane, half of them the same, and as many components as points: no variance is below the ridge's
    share of the data's.
    """
    t = torch.cat([torch.zeros(20), torch.linspace(-1, 1, 20)])
    x = torch.stack([t, 2 * t, torch.full_like(t, 3.0)], dim=1)
    model, losses = fitted(x, 0 if fitter == "gradient" else 15, components=40, covariance=covariance, fitter=fitter, ridge=1e-4)
    assert torch.isfinite(torch.tensor(losses)).all()
    assert all(after < before + 1e-6 for before, after in pairwise(losses))
    found = model.double().gaussians()
    variances = torch.linalg.eigvalsh(found.covariances / model.spread[:, None] / model.spread)
    assert float(variances.min()) > (0.0 if fitter == "gradient" else 0.99e-4)
    assert torch.isfinite(model.log_prob(x.double())).all()
    assert torch.isfinite(model.sample(50)).all()


def test_a_component_that_dies_stays_dead(x: Tensor) -> None:
    model, _ = fitted(x, 5, components=3)
    with torch.no_grad():
        model.mean[1] = 1e4
    losses = [float(model.em_step(Batch(x))["loss"]) for _ in range(20)]
    assert min(before - after for before, after in pairwise(losses)) > -1e-7
    assert float(model.gaussians().weights[1]) < 1e-30
    assert torch.isfinite(model.sample(100)).all()


def test_numbers_and_weights_of_earlier_versions(x: Tensor) -> None:
    """One dimension; and weights that were in the data's own units."""
    torch.manual_seed(0)
    model = GMM(DataSpec((1,), kind="real"), components=2)
    model.initialise(Batch(x[:, :1]))
    for _ in range(5):
        model.em_step(Batch(x[:, :1]))
    state = {name: weights for name, weights in model.state_dict().items() if name not in ("centre", "spread")}
    model.load_state_dict(state)
    means, scale = state["mean"][:, 0], state["log_scale"].exp()[:, 0]
    each = torch.distributions.Normal(means, scale).log_prob(x[:, :1]) + state["log_weight"].log_softmax(0)
    assert torch.allclose(model.log_prob(x[:, :1]), each.logsumexp(1), atol=1e-5)


def test_more_components_than_examples_is_one_line(x: Tensor) -> None:
    from genexp.errors import UserError

    with pytest.raises(UserError, match="there are only 5 examples"):
        fitted(x[:5], 1, components=8)


# --- mixtures of factor analysers ----------------------------------------------------------------------------


def analysed(x: Tensor, steps: int, spec: DataSpec = POINTS, **settings) -> tuple[MFA, list[float]]:
    torch.manual_seed(0)
    model = MFA(spec, **settings)
    model.initialise(Batch(x))
    return model, [float(model.em_step(Batch(x))["loss"]) for _ in range(steps)]


@pytest.mark.parametrize("components", [1, 4])
def test_em_of_factor_analysers_climbs_to_a_stationary_point(x: Tensor, components: int) -> None:
    model, losses = analysed(x[::8], 800, components=components, latent=1, ridge=1e-3)
    assert min(before - after for before, after in pairwise(losses)) > -1e-6
    model = model.double().requires_grad_(True)
    model.loss(Batch(x[::8].double()))["loss"].backward()
    for name in ("log_weight", "mean", "directions"):  # a variance may lie at the least that is allowed
        assert float(model.get_parameter(name).grad.abs().max()) < 2e-3, name


def test_a_background_is_there_for_what_was_never_seen(x: Tensor) -> None:
    """It keeps its weight and its width, the likelihood still climbs, and a point far off costs no more than what it allows."""
    settings = {"components": 3, "latent": 1, "ridge": 1e-3}
    model, losses = analysed(x[::4], 60, background=0.01, **settings)
    assert min(before - after for before, after in pairwise(losses)) > -1e-6
    assert len(model.mean) == 4
    weights = model.gaussians().weights
    assert float(weights[-1]) == pytest.approx(0.01)
    assert float(weights.sum()) == pytest.approx(1)
    z = (x[::4] - model.centre) / model.spread
    assert torch.allclose((2 * model.log_scale[-1]).exp(), z.square().mean(0).clamp(min=0.01), rtol=1e-4)
    plain, _ = analysed(x[::4], 60, **settings)
    far = model.centre + 20 * torch.eye(3)
    assert bool((model.log_prob(far) > plain.log_prob(far) + 20).all())
    assert float((plain.log_prob(x) - model.log_prob(x)).mean()) < 0.02  # −ln 0.99, and what the fit gives up


def test_factor_analysis_is_that_of_scikit_learn(x: Tensor) -> None:
    from sklearn.decomposition import FactorAnalysis

    z = torch.randn(500, 2, generator=torch.Generator().manual_seed(3))
    y = z @ torch.randn(2, 6, generator=torch.Generator().manual_seed(4)) + 0.5 * torch.randn(500, 6)
    model, _ = analysed(y, 300, DataSpec((6,), kind="real"), components=1, latent=2, ridge=0.0)
    theirs = FactorAnalysis(2, tol=1e-9, max_iter=10_000, svd_method="lapack").fit(y.double().numpy())
    assert float(model.log_prob(y).mean()) == pytest.approx(theirs.score(y.double().numpy()), abs=1e-4)
    assert model.gaussians().free == 6 + 6 + 6 * 2 - 1


@pytest.mark.parametrize(("dim", "latent"), [(1, 1), (2, 1), (2, 6), (3, 2), (6, 2), (6, 3)])
@pytest.mark.parametrize("background", [0.0, 0.1])
def test_what_is_free_in_factor_analysers_is_the_rank_of_the_map_to_covariances(dim: int, latent: int, background: float) -> None:
    model = MFA(DataSpec((dim,), kind="real"), components=3, latent=latent, background=background)
    torch.manual_seed(0)
    directions, log_scale = torch.randn(dim, latent, dtype=torch.float64), torch.randn(dim, dtype=torch.float64)

    def covariance(directions: Tensor, log_scale: Tensor) -> Tensor:
        return (directions @ directions.T + torch.diag((2 * log_scale).exp())).flatten()

    slopes = torch.autograd.functional.jacobian(covariance, (directions, log_scale))
    turned = int(torch.linalg.matrix_rank(slopes[0].flatten(1)))
    free = int(torch.linalg.matrix_rank(torch.cat([each.flatten(1) for each in slopes], 1)))
    assert model.free == 3 * (dim + free) + 2 + (background > 0) * (dim + turned)


def test_samples_of_factor_analysers_have_the_covariance_of_each_gaussian(x: Tensor) -> None:
    model, _ = analysed(x, 20, components=3, latent=1)
    _, means, covariances = of(model)  # type: ignore[arg-type]
    for k in range(3):
        model.log_weight.copy_(torch.full((3,), -80.0))
        model.log_weight[k] = 0
        drawn = model.sample(20_000).double().numpy()
        size = np.sqrt(covariances[k].diagonal())
        assert np.allclose((drawn.mean(0) - means[k]) / size, 0, atol=0.05)
        assert np.allclose((np.cov(drawn.T) - covariances[k]) / np.outer(size, size), 0, atol=0.06)


def test_smoothing_is_so_many_examples_with_the_variances_of_the_whole_set(x: Tensor) -> None:
    plain, smooth = (analysed(x, 1, components=1, latent=1, ridge=0.0, smoothing=many)[0] for many in (0.0, 300.0))
    whole = ((x - plain.centre) / plain.spread).square().mean(0)
    expected = ((2 * plain.log_scale[0]).exp() * len(x) + 300 * whole) / (len(x) + 300)
    assert torch.allclose((2 * smooth.log_scale[0]).exp(), expected, rtol=1e-4)


def test_one_grey_is_sampled_as_that_grey() -> None:
    """A number from k/256 to (k + 1)/256 is grey k."""
    torch.manual_seed(0)
    model, _ = analysed(torch.full((300, 1, 2, 2), 100 / 255), 5, DataSpec((1, 2, 2), kind="unit"), components=1, latent=1)
    assert 255 * float(model.sample(500).mean()) == pytest.approx(100, abs=0.1)


def test_pictures_are_given_a_density_of_noisy_greys() -> None:
    """Its likelihood is that of Gaussians at those noisy greys; samples are greys; nothing costs less than no bits."""
    torch.manual_seed(0)
    spec = DataSpec((1, 3, 3), kind="unit")
    x = (torch.rand(400, 1, 3, 3).square() * 255).round() / 255
    x[:, :, 0] = 0.0
    model, losses = analysed(x, 20, spec, components=2, latent=2)
    assert losses[-1] < losses[0]
    assert min(before - after for before, after in pairwise(losses)) > -1e-4
    torch.manual_seed(1)
    found = model.log_prob(x)
    torch.manual_seed(1)
    y = ((255 * x.double().flatten(1) + torch.rand(400, 9)) / 256).float()
    gaussians = model.gaussians()
    each = torch.distributions.MultivariateNormal(gaussians.means.double(), gaussians.covariances.double()).log_prob(
        y.double()[:, None]
    )
    assert torch.allclose(found.double(), (each + gaussians.weights.double().log()).logsumexp(1), atol=1e-2)
    assert float(-found.mean()) > -9 * np.log(256)
    drawn = model.sample(200)
    assert drawn.shape == (200, 1, 3, 3)
    assert torch.allclose((255 * drawn).round() / 255, drawn)
    assert 0.0 <= float(drawn.min()) < float(drawn.max()) <= 1.0


def test_greys_of_few_levels_get_noise_as_wide_as_one_of_these() -> None:
    """Each of five greys as likely: at ln 5 nats, and not the ln 256 of bytes, are they worth nothing; samples are such greys."""
    torch.manual_seed(0)
    spec = DataSpec((1, 2, 2), kind="unit", levels=5)
    x = torch.randint(5, (2_000, 1, 2, 2)) / 4
    model, _ = analysed(x, 5, spec, components=1, latent=1)
    assert model.levels == 5
    even = 0.5 * np.log(2 * np.pi * np.e / 12)  # nats that a Gaussian loses of a uniform density
    assert -float(model.log_prob(x).mean()) / 4 == pytest.approx(even, abs=0.02)
    assert {*(4 * model.sample(500)).flatten().tolist()} == {0.0, 1.0, 2.0, 3.0, 4.0}


# --- whole runs ----------------------------------------------------------------------------------------------


def test_a_stopped_em_goes_on_exactly(genexp, tiny: list[str], tmp_path: Path, monkeypatch) -> None:
    words = ["experiment=gmm", *tiny, "figures.enabled=false", "model.components=4", "model.tolerance=0"]
    words += ["model.examples=3000", "trainer.max_steps=6"]
    assert genexp("run", "run_dir=whole", *words)[0] == 0
    calls, step = iter(range(1, 100)), GMM.em_step

    def interrupted(self: GMM, batch: Batch):
        if next(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(GMM, "em_step", interrupted)
        assert genexp("run", "run_dir=parts", *words)[0] == 143
    assert checkpoint.load(tmp_path / "parts/checkpoints/last.pt")["position"]["step"] == 3
    code, _, err = genexp("resume", "parts")
    assert code == 0, err
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for name in ("last", "best"):
        assert_same_state(*(checkpoint.load(run / "checkpoints" / f"{name}.pt") for run in (whole, parts)))
    assert strip(RunFolder(whole).history()) == strip(RunFolder(parts).history())
    assert metrics(whole) == metrics(parts)
    losses = [line["loss"] for line in RunFolder(whole).history() if "loss" in line]
    assert len(losses) == 6
    assert all(after < before + 1e-6 for before, after in pairwise(losses))


def test_a_resumed_em_knows_what_it_had_gained(tmp_path: Path) -> None:
    """Its first step is the last one, where that of the whole run would have been."""
    data = datasets.build({"name": "double_gaussian"}, tmp_path)
    settings = compose(["experiment=gmm"]).settings.trainer
    model = GMM(data.spec, components=2, tolerance=1.0)
    whole = EM(model, data, settings, 0)
    batch = whole.stream.next()
    model.initialise(batch)
    whole.step(batch, Rate(1.0), 1)
    parts = EM(model, data, settings, 0)
    parts.load_state_dict(whole.state_dict())
    assert not parts.finished
    parts.step(batch, Rate(1.0), 2)
    assert parts.finished
    whole.load_state_dict(parts.state_dict())
    assert whole.finished  # and takes no further step


def test_em_ends_when_nothing_is_gained(genexp, tiny: list[str], tmp_path: Path) -> None:
    few = [word for word in tiny if not word.startswith("trainer.max_steps")]
    assert genexp("run", "run_dir=run", "experiment=gmm", *few, "figures.enabled=false", "trainer.max_steps=400")[0] == 0
    assert 1 < metrics(tmp_path / "run")["steps"] < 400
    assert metrics(tmp_path / "run")["kl"] < 1e-3
    code, _, err = genexp("sample", "run", "--out", "more.npz", "--checkpoint", "last")
    assert code == 0, err


def test_train_and_test_against_the_number_of_components(genexp, tiny: list[str], tmp_path: Path) -> None:
    """The lecture's overfit: on the training set it only gets better; BIC and the test set say when to stop."""
    few = [word for word in tiny if not word.startswith("trainer.max_steps")]
    words = ["experiment=gmm_overfit", "model.components=1,5,60", "sweep.metric=nll", "sweep.dir=s", "figures.enabled=false"]
    code, _, err = genexp("run", "-m", *words, *few, "trainer.max_steps=40", "evaluation.num_points=2000")
    assert code == 0, err
    found = [metrics(tmp_path / "s" / str(number)) for number in range(3)]
    train, test, bic = ([each[name] for each in found] for name in ("train_nll", "nll", "bic"))
    assert train[0] > train[1] > train[2]
    assert test[1] < test[0] < test[2]
    assert bic[1] < bic[0] < bic[2]
    assert {"sweep.png", "histories.png"} <= {path.name for path in (tmp_path / "s").iterdir()}


@pytest.mark.parametrize("experiment", ["double_gaussian", "glyphs_vae", "qr_flowmatch"])
def test_a_model_without_steps_runs_is_resumed_sampled_and_measured(genexp, tiny: list[str], tmp_path: Path, experiment) -> None:
    """One Gaussian, on points and on pictures, whatever the trainer's settings."""
    from genexp.config.composition import compose

    dataset = compose([f"experiment={experiment}"]).settings.dataset["name"]
    small = [word for word in small_parts(experiment) if word.startswith("dataset.")]
    words = [f"dataset={dataset}", "model=normal", "model.examples=2000", *tiny, *small]
    code, _, err = genexp("run", "run_dir=run", *words)
    assert code == 0, err
    found = metrics(tmp_path / "run")
    assert found["steps"] == 0
    assert found["nll"] is not None
    assert {name for name, value in found.items() if value is None} <= {
        "decoded",
        "decoded_opencv",
        "reverse_kl",
    }  # which hangs on what lies outside of the box
    assert "has finished" in genexp("resume", "run")[1]
    code, out, err = genexp("evaluate", "run")
    assert code == 0, err
    assert "numbers are the same as at the end of training" in out
    assert genexp("sample", "run", "--out", "more.npz")[0] == 0


@pytest.mark.parametrize("experiment", ["double_gaussian", "double_well", "glyphs_vae", "qr_flowmatch", "mnist_gtm"])
def test_no_steps_at_all(genexp, tiny: list[str], tmp_path: Path, experiment: str) -> None:
    """trainer.max_steps=0: the model as it was before its first step is measured and drawn."""
    code, _, err = genexp(
        "run", "run_dir=run", f"experiment={experiment}", *small_parts(experiment), *tiny, "trainer.max_steps=0"
    )
    assert code == 0, err
    assert metrics(tmp_path / "run")["steps"] == 0
