"""Latent-variable models: the bounds bound, the quadrature integrates, the parts are what their equations say.

Where a truth is needed, the decoder is made linear: then p(x) = N(b, WWᵀ + σ²I), and the posterior is a known Gaussian.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.likelihoods import Bernoulli, Gaussian
from genexp.latent.paths import four_corners, linear, spherical
from genexp.latent.posteriors import GaussianPosterior
from genexp.latent.priors import StandardNormal
from genexp.measures.amortization import fitted_posteriors
from genexp.measures.anomalies import auroc
from genexp.measures.bounds import bounds
from genexp.measures.classes import confusion_counts, knn_classes, linear_classes
from genexp.measures.latent_quadrature import integrated_nll, lattice
from genexp.measures.latents import count_active
from genexp.models.gtm import GTM
from genexp.models.vae import VAE
from tests.parts import arrays, make, mlp
from tests.parts import latent as latent_space
from tests.parts import vae as small_vae

SIGMA = 0.4
GAUSSIAN = {"name": "gaussian", "sigma": SIGMA}
SPEC = DataSpec((1, 1, 3))


class Linear(nn.Module):
    """raw = Wz + b with orthogonal columns of W, so that the true posterior is Gaussian and diagonal."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.tensor([[1.0, 0.0], [0.5, 0.4], [0.0, 0.0]]) @ torch.diag(torch.tensor([1.0, 1.0]))
        self.weight[:, 1] -= self.weight[:, 0] * (self.weight[:, 0] @ self.weight[:, 1]) / self.weight[:, 0].square().sum()
        self.bias = torch.tensor([0.3, -0.2, 0.1])

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        return (z @ self.weight.T + self.bias)[:, None, None]

    def evidence(self) -> MultivariateNormal:
        return MultivariateNormal(self.bias, self.weight @ self.weight.T + SIGMA**2 * torch.eye(3))

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean (n, 2) and variance (2,): precision WᵀW/σ² + I."""
        variance = 1 / (self.weight.square().sum(0) / SIGMA**2 + 1)
        return (x.flatten(1) - self.bias) @ self.weight / SIGMA**2 * variance, variance


@pytest.fixture
def linear_vae() -> VAE:
    torch.manual_seed(0)
    model = vae()
    model.decoder = Linear()  # type: ignore[assignment]
    return model.eval()


@pytest.fixture
def batch(linear_vae: VAE) -> Batch:
    return Batch(linear_vae.decoder.evidence().sample((40,)).view(40, 1, 1, 3))  # type: ignore[operator]


def exact_parameters(model: VAE, x: Tensor) -> Tensor:
    mean, variance = model.decoder.posterior(x)  # type: ignore[operator]
    return torch.cat([mean, variance.log().expand_as(mean)], dim=1)


def truth(model: VAE, x: Tensor) -> Tensor:
    return -model.decoder.evidence().log_prob(x.flatten(1))  # type: ignore[operator]


# --- the parts -----------------------------------------------------------------------------------------------


def test_the_likelihoods_are_torchs() -> None:
    x, raw = torch.rand(5, 1, 2, 3), torch.randn(4, 5, 1, 2, 3)
    expected = TorchBernoulli(logits=raw, validate_args=False).log_prob(x).flatten(2).sum(2)
    assert torch.allclose(Bernoulli(DataSpec((1,))).log_prob(x, raw), expected, atol=1e-5)
    gaussian = Gaussian(DataSpec((1, 2, 3)), sigma=0.3, learn_sigma=True)
    assert torch.allclose(gaussian.log_prob(x, raw), Normal(raw, 0.3).log_prob(x).flatten(2).sum(2), atol=1e-3)
    assert torch.allclose(Bernoulli(DataSpec((1,))).mean(raw), torch.sigmoid(raw))
    assert gaussian.log_sigma.requires_grad
    assert not Gaussian(DataSpec((1, 2, 3)), sigma=0.3, learn_sigma=False).log_sigma.requires_grad


@pytest.mark.parametrize("likelihood", [Bernoulli(DataSpec((1,))), Gaussian(DataSpec((1, 2, 3)), sigma=0.7, learn_sigma=False)])
def test_all_pairs_are_the_likelihoods_one_by_one(likelihood) -> None:
    x, raw = torch.rand(5, 1, 2, 3), torch.randn(7, 1, 2, 3)
    pairs = likelihood.pairs(x, raw)
    for j in range(7):
        assert torch.allclose(pairs[:, j], likelihood.log_prob(x, raw[j].expand(5, -1, -1, -1)), atol=1e-4)
    mean = torch.rand(1, 2, 3) * 0.8 + 0.1
    assert torch.allclose(likelihood.mean(likelihood.from_mean(mean)), mean, atol=1e-5)


def test_the_floor_of_grey_values_is_their_entropy_and_is_reached_by_nothing_else() -> None:
    x = torch.rand(50, 1, 4, 4)
    floor = Bernoulli(DataSpec((1,))).floor(x)
    assert floor == pytest.approx(float(TorchBernoulli(probs=x).entropy().flatten(1).sum(1).mean()), rel=1e-5)
    assert -float(Bernoulli(DataSpec((1,))).log_prob(x, torch.logit(x)).mean()) == pytest.approx(floor, rel=1e-5)
    assert -float(Bernoulli(DataSpec((1,))).log_prob(x, torch.logit(x) + 0.1).mean()) > floor
    assert Bernoulli(DataSpec((1,))).floor((x > 0.5).float()) == 0
    assert Gaussian(DataSpec((1, 4, 4)), sigma=1.0, learn_sigma=False).floor(x) is None


def test_posterior_samples_and_kl_are_the_gaussians() -> None:
    torch.manual_seed(0)
    posterior, prior = GaussianPosterior(3, 2), StandardNormal(latent_space(2))
    parameters = posterior(torch.randn(4, 3)) * 2
    mean, scale = parameters[:, :2], (0.5 * parameters[:, 2:]).exp()
    draws = posterior.draw(parameters, 50_000)
    true = Normal(mean, scale)
    assert torch.allclose(draws.log_prob[:9], true.log_prob(draws.z[:9]).sum(-1), atol=1e-4)
    assert torch.allclose(draws.z.mean(0), mean, atol=0.03)
    assert torch.allclose(draws.z.std(0), scale, rtol=0.02)
    expected = kl_divergence(true, Normal(0.0, 1.0))
    assert torch.allclose(posterior.kl_to_standard(parameters), expected, atol=1e-5)
    sampled = (draws.log_prob - prior.log_prob(draws.z)).mean(0)
    assert torch.allclose(sampled, expected.sum(1), atol=0.05)
    assert torch.allclose(prior.log_prob(draws.z[0]), Normal(0.0, 1.0).log_prob(draws.z[0]).sum(-1), atol=1e-5)


# --- the bounds ----------------------------------------------------------------------------------------------


def test_with_the_true_posterior_every_bound_is_the_evidence(linear_vae: VAE, batch: Batch) -> None:
    exact = exact_parameters(linear_vae, batch.x)
    found = bounds(linear_vae, batch, 7, exact)
    assert torch.allclose(found.iwae_nll, truth(linear_vae, batch.x), atol=1e-4)
    assert torch.allclose(found.neg_elbo, truth(linear_vae, batch.x), atol=1e-4)
    assert torch.allclose(found.effective_samples, torch.tensor(7.0), atol=1e-3)  # all weights are equal


def test_with_another_posterior_the_bounds_stand_in_order(linear_vae: VAE, batch: Batch) -> None:
    torch.manual_seed(1)
    parameters = exact_parameters(linear_vae, batch.x) + torch.tensor([0.2, -0.1, 0.5, -0.5])
    elbo = bounds(linear_vae, batch, 4000, parameters)
    few, many = bounds(linear_vae, batch, 8, parameters), bounds(linear_vae, batch, 4000, parameters)
    true = truth(linear_vae, batch.x).mean()
    assert elbo.neg_elbo.mean() > few.iwae_nll.mean() > many.iwae_nll.mean() > true - 0.01
    assert float(many.iwae_nll.mean()) == pytest.approx(float(true), abs=0.02)
    mean, log_variance = parameters.chunk(2, dim=1)
    wrong, right = Normal(mean, (0.5 * log_variance).exp()), exact_parameters(linear_vae, batch.x).chunk(2, dim=1)
    gap = kl_divergence(wrong, Normal(right[0], (0.5 * right[1]).exp())).sum(1).mean()
    assert float(elbo.neg_elbo.mean() - true) == pytest.approx(float(gap), abs=0.02)
    assert (few.effective_samples > 1).all()
    assert (few.effective_samples < 8).all()


def test_posteriors_fitted_one_by_one_find_the_true_ones(linear_vae: VAE, batch: Batch) -> None:
    torch.manual_seed(2)
    fitted = fitted_posteriors(linear_vae, batch)
    exact = exact_parameters(linear_vae, batch.x)
    assert float((fitted[:, :2] - exact[:, :2]).abs().mean()) < 0.02
    assert float((fitted[:, 2:] - exact[:, 2:]).abs().mean()) < 0.05
    gain = bounds(linear_vae, batch, 500).neg_elbo.mean() - bounds(linear_vae, batch, 500, fitted).neg_elbo.mean()
    assert gain > 0.1
    assert not any(weights.grad is not None for weights in linear_vae.parameters())


def test_the_quadrature_gives_the_evidence_and_its_points_are_the_prior(linear_vae: VAE, batch: Batch) -> None:
    found = integrated_nll(linear_vae, batch.x, 100)
    usual = linear_vae.decoder.posterior(batch.x)[0].abs().amax(1) < 2  # type: ignore[operator]
    assert torch.allclose(found[usual], truth(linear_vae, batch.x)[usual], atol=1e-3)
    assert torch.allclose(found, truth(linear_vae, batch.x), atol=0.02)
    assert torch.allclose(found[usual], integrated_nll(linear_vae, batch.x, 60)[usual], atol=3e-3)
    z, log_weight = lattice(100, 1.5, torch.device("cpu"))
    weight = log_weight.double().exp()
    assert float(weight.sum()) == pytest.approx(1, abs=1e-5)
    assert float((weight * z[:, 0].square()).sum()) == pytest.approx(1, abs=0.01)
    assert float((weight * z[:, 1].double().cos()).sum()) == pytest.approx(math.exp(-0.5), abs=1e-3)


# --- the VAE's objective -------------------------------------------------------------------------------------


def vae(**keys: Any) -> VAE:
    torch.manual_seed(0)
    return small_vae(SPEC, **{"likelihood": GAUSSIAN, **keys})


def test_the_loss_is_made_of_its_terms(batch: Batch) -> None:
    for beta in (1.0, 0.5):
        terms = {name: value.detach() for name, value in vae(objective={"name": "elbo", "beta": beta}).loss(batch).items()}
        assert float(terms["loss"]) == pytest.approx(float(terms["reconstruction"] + beta * terms["kl_to_prior"]), rel=1e-5)
        assert float(terms["neg_elbo"]) == pytest.approx(float(terms["reconstruction"] + terms["kl_to_prior"]), rel=1e-5)


def test_the_kl_weight_rises_in_training_and_never_in_validation(batch: Batch) -> None:
    model = vae(objective={"name": "elbo", "kl_warmup": 4})
    shares = []
    for _ in range(6):
        terms = {name: value.detach() for name, value in model.loss(batch).items()}
        shares.append(float((terms["loss"] - terms["reconstruction"]) / terms["kl_to_prior"]))
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1], rel=1e-3)
    fresh = vae(objective={"name": "elbo", "kl_warmup": 4})
    terms = {name: value.detach() for name, value in fresh.validate(batch).items()}
    assert float(terms["loss"]) == pytest.approx(float(terms["neg_elbo"]), rel=1e-6)
    fresh.eval()
    fresh.loss(batch)
    assert int(fresh.trained_steps) == 0


def test_free_bits_take_the_price_off_what_is_below(batch: Batch) -> None:
    model = vae(objective={"name": "elbo", "free_bits": 50.0})
    terms = model.loss(batch)
    assert float((terms["loss"] - terms["reconstruction"]).detach()) == pytest.approx(100.0, rel=1e-4)  # two dimensions
    (gradient,) = torch.autograd.grad(terms["loss"] - terms["reconstruction"], [model.posterior.head.bias])
    assert float(gradient.abs().max()) == 0
    terms = {name: value.detach() for name, value in vae(objective={"name": "elbo", "free_bits": 1e-6}).loss(batch).items()}
    assert float(terms["loss"]) == pytest.approx(float(terms["neg_elbo"]), rel=1e-4)


def test_more_importance_samples_make_the_objective_tighter(batch: Batch) -> None:
    losses = []
    for k in (1, 4, 64):
        model = vae(objective={"name": "iwae", "k": k} if k > 1 else "elbo")
        with torch.no_grad():
            losses.append(np.mean([float(model.validate(batch)["loss"]) for _ in range(200)]))
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("network", [mlp(16), {**mlp(16), "name": "refined", "block": 3}], ids=["mlp", "refined"])
def test_decoding_begins_at_the_mean_of_the_data(network: dict[str, Any]) -> None:
    model = small_vae(DataSpec((1, 6, 6)), network=network)
    x = torch.rand(200, 1, 6, 6) * torch.linspace(0.2, 1, 6)
    model.initialise(Batch(x))
    z = torch.randn(300, 2) * 0.1
    assert torch.allclose(model.decode(z).mean(0), x.mean(0), atol=0.1)
    unmoved = small_vae(DataSpec((1, 6, 6)), network={**network, "initialisation": "random"})
    unmoved.initialise(Batch(x))
    assert not torch.allclose(unmoved.decode(z).mean(0), x.mean(0), atol=0.1)


@torch.no_grad()
def test_a_conditional_model_sees_the_class_and_asks_for_it() -> None:
    torch.manual_seed(0)
    spec = DataSpec((1, 1, 3), ("a", "b"))
    model = small_vae(spec, conditional=True, likelihood="gaussian")
    x, z = torch.rand(1, 1, 1, 3), torch.zeros(1, 2)
    a, b = torch.tensor([0]), torch.tensor([1])
    assert not torch.allclose(model.decode(z, a), model.decode(z, b))
    assert not torch.allclose(model.encode(x, a), model.encode(x, b))
    with pytest.raises(UserError, match="needs a class"):
        model.encode(x)
    with pytest.raises(UserError, match="no classes"):
        small_vae(SPEC, conditional=True)
    assert "pairs" not in model.can


def test_what_is_looked_at_in_training_changes_nothing(tmp_path: Path) -> None:
    """Batch normalisation and dropout are still while the held-out pictures are shown."""
    from genexp.data.glyphs import Glyphs
    from genexp.fit.gradient import Gradient
    from genexp.fit.state import Training
    from genexp.fit.validation import Watch
    from genexp.folder.run_folder import RunFolder
    from genexp.settings import TrainerSettings

    class Looks(Watch):
        def observe(self, model, batch, step) -> None:
            assert not model.training
            self.seen = model.encode(batch.x, batch.label)

    data = Glyphs(Path(), count=30, validation=20, test=20)
    model = small_vae(data.spec, network={"name": "conv", "encoder_widths": (4, 8), "decoder_widths": (8, 4)}, input_dropout=0.5)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    settings = TrainerSettings(max_steps=1)
    fitter = Gradient(model, data, settings, 0)
    fitter.begin(new=False)
    training = Training(fitter, settings, RunFolder.create("x", str(tmp_path / "run")), Looks())
    training.evaluate(data.heldout(20, 0), 0.0)
    assert training.watch.seen.shape == (20, 2)  # type: ignore[attr-defined]
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, before[name]), name
    assert model.training


# --- the generative topographic mapping -------------------------------------------------------------------------------------


@pytest.fixture
def linear_gtm() -> GTM:
    model = make("gtm", SPEC, likelihood=GAUSSIAN, side=24, inference_side=80, decoder_widths=(8,))
    model._raw = lambda z: Linear()(z, z)  # type: ignore[method-assign]
    return model


@torch.no_grad()
def test_the_gtm_loss_is_the_evidence(linear_gtm: GTM, linear_vae: VAE, batch: Batch) -> None:
    true = float(truth(linear_vae, batch.x).mean())
    assert float(linear_gtm.validate(batch)["loss"]) == pytest.approx(true, abs=0.05)
    torch.manual_seed(0)
    trained = np.mean([float(linear_gtm.loss(batch)["loss"]) for _ in range(50)])
    assert trained == pytest.approx(true, abs=0.1)
    assert float(linear_gtm.loss(batch)["loss"]) != float(linear_gtm.loss(batch)["loss"])  # the lattice moves
    assert torch.allclose(integrated_nll(linear_gtm, batch.x, 100), truth(linear_vae, batch.x), atol=0.02)


@torch.no_grad()
def test_the_gtm_posterior_is_the_true_one(linear_gtm: GTM, linear_vae: VAE, batch: Batch) -> None:
    torch.manual_seed(0)
    mean, variance = linear_vae.decoder.posterior(batch.x)  # type: ignore[operator]
    draws = torch.stack([linear_gtm.draw_posterior(batch.x) for _ in range(400)])
    usual = mean.abs().amax(1) < 1.5
    assert torch.allclose(draws.mean(0)[usual], mean[usual], atol=0.1)
    assert torch.allclose(draws.var(0).mean(0), variance, rtol=0.15)
    assert float((linear_gtm.encode(batch.x) - mean).norm(dim=1).median()) < 0.1


@torch.no_grad()
def test_of_two_modes_the_gtm_takes_one_and_not_what_lies_between() -> None:
    model = make("gtm", DataSpec((1, 1, 1)), likelihood="gaussian", inference_side=60, decoder_widths=(8,))
    model._raw = lambda z: (z[:, :1].abs() + 0.01 * z[:, :1] + 0.3 * z[:, 1:].square())[:, None, None]  # type: ignore[method-assign]
    found = model.encode(torch.ones(1, 1, 1, 1))
    assert 0.7 < abs(float(found[0, 0])) < 1.2


# --- ways through latent space, and classifiers --------------------------------------------------------------


def test_the_ways_begin_and_end_where_they_should() -> None:
    start, end = torch.randn(5), torch.randn(5)
    for way in (linear, spherical):
        path = way(start, end, 9)
        assert torch.allclose(path[0], start, atol=1e-6)
        assert torch.allclose(path[-1], end, atol=1e-6)
    unit = spherical(start / start.norm(), end / end.norm(), 9)
    assert torch.allclose(unit.norm(dim=1), torch.ones(9), atol=1e-5)
    steps = (unit[1:] - unit[:-1]).norm(dim=1)
    assert torch.allclose(steps, steps[0].expand(8), atol=1e-5)
    assert torch.allclose(spherical(start, 2 * start, 5), linear(start, 2 * start, 5))
    assert torch.isfinite(spherical(start, torch.zeros(5), 5)).all()
    assert torch.isfinite(spherical(start, -start, 5)).all()


def test_four_corners_are_at_the_corners() -> None:
    z = torch.randn(4, 3)
    square = four_corners(z, 7)
    for corner, place in zip(z, ((0, 0), (0, 6), (6, 0), (6, 6)), strict=True):
        assert torch.allclose(square[place], corner, atol=1e-6)
    assert torch.allclose(square[0, 3], (z[0] + z[1]) / math.sqrt(2), atol=1e-6)


def knn_accuracy(train, train_label, test, test_label) -> float:
    return float((knn_classes(train, train_label, test) == test_label).mean())


def linear_accuracy(train, train_label, test, test_label) -> float:
    return float((linear_classes(train, train_label, test) == test_label).mean())


def test_classifiers_and_scores_tell_what_can_be_told() -> None:
    random = np.random.default_rng(0)
    label = np.arange(400) % 2
    apart = random.normal(size=(400, 2)) * 0.3 + np.stack([label, label], 1) * 4
    assert knn_accuracy(apart[:200], label[:200], apart[200:], label[200:]) == 1
    assert linear_accuracy(apart[:200], label[:200], apart[200:], label[200:]) == 1
    nothing = random.normal(size=(400, 2))
    assert 0.3 < knn_accuracy(nothing[:200], label[:200], nothing[200:], label[200:]) < 0.7
    ring = np.concatenate([random.normal(size=(200, 2)) * 0.2, apart[:0]])
    angle = random.uniform(0, 6.28, 200)
    ring = np.concatenate([ring, 3 * np.stack([np.cos(angle), np.sin(angle)], 1)])
    rings = np.repeat([0, 1], 200)
    order = random.permutation(400)
    points, rings = ring[order], rings[order]
    assert knn_accuracy(points[:200], rings[:200], points[200:], rings[200:]) > 0.95
    assert linear_accuracy(points[:200], rings[:200], points[200:], rings[200:]) < 0.8
    assert auroc(np.array([1.0, 2, 3]), np.array([4.0, 5])) == 1
    assert auroc(np.array([1.0, 2, 3]), np.array([0.0])) == 0
    assert auroc(np.array([1.0, 3]), np.array([2.0])) == 0.5
    counts = confusion_counts(np.array([0, 0, 1, 2, 2]), np.array([0, 1, 1, 0, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [2, 0, 0]]
    assert count_active(torch.stack([torch.randn(500), 0.01 * torch.randn(500)], 1)) == 1


# --- whole runs ----------------------------------------------------------------------------------------------

GLYPHS = ["experiment=glyphs_vae", "dataset.count=300", "dataset.validation=50", "dataset.test=60", "figures.gif=false"]


def test_the_articles_loss_and_bits_are_those_of_probabilistic_pca(genexp, tiny: list[str]) -> None:
    """For a linear decoder with the true posterior, −ELBO is −ln p of a Gaussian that is known, and so is all that follows."""
    from types import SimpleNamespace

    from genexp.data.images import ImageSet
    from genexp.latent.importance import Importance
    from genexp.measures.probabilistic_pca import fit_ppca
    from genexp.settings import EvaluationSettings, RunSettings
    from genexp.subject import Subject
    from tests.subjects import taken

    torch.manual_seed(0)
    x = (torch.randn(200, 3) @ torch.randn(3, 12) * 12 + 128 + 3 * torch.randn(200, 12)).clamp(0, 255).to(torch.uint8)
    train, test = ImageSet(x[:150].view(-1, 1, 3, 4)), ImageSet(x[150:].view(-1, 1, 3, 4))
    pca = fit_ppca(train.batch().x.flatten(1), 3, noise=0.25)

    class Exact:
        """Probabilistic PCA with σ² = ¼ as a latent-variable model with its exact posterior."""

        latent, likelihood = 3, Gaussian(DataSpec((1, 3, 4)), sigma=0.5, learn_sigma=False)
        can, objective = frozenset({"latents", "posterior"}), "bound"
        weight = pca.directions * (pca.variances.float() - pca.noise).clamp(min=0).sqrt()

        def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
            return (z @ self.weight.T + pca.mean).unflatten(-1, (1, 3, 4))

        def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor | None = None) -> Importance:
            precision = self.weight.T @ self.weight / pca.noise + torch.eye(3)
            covariance = torch.linalg.inv(precision)
            mean = (x.flatten(1) - pca.mean) @ self.weight / pca.noise @ covariance
            posterior = MultivariateNormal(mean, covariance.expand(len(x), 3, 3))
            z = posterior.sample((k,))
            raw = self.decode(z.flatten(0, 1)).unflatten(0, (k, len(x)))
            prior = MultivariateNormal(torch.zeros(3), torch.eye(3))
            return Importance(z, self.likelihood.log_prob(x, raw), prior.log_prob(z), posterior.log_prob(z))

        def infer(self, x: Tensor, label: Tensor | None = None) -> Tensor:
            return x

    settings = RunSettings.model_construct(seed=0, evaluation=EvaluationSettings())
    data = SimpleNamespace(train=train, validation=test, test=test, spec=DataSpec((1, 3, 4)), knows={"examples"})
    found = taken(Subject(Exact(), data, settings, torch.device("cpu")), "article_loss", "squared_error", "bits_per_dim")
    assert found["article_loss"] == pytest.approx(found["baseline/article_loss"], rel=0.05)
    dequantised = test.batch().x.flatten(1) * 255 / 256
    bits = -float(pca.log_prob(dequantised).mean()) / 12 / math.log(2) + 8
    assert found["bits_per_dim"] == pytest.approx(bits, abs=0.01)
    assert (
        Gaussian(DataSpec((1,)), sigma=1.0, learn_sigma=False).bits_per_dim(0.0, 1) == 8
    )  # a density of 1 on [0, 1]: uniform bytes
    nearest = torch.cdist(test.batch().x.flatten(1), train.batch().x.flatten(1)).amin(1).square().mean()
    assert found["baseline/squared_error"] == pytest.approx(float(nearest), rel=1e-5)


def test_bayes_rule_finds_the_class_that_explains_a_picture_best(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from genexp.latent.importance import Importance
    from genexp.measures.classes import by_bayes

    class Constant:
        """Class c paints everything c/2: of no use but for telling the classes apart."""

        def importance(self, x: Tensor, label: Tensor, k: int, parameters: Tensor | None = None) -> Importance:
            error = (x.flatten(1) - label[:, None] / 2).square().sum(1).expand(k, -1)
            return Importance(torch.zeros(k, len(x), 1), -error, torch.zeros_like(error), torch.zeros_like(error))

    x = torch.tensor([0.1, 0.9, 0.45, 0.0]).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    subject = SimpleNamespace(model=Constant(), device=torch.device("cpu"), settings=SimpleNamespace(seed=0))
    assert by_bayes(subject, Batch(x), 3).tolist() == [0, 2, 1, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("words", [["dataset=image_folder", "dataset.path=few"], ["dataset=image_folder", "dataset.path=one"]])
def test_few_pictures_and_a_single_class_are_enough(genexp, tiny: list[str], tmp_path: Path, words: list[str]) -> None:
    from PIL import Image

    for index in range(30):
        for folder in (tmp_path / "few", tmp_path / "one" / "cats"):
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("L", (20, 20), 8 * index).save(folder / f"{index}.png")
    keys = ["dataset.size=16", "dataset.channels=1", "trainer.batch_size=8", "evaluation.num_points=2", "run_dir=here"]
    sizes = ["model.network.encoder_widths=[8]", "model.network.decoder_widths=[8]"]
    tiny = [word for word in tiny if "batch_size" not in word and "num_points" not in word]
    code, _, err = genexp("run", "experiment=glyphs_vae", *words, *tiny, *keys, *sizes)
    assert code == 0, err


def test_a_run_tells_other_data_from_its_own(genexp, tiny: list[str], tmp_path: Path) -> None:
    import json

    tiny = [word for word in tiny if "max_steps" not in word]
    words = [*GLYPHS, *tiny, "trainer.max_steps=60", "evaluation.anomalies=[fashion_mnist]", "evaluation.amortization_images=8"]
    code, _, err = genexp("run", *words, "run_dir=here")
    assert code == 0, err
    metrics = json.loads((tmp_path / "here" / "metrics.json").read_text())
    for name in ("neg_elbo", "iwae_nll", "quadrature_nll"):
        assert 0 <= metrics[f"auroc_{name}/fashion_mnist"] <= 1
        assert metrics[name] > metrics[f"floor/{name}"] > 0
    assert metrics["amortization_gap"] > 0
    assert metrics["amortization_images"] == 8
    assert metrics["neg_elbo"] == pytest.approx(metrics["reconstruction"] + metrics["kl_to_prior"], rel=1e-6)
    assert (tmp_path / "here" / "figures" / "anomalies.png").exists()
    latent = arrays(tmp_path / "here" / "samples" / "samples.npz")["latent"]
    assert latent.shape == (60, 2)


def test_other_data_of_another_shape_or_name_is_refused(genexp, tiny: list[str]) -> None:
    code, _, err = genexp("run", *GLYPHS, *tiny, "dataset.size=16", "evaluation.anomalies=[mnist]")
    assert code == 2
    assert "the pictures of mnist are 1×28×28, not 1×16×16" in err
    code, _, err = genexp("run", *GLYPHS, *tiny, "evaluation.anomalies=[mnits]")
    assert code == 2
    assert "did you mean 'mnist'" in err
    code, _, err = genexp("run", *GLYPHS, *tiny, "figures.pair=[0,60]")
    assert code == 2
    assert "there are 60 test pictures" in err


def test_the_film_of_a_resumed_run_is_whole(genexp, tiny: list[str], tmp_path: Path) -> None:
    from PIL import Image

    tiny = [word for word in tiny if "max_steps" not in word and "gif_frames" not in word]
    keys = [*GLYPHS[:-1], *tiny, "trainer.eval_every=1", "trainer.schedule=constant", "trainer.warmup=0", "run_dir=parts"]
    assert genexp("run", *keys, "trainer.max_steps=3")[0] == 0
    code, _, err = genexp("resume", "parts", "trainer.max_steps=5")
    assert code == 0, err
    with Image.open(tmp_path / "parts" / "figures" / "training.gif") as film:
        assert film.n_frames == 5
