"""The linear VAE: its integrals in closed form, and probabilistic PCA as its optimum."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.distributions import LowRankMultivariateNormal, MultivariateNormal, Normal, kl_divergence

from genexp.context import Context
from genexp.data.base import Batch, DataSpec
from genexp.latent.linear_gaussian import LinearGaussian
from genexp.measures import collapse, linear
from genexp.measures.probabilistic_pca import fit_ppca
from genexp.models.vae import VAE
from genexp.registry import models

PARTS = {"name": "vae", "network": {"name": "linear"}}
GAUSSIAN = {"name": "gaussian", "sigma": 0.6, "learn_sigma": False}


def some(d: int = 5, latent: int = 3, n: int = 7) -> tuple[LinearGaussian, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    weight, mean, x = (torch.randn(shape, dtype=torch.float64) for shape in ((d, latent), (d,), (n, d)))
    parameters = torch.randn(n, 2 * latent, dtype=torch.float64)
    return LinearGaussian(weight, mean, torch.tensor(0.4, dtype=torch.float64)), x, parameters


def test_the_likelihood_is_that_of_a_gaussian_of_low_rank() -> None:
    own, x, _ = some()
    theirs = LowRankMultivariateNormal(own.mean, own.weight, own.variance.expand(5))
    assert torch.allclose(own.log_prob(x), theirs.log_prob(x))


def test_the_elbo_its_parts_and_the_gap_are_those_of_torchs_gaussians() -> None:
    own, x, parameters = some()
    mu, log_variance = parameters.chunk(2, dim=1)
    covariance = torch.linalg.inv(own.precision)
    exact = MultivariateNormal(own.posterior_mean(x), covariance.expand(7, 3, 3))
    q = MultivariateNormal(mu, torch.diag_embed(log_variance.exp()))
    prior = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    assert torch.allclose(own.gap(x, parameters), kl_divergence(q, exact))
    assert torch.allclose(own.kl(parameters).sum(1), kl_divergence(q, prior))
    assert torch.allclose(own.elbo(x, parameters) + own.gap(x, parameters), own.log_prob(x))  # found in two ways
    z = q.sample((40_000,))
    log_p = Normal(z @ own.weight.T + own.mean, own.variance.sqrt()).log_prob(x).sum(-1)
    assert torch.allclose(-log_p.mean(0), own.reconstruction(x, parameters), atol=6 * float(log_p.std(0).max()) / 200)
    joint = log_p + prior.log_prob(z) - exact.log_prob(z)  # Bayes: the same at every z
    assert torch.allclose(joint, own.log_prob(x).expand_as(joint))


def optimum(x: torch.Tensor, latent: int) -> VAE:
    """The linear VAE set to probabilistic PCA by hand."""
    model = models.build({**PARTS, "latent": latent, "likelihood": GAUSSIAN}, DataSpec((x.shape[1],), (), "real"), Context())
    model.initialise(Batch(x))
    best = fit_ppca(x, latent, 0.6**2)
    scale = (best.variances - best.noise).sqrt()
    head = model.posterior.head
    with torch.no_grad():
        model.decoder.map.weight.copy_(best.directions * scale)
        model.decoder.map.bias.copy_(best.mean)
        head.weight.zero_()
        head.bias.zero_()
        head.weight[:latent] = (best.directions * scale / best.variances).T
        head.bias[latent:] = (best.noise / best.variances).log()
    return model.eval()


def test_probabilistic_pca_is_where_nothing_is_left_to_gain() -> None:
    """The gap, the angle and the gradient vanish; below σ² a unit is dead; and any step away costs something."""
    torch.manual_seed(1)
    x = torch.randn(4_000, 5) * torch.tensor([3.0, 2.0, 1.0, 0.5, 0.3]) @ torch.linalg.qr(torch.randn(5, 5)).Q + 1
    model = optimum(x, 4)
    assert "linear" in model.can
    data = SimpleNamespace(examples=lambda size, seed: Batch(x))
    settings = SimpleNamespace(seed=0)

    def subject() -> SimpleNamespace:
        about = {"model": model, "can": model.can, "data": data, "settings": settings, "log_scale": 0.0}
        return SimpleNamespace(**about, device=torch.device("cpu"), found={}, test=Batch(x[:500]))

    assert float(linear.pca_gap(subject()).value) == pytest.approx(0, abs=1e-5)
    assert float(linear.pca_angle(subject()).value) == pytest.approx(0, abs=0.1)
    assert float(linear.posterior_gap(subject()).value) == pytest.approx(0, abs=1e-5)
    collapsed = collapse.collapsed_units(subject())
    assert (collapsed.value, collapsed.exact) == (1, 1)
    weight = model.decoder.map.weight.detach().double()
    covariance = weight @ weight.T + 0.36 * torch.eye(5)
    exact = MultivariateNormal(model.decoder.map.bias.detach().double(), covariance).log_prob(x[:500].double())
    nll, bound = linear.closed_nll(subject()), linear.closed_neg_elbo(subject())
    assert [nll.value, nll.baseline, bound.value, bound.floor] == pytest.approx([-float(exact.mean())] * 4, abs=1e-4)
    found = linear.trained(subject())
    assert torch.allclose(found.kl[:3], 0.5 * (found.eigenvalues[:3] / 0.36).log(), atol=1e-3)
    with torch.no_grad():
        for weights in (model.decoder.map.weight, model.posterior.head.weight, model.posterior.head.bias):
            weights[0] += 0.05
            assert float(linear.pca_gap(subject()).value) > 1e-4
            weights[0] -= 0.05
        turn = torch.linalg.qr(torch.randn(4, 4)).Q  # another basis: the same p(x), but no diagonal posterior fits it
        model.decoder.map.weight.copy_(model.decoder.map.weight @ turn)
        found = linear.trained(subject())
    assert torch.allclose(found.own.log_prob(found.x), found.best.log_prob(found.x))
    assert float(linear.pca_gap(subject()).value) > 0.1
    bound = linear.closed_neg_elbo(subject())
    assert float(bound.value) > float(bound.floor) + 0.1
    assert float(bound.floor) == pytest.approx(-float(exact.mean()), abs=1e-4)
    least = torch.linalg.eigh(torch.cov(x.T)).eigenvectors[:, 0]  # turn the first direction by 30 degrees, out of all others
    with torch.no_grad():
        first = found.best.directions[:, 0].float()
        model.decoder.map.weight.copy_(found.best.directions.float() * 2)
        model.decoder.map.weight[:, 3] = 1e-3 * first  # a latent that hardly says anything does not make up for it
        model.decoder.map.weight[:, 0] = 2 * (math.cos(math.pi / 6) * first + math.sin(math.pi / 6) * least)
    assert float(linear.pca_angle(subject()).value) == pytest.approx(30, abs=0.1)


def test_it_begins_at_the_mean_of_the_data() -> None:
    torch.manual_seed(3)
    x = torch.randn(50, 4) + 5
    model = models.build({**PARTS, "latent": 2, "likelihood": GAUSSIAN}, DataSpec((4,), (), "real"), Context())
    model.initialise(Batch(x))
    assert torch.allclose(model.decode(torch.zeros(1, 2))[0], x.mean(0))
    assert torch.allclose(model.encoder(x, x.new_empty(50, 0)).mean(0), torch.zeros(4), atol=1e-5)


def test_what_training_estimates_is_the_formula() -> None:
    """The objective of the model, a Monte Carlo mean over z, against the ELBO of the same weights."""
    torch.manual_seed(2)
    x = torch.randn(50, 4)
    model = models.build({**PARTS, "latent": 2, "likelihood": GAUSSIAN}, DataSpec((4,), (), "real"), Context()).eval()
    losses = torch.stack([model.loss(Batch(x))["loss"] for _ in range(500)]).detach().double()
    exact = -model.linear().elbo(x.double(), model.infer(x).double()).mean().detach()
    assert float(losses.mean() - exact) == pytest.approx(0, abs=5 * float(losses.std()) / math.sqrt(len(losses)) + 1e-5)


@pytest.mark.parametrize(
    "keys",
    [
        {"network": {"name": "mlp"}},
        {"likelihood": {"name": "bernoulli"}},
        {"posterior": {"name": "iaf"}},
        {"prior": {"name": "vamp"}},
    ],
)
def test_only_what_is_linear_throughout_says_so(keys: dict) -> None:
    settings = {**PARTS, "latent": 2, "likelihood": GAUSSIAN, **keys}
    assert "linear" not in models.build(settings, DataSpec((4,), (), "unit"), Context()).can
