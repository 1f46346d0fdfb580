"""Priors and posteriors of every kind: their densities are those of their samples."""

import math

import pytest
import torch
from torch import Tensor

from genexp.data.base import DataSpec
from genexp.errors import UserError
from genexp.latent.base import Given, Posterior, posteriors, priors
from genexp.latent.likelihoods import likelihoods
from tests.laws.members import moments, shaken, variants
from tests.parts import latent

PRIORS, POSTERIORS, LIKELIHOODS = variants(priors), variants(posteriors), variants(likelihoods)
SIDE, REACH = 300, 10.0


def standard(z: Tensor) -> Tensor:
    """ln N(z; 0, I)."""
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


@pytest.mark.parametrize("kind", list(PRIORS))
@torch.no_grad()
def test_a_prior_has_the_mass_one_and_samples_like_its_density(kind: str) -> None:
    """As it begins, shaken, and fitted where it is to be."""
    torch.manual_seed(0)
    space = latent(2, (3,))
    try:
        prior = shaken(priors.build(PRIORS[kind], space))
    except UserError as refusal:
        pytest.skip(refusal.message)
    prior.initialise(torch.rand(200, 3).double())  # type: ignore[operator]
    if prior.fits:
        z = torch.randn(600, 2).double() * torch.tensor([0.5, 1.5]) + 1
        prior.fit(z, None, torch.arange(600) // 4)  # type: ignore[operator]
    weights = torch.randn(3, 4).double()
    given = Given(lambda x: torch.tanh(x.double() @ weights), space.posterior)
    axis = REACH * (2 * (torch.arange(SIDE, dtype=torch.float64) + 0.5) / SIDE - 1)
    points = torch.cartesian_prod(axis, axis)
    mass = prior.log_prob(points, given).double().exp() * (2 * REACH / SIDE) ** 2  # type: ignore[operator]
    assert float(mass.sum()) == pytest.approx(1, abs=5e-3)
    found = moments(prior.sample(20_000, given).double())  # type: ignore[operator]
    assert ((found.mean(0) - mass @ moments(points)).abs() <= 5 * found.std(0) / len(found) ** 0.5 + 3e-3).all()
    assert prior.standard == torch.allclose(prior.log_prob(points, given).double(), standard(points))  # type: ignore[operator]


@pytest.mark.parametrize("kind", list(POSTERIORS))
@pytest.mark.parametrize("size", [1, 2, 4])
@torch.no_grad()
def test_a_posteriors_density_is_that_of_its_samples(kind: str, size: int) -> None:
    """E_q[f(z) N(z; m, s²) / q(z)] is the Gaussian's own mean of f, whatever q is."""
    torch.manual_seed(0)
    posterior: Posterior = shaken(posteriors.build(POSTERIORS[kind], 6, size), 0.1).float()  # type: ignore[assignment]
    parameters = posterior(0.3 * torch.randn(2, 6))
    count = 40_000
    drawn = posterior.draw(torch.zeros_like(parameters) + 0.2 * torch.tanh(parameters), count)
    assert drawn.z.shape == (count, 2, size)
    mean, std = drawn.z.mean(0).double(), 0.5 * drawn.z.std(0).double()  # of a Gaussian that lies well within q
    u = (drawn.z.double() - mean) / std
    weights = (standard(u) - std.log().sum(1) - drawn.log_prob).exp()
    wanted = torch.cat([torch.ones(1).double(), moments(torch.randn(200_000, size).double()).mean(0)])
    for index in range(2):
        values = torch.cat([torch.ones(count, 1).double(), moments(u[:, index])], 1) * weights[:, index, None]
        assert ((values.mean(0) - wanted).abs() <= 5 * values.std(0) / count**0.5 + 8e-3).all()
    assert posterior.centre(parameters).shape == (2, size)


@pytest.mark.parametrize("kind", list(POSTERIORS))
@torch.no_grad()
def test_a_closed_kl_is_the_mean_of_the_samples(kind: str) -> None:
    torch.manual_seed(0)
    posterior: Posterior = shaken(posteriors.build(POSTERIORS[kind], 6, 3)).float()  # type: ignore[assignment]
    parameters = posterior(torch.randn(4, 6))
    exact = posterior.kl_to_standard(parameters)
    if exact is None:
        pytest.skip("it has no closed form")
    drawn = posterior.draw(parameters, 40_000)
    terms = drawn.log_prob - standard(drawn.z)
    assert ((terms.mean(0) - exact.sum(1)).abs() <= 5 * terms.std(0) / 200 + 1e-4).all()


@pytest.mark.parametrize("kind", list(LIKELIHOODS))
@torch.no_grad()
def test_a_likelihood_says_whether_its_pixels_are_independent(kind: str) -> None:
    """They are where no pair of them has more to say than each by itself: ln p(x) − ln p(x_i) − ln p(x_j) + ln p(x_ij) = 0."""
    torch.manual_seed(0)
    for shape in ((3, 1, 2), (1, 2, 3)):
        try:
            spec = DataSpec(shape, kind=likelihoods[LIKELIHOODS[kind]["name"]].kinds[0])  # type: ignore[attr-defined]
            likelihood = shaken(likelihoods.build(LIKELIHOODS[kind], spec))
        except UserError:
            continue
        raw, one = 0.3 + 0.4 * torch.rand(1, *shape).double(), torch.eye(6).double()
        i, j = torch.combinations(torch.arange(6)).T
        x = torch.cat([torch.zeros_like(one[i]), one[i], one[j], one[i] + one[j]]).view(-1, *shape)
        log_p = likelihood.log_prob(x, raw.expand_as(x)).double().view(4, -1)  # type: ignore[operator]
        more = log_p[0] - log_p[1] - log_p[2] + log_p[3]
        assert likelihood.independent == bool(more.abs().max() < 1e-4)
        return
    raise AssertionError(kind)
