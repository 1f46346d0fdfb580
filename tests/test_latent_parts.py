"""The parts of a latent-variable model: flows have their Jacobians, densities their mass, masks their order."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from genexp.article.latent import through_flow
from genexp.bijections.base import conditioners
from genexp.data.augment import Augmentation
from genexp.data.base import Batch, DataSpec, EpochStream
from genexp.data.images import ImageData, ImageSet
from genexp.errors import UserError
from genexp.fit.gradient import Gradient
from genexp.latent.base import Given, posteriors, priors
from genexp.latent.colour_logistic import ColourLogistic
from genexp.latent.likelihoods import DiscretisedLogistic, Gaussian
from genexp.latent.mixture import MixturePrior
from genexp.latent.networks import networks
from genexp.latent.posteriors import GaussianPosterior, bounded
from genexp.latent.priors import FlowPrior, StandardNormal, VampPrior, log_standard
from genexp.latent.spline_posterior import SplineFlow
from genexp.measures.copies import ratio_of_distances
from genexp.measures.neighbours import likeness
from genexp.measures.probabilistic_pca import fit_ppca
from genexp.nn.autoregressive import MADE
from genexp.nn.mlp import Added
from genexp.nn.pairs import Decoder
from genexp.nn.principal import PrincipalComponents
from genexp.nn.refined import Refined
from genexp.optim.schedule import Rate
from genexp.settings import TrainerSettings
from tests.parts import given, latent, make, mlp, vae


def shaken(module: torch.nn.Module, by: float = 0.3) -> torch.nn.Module:
    """The same with parameters away from their beginning, in float64."""
    torch.manual_seed(1)
    for weights in module.parameters():
        weights.data += by * torch.randn_like(weights)
    return module.double()


@torch.no_grad()
def test_bytes_under_the_discretised_logistic_have_probability_one() -> None:
    x = (torch.arange(256, dtype=torch.float64) / 255).view(-1, 1, 1, 1)
    for mean, sigma in ((0.3, 0.1), (0.999, 0.01), (1.4, 0.2), (-0.2, 1e-3), (0.5, 3.0)):
        likelihood = DiscretisedLogistic(DataSpec((1, 1, 1)), sigma=sigma).double()
        log_p = likelihood.log_prob(x, torch.full((256, 1, 1, 1), mean, dtype=torch.float32))
        assert torch.isfinite(log_p).all()
        assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-4)
    likelihood = DiscretisedLogistic(DataSpec((1, 1, 1)), sigma=0.1).double()
    middle = likelihood.log_prob(x, torch.full((256, 1, 1, 1), 0.5))
    mean = float((middle.exp() * x.flatten()).sum())
    spread = float((middle.exp() * (x.flatten() - mean).square()).sum()) ** 0.5
    assert mean == pytest.approx(0.5, abs=1e-3)
    assert spread == pytest.approx(0.1, rel=0.02)
    assert likelihood.bits_per_dim(8 * math.log(2), 1) == pytest.approx(8)  # uniform bytes


@torch.no_grad()
def test_greys_of_few_levels_have_probability_one_and_cost_bits_of_those() -> None:
    spec = DataSpec((1, 1, 1), kind="unit", levels=17)
    x = (torch.arange(17) / 16).view(-1, 1, 1, 1)
    for likelihood in (DiscretisedLogistic(spec, sigma=0.2), ColourLogistic(spec, sigma=0.2)):
        log_p = likelihood.log_prob(x, torch.full((17, 1, 1, 1), 0.3))
        assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-4)
        drawn = likelihood.sample(torch.full((1000, 1, 1, 1), 0.3))
        assert {float(value) for value in (16 * drawn).unique()} <= set(range(17))
    assert Gaussian(spec).bits_per_dim(0.0, 1) == pytest.approx(math.log2(17))  # of a density of 1: all are as likely
    bits = DiscretisedLogistic(DataSpec((1, 1, 1), kind="bits"), sigma=0.5)
    both = bits.log_prob(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1), torch.full((2, 1, 1, 1), 0.8)).exp()
    assert float(both.sum()) == pytest.approx(1, abs=1e-5)
    assert both[1] > 0.7


def test_an_autoregressive_network_looks_back_only() -> None:
    network = shaken(MADE(5, 3, 16, outputs=2))
    z, context = torch.randn(5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda z: network(z[None], context[None])[0], z)  # (2, 5, 5)
    assert torch.equal(jacobian.triu(), torch.zeros_like(jacobian))
    assert (jacobian.tril(-1)[:, 1:].abs().sum(-1) > 0).all()
    by_context = torch.autograd.functional.jacobian(lambda c: network(z[None], c[None])[0], context)
    assert (by_context.abs() > 0).all()  # that of the first, too, which sees nothing else
    assert torch.equal(MADE(5, 3, 16, outputs=2)(torch.randn(4, 5), torch.randn(4, 3)), torch.zeros(4, 2, 5))


@pytest.mark.parametrize("kind", ["iaf", "nflows_iaf"])
def test_the_flow_of_a_posterior_counts_its_volume(kind: str) -> None:
    posterior = shaken(posteriors.part(kind, blocks=3, width=12, context=5)(4, 3))
    posterior.push = lambda z, context: posterior.flow(z, context)  # type: ignore[method-assign,assignment]
    context, z = torch.randn(1, 5, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda z: posterior.flow(z[None], context)[0][0], z)  # type: ignore[operator]
    _, log_det = posterior.flow(z[None], context)  # type: ignore[operator]
    assert float(log_det.detach()) == pytest.approx(float(torch.linalg.slogdet(jacobian).logabsdet), abs=1e-8)
    parameters = torch.randn(6, 11, dtype=torch.float64)
    torch.manual_seed(3)
    drawn = posterior.draw(parameters, 4)  # type: ignore[operator]
    torch.manual_seed(3)
    base = posterior.base.draw(parameters[:, :6], 4)  # type: ignore[operator,union-attr]
    pushed, volume = posterior.flow(base.z[2], parameters[:, 6:])  # type: ignore[operator]
    assert torch.allclose(drawn.z[2], pushed)
    assert torch.allclose(drawn.log_prob[2], base.log_prob[2] - volume)
    assert torch.allclose(posterior.centre(parameters), posterior.flow(parameters[:, :3], parameters[:, 6:])[0])  # type: ignore[operator]


def test_our_flow_begins_as_the_identity() -> None:
    posterior = posteriors.part("iaf", blocks=2, width=12, context=5)(4, 3)
    z = torch.randn(7, 3)
    pushed, log_det = posterior.push(z, torch.randn(7, 5))  # type: ignore[operator]
    assert torch.allclose(pushed, z)
    assert torch.equal(log_det, torch.zeros(7))


def test_strange_pictures_cannot_ask_for_endless_variance() -> None:
    usual = torch.tensor([-20.0, -3.0, 0.0, 1.9])
    assert torch.equal(bounded(usual), usual)
    wild = torch.tensor([66.0, 1000.0], requires_grad=True)
    assert float(bounded(wild).detach().max()) < 10
    (slope,) = torch.autograd.grad(bounded(wild).sum(), wild)
    assert (slope > 0).all()


@torch.no_grad()
def test_no_posterior_of_gaussians_asks_for_endless_variance() -> None:
    torch.manual_seed(0)
    strange = 1e6 * torch.randn(4, 5)
    assert float(posteriors.part("gaussian")(5, 2)(strange)[:, 2:].max()) < 20  # type: ignore[operator]
    assert float(posteriors.part("mixture")(5, 2)(strange)[..., 2:-1].max()) < 20  # type: ignore[operator]
    layered = shaken(posteriors.part("hierarchical", layers=2)(5, 3)).float()
    assert float(layered.above(0, 1e6 * torch.randn(4, 1)).log_variance.max()) < 20  # type: ignore[operator]


@torch.no_grad()
def test_a_residual_layer_adds_to_what_it_is_given() -> None:
    """Equal widths only; with a layer's weights at zero it gives on what it was given, and a plain one nothing."""
    z, x, none = torch.randn(6, 3), torch.rand(6, 4), torch.empty(6, 0)
    for residual in (True, False):
        model = vae(DataSpec((4,)), latent=3, network=mlp(5, 7, 7, residual=residual))
        last = [layer for layer in model.decoder.net.modules() if isinstance(layer, torch.nn.Linear)]
        assert [layer.in_features for layer in last] == [3, 5, 7, 7]
        h = torch.nn.functional.silu(last[1](torch.nn.functional.silu(last[0](z))))
        new = torch.nn.functional.silu(last[2](h))
        assert torch.allclose(model.decoder(z, none), last[3](h + new if residual else new), atol=1e-6)
        features = model.encoder(x, none)
        inner = [layer for layer in model.encoder.rest.modules() if isinstance(layer, torch.nn.Linear)]
        assert [layer.in_features for layer in inner] == [5, 7]
        inner[1].weight.zero_(), inner[1].bias.zero_()
        assert bool((model.encoder(x, none) != 0).any()) == residual
        assert not torch.allclose(features, model.encoder(x, none))


class AsItIs(Decoder):
    """Decodes z as the picture that it is."""

    def forward(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return z.unflatten(1, (2, 12, 16))


@torch.no_grad()
def test_pictures_are_refined_by_their_neighbourhoods() -> None:
    torch.manual_seed(0)
    z, none = torch.randn(3, 384), torch.empty(3, 0)
    refined = Refined(AsItIs(), (2, 12, 16), block=2, channels=8, activation="tanh")
    picture = z.unflatten(1, (2, 12, 16))
    assert torch.equal(refined(z, none), picture)  # at the beginning
    refined.first.weight.zero_(), refined.first.bias.zero_()
    refined.first.weight[:, :, 1, 1], refined.last.weight[:, :, 1, 1] = torch.eye(8), 3 * torch.eye(8)
    assert torch.allclose(refined(z, none), picture + 3 * picture.tanh(), atol=1e-5)  # l + W₂ tanh(W₁ l), block by block
    shaken(refined)
    x = picture.double()
    moved = refined(x.roll((2, 4), (2, 3)).flatten(1), none).roll((-2, -4), (2, 3))
    assert torch.allclose(moved[:, :, 4:6, 4:6], refined(x.flatten(1), none)[:, :, 4:6, 4:6])  # whose reach no edge cuts off
    other = x.clone()
    other[:, :, 0, 0] += 1
    reach = (refined(other.flatten(1), none) != refined(x.flatten(1), none)).any(0).any(0)
    expected = torch.zeros(12, 16, dtype=torch.bool)
    expected[:6, :6] = True  # two blocks of two pixels beyond its own
    assert torch.equal(reach, expected)


@pytest.mark.parametrize("residual", [True, False])
def test_the_settings_of_refined_networks_reach_both_of_them(residual: bool) -> None:
    widths = {"encoder_widths": (5, 5), "decoder_widths": (6, 6)}
    network = {"name": "refined", "residual": residual, "activation": "tanh", "channels": 7, "block": 2, **widths}
    model = vae(DataSpec((1, 8, 8)), network=network)
    for half in (model.encoder, model.decoder.coarse):
        assert any(isinstance(layer, Added) for layer in half.modules()) == residual
    assert not any(isinstance(layer, torch.nn.SiLU) for layer in model.modules())
    assert (model.decoder.first.in_channels, model.decoder.first.out_channels) == (4, 7)


# --- priors --------------------------------------------------------------------------------------------------


def mass(prior, pseudo=None, side: int = 400, reach: float = 12.0) -> float:
    points = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 * reach - reach
    return float(prior.log_prob(torch.cartesian_prod(points, points), given(pseudo)).exp().sum() * (2 * reach / side) ** 2)


def fitted_mixture() -> MixturePrior:
    torch.manual_seed(0)
    prior = MixturePrior(latent(2), components=3)
    z = torch.cat(
        [torch.randn(300, 2) * torch.tensor([0.5, 1.5]) + 3, torch.randn(300, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.3]])]
    )
    prior.fit(z)
    return prior.double()


@torch.no_grad()
def test_every_prior_has_the_mass_one_and_samples_like_its_density() -> None:
    torch.manual_seed(0)
    pseudo = torch.tensor([[1.0, -2.0, 0.3, -1.0], [-3.0, 0.0, -0.5, 1.0]], dtype=torch.float64)
    cases = [
        (StandardNormal(latent(2)).double(), None),
        (shaken(FlowPrior(latent(2), blocks=4, conditioner=conditioners.part("mlp", width=8)), 0.2), None),
        (shaken(VampPrior(latent(2, (1, 2, 2)), pseudo_inputs=2)), pseudo),
        (fitted_mixture(), None),
        (MixturePrior(latent(2), components=4).double(), None),
    ]
    for prior, known in cases:
        assert mass(prior, known) == pytest.approx(1, abs=2e-3), prior
        with torch.no_grad():
            samples = prior.sample(40_000, given(known)).double()
            # E[g] for the indicator of a half plane, by samples and by quadrature
            side, reach = 400, 12.0
            points = (torch.arange(side, dtype=torch.float64) + 0.5) / side * 2 * reach - reach
            grid = torch.cartesian_prod(points, points)
            density = prior.log_prob(grid, given(known)).exp() * (2 * reach / side) ** 2
        for direction in torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]], dtype=torch.float64):
            expected = float(density[grid @ direction > 0.3].sum())
            assert float((samples @ direction > 0.3).double().mean()) == pytest.approx(expected, abs=0.02), prior


def test_a_mixture_that_is_not_fitted_yet_is_the_standard_normal() -> None:
    prior, z = MixturePrior(latent(3), components=5), torch.randn(4, 7, 3)
    assert torch.allclose(prior.log_prob(z), log_standard(z), atol=1e-5)
    assert torch.allclose(FlowPrior(latent(3)).log_prob(z), log_standard(z), atol=1e-5)


def test_the_fitted_mixture_is_scikit_learns() -> None:
    from sklearn.mixture import GaussianMixture

    z = torch.cat([torch.randn(200, 2), torch.randn(200, 2) * 0.3 + 4])
    prior = MixturePrior(latent(2), components=2)
    prior.fit(z)
    mixture = GaussianMixture(2, reg_covar=0.01 * float(z.double().numpy().var(0).mean()), random_state=0, max_iter=50, tol=1e-2)
    expected = mixture.fit(z.double().numpy()).score_samples(z.double().numpy())
    standard = log_standard(z).double() + math.log(0.01)
    assert torch.allclose(
        prior.log_prob(z).double(), torch.logaddexp(standard, torch.from_numpy(expected) + math.log(0.99)), atol=1e-3
    )
    far = torch.tensor([[-9.0, 9.0]])
    assert float(prior.log_prob(far)) > float(log_standard(far)) - 4.7
    assert prior.log_prob(z).mean() > log_standard(z).mean() + 1


@pytest.mark.parametrize(
    "prior",
    [
        fitted_mixture,
        lambda: shaken(FlowPrior(latent(2), blocks=4, conditioner=conditioners.part("mlp", width=8)), 0.2),
        lambda: VampPrior(latent(2), pseudo_inputs=2),
    ],
)
@torch.no_grad()
def test_priors_keep_their_digits_under_autocast(prior) -> None:
    prior, known = prior().float(), given(torch.tensor([[1.0, -2.0, -5.0, -6.0], [-3.0, 0.0, -5.0, -4.0]]))
    z = torch.randn(100, 2) * 0.1 + torch.tensor([1.0, -2.0])
    with torch.autocast("cpu", torch.bfloat16):
        coarse = prior.log_prob(z, known)
    assert torch.allclose(coarse, prior.log_prob(z, known), atol=1e-3)


@torch.no_grad()
def test_a_spline_posterior_keeps_its_digits_under_autocast() -> None:
    torch.manual_seed(0)
    flow = shaken(SplineFlow(4, blocks=2, width=64, context=8, bins=8, bound=5.0), 0.5).float()
    z, context = torch.randn(500, 4), torch.randn(500, 8)
    with torch.autocast("cpu", torch.bfloat16):  # whose networks say something else, but a spline all the same
        _, log_det = flow(z, context)
    assert torch.isfinite(log_det).all()
    assert torch.allclose(log_det.mean(), flow(z, context)[1].mean(), rtol=0.01)


def test_a_mixture_that_does_not_help_is_not_taken() -> None:
    torch.manual_seed(0)
    z = torch.randn(60, 20)
    prior = MixturePrior(latent(20), components=6)
    prior.fit(z)
    assert not prior.fitted
    assert torch.allclose(prior.log_prob(z), log_standard(z), atol=1e-4)
    assert prior.sample(5).shape == (5, 20)


def test_every_class_has_its_own_part_of_the_mixture() -> None:
    torch.manual_seed(0)
    z, label = torch.cat([torch.randn(300, 2) - 4, torch.randn(300, 2) + 4]), torch.arange(2).repeat_interleave(300)
    prior = MixturePrior(latent(2, classes=2), components=4)
    prior.fit(z, label)
    for index in (0, 1):
        drawn = prior.sample(500, given(label=torch.full((500,), index)))
        assert float((drawn.mean(1) > 0).double().mean()) == pytest.approx(index, abs=0.02)
    stacked = torch.stack([z[:5], z[-5:]])  # (k, n, latent), with a label for each n
    found = prior.log_prob(stacked, given(label=torch.zeros(5, dtype=torch.long)))
    assert float(found[0].min()) > -10
    assert float(found[1].max()) < -10
    assert float(prior.log_prob(stacked).max()) <= 0


def test_a_vamp_prior_is_the_mean_of_its_posteriors() -> None:
    prior = VampPrior(latent(2, (1, 2, 2)), pseudo_inputs=3)
    pseudo, z = torch.randn(3, 4), torch.randn(5, 2)
    mean, log_variance = pseudo.chunk(2, dim=1)
    parts = Normal(mean, (0.5 * log_variance).exp()).log_prob(z[:, None]).sum(-1)
    assert torch.allclose(prior.log_prob(z, given(pseudo)), parts.logsumexp(1) - math.log(3), atol=1e-4)
    narrow = torch.cat([5 + torch.randn(3, 2), torch.full((3, 2), -12.0)], dim=1)
    near = narrow[:, :2] + math.exp(-6) * torch.randn(3, 2)
    centre = narrow[:, :2].double()
    near_parts = Normal(centre, torch.full_like(centre, -6.0).exp()).log_prob(near.double()[:, None]).sum(-1)
    exact = near_parts.logsumexp(1) - math.log(3)
    assert torch.allclose(prior.log_prob(near, given(narrow)).double(), exact, atol=1e-4)  # far away, and all digits there
    with torch.no_grad():
        prior.moved[1] = torch.tensor([0.5, -1.0, 0.2, 0.4])
    parts[:, 1] = Normal(mean[1] + prior.moved[1, :2], (0.5 * (log_variance[1] + prior.moved[1, 2:])).exp()).log_prob(z).sum(-1)
    assert torch.allclose(prior.log_prob(z, given(pseudo)), parts.logsumexp(1) - math.log(3), atol=1e-4)
    x = torch.rand(2, 1, 2, 2)
    prior.initialise(x)
    sums = {round(float(picture.sum()), 4) for picture in x}
    assert {round(float(picture.sum()), 4) for picture in prior.inputs.detach()} == sums
    many = VampPrior(latent(2, (1, 2, 2)), pseudo_inputs=6)
    many.initialise(x)
    assert [int((many.inputs.detach() == picture).flatten(1).all(1).sum()) for picture in x] == [3, 3]  # in turn


def test_pseudo_inputs_are_not_learnt_where_no_example_varies() -> None:
    torch.manual_seed(0)
    x = torch.rand(400, 1, 2, 2)
    x[:, 0, 0, 0] = 0.7
    x[:, 0, 0, 1] = (torch.arange(400) == 7).float()  # one of 400
    x[:, 0, 1, 0] = (torch.arange(400) < 5).float()  # five
    prior, encode = VampPrior(latent(2, (1, 2, 2)), pseudo_inputs=12), nn.Linear(4, 4)
    prior.initialise(x)
    with torch.no_grad():
        prior.inputs.add_(torch.rand_like(prior.inputs))
    asked = Given(lambda u: encode(u.flatten(1)), GaussianPosterior(4, 2))
    prior.log_prob(torch.randn(30, 2), asked).sum().backward()
    assert (prior.inputs.grad.flatten(1).abs().sum(0) > 0).tolist() == [False, False, True, True]
    assert (encode.weight.grad.abs().sum(0) > 0).tolist() == [True, False, True, True]  # 0.7 is not black
    assert prior.examples[:, 0, 0].tolist() == [[pytest.approx(0.7), 0]] * 12


# --- networks ------------------------------------------------------------------------------------------------


def pictures(n: int = 60, side: int = 8) -> torch.Tensor:
    torch.manual_seed(0)
    low = torch.rand(n, 3, 2, 2)
    return torch.nn.functional.interpolate(low, size=(side, side), mode="bilinear").clamp(0, 1)


def test_principal_components_are_the_data_s() -> None:
    x = pictures()
    principal = PrincipalComponents((3, 8, 8), 12)  # pictures made of twelve numbers
    principal.fit(x)
    u = principal.whiten(x)
    assert torch.allclose(u.var(0, unbiased=False), torch.ones(12), atol=0.03)
    assert torch.allclose((u.T @ u / len(u) - torch.eye(12)).abs().max(), torch.tensor(0.0), atol=0.03)
    assert float((principal.colour(u) - x).square().mean()) < 1e-4
    with pytest.raises(UserError, match="only 60 examples"):
        PrincipalComponents((3, 8, 8), 60).fit(x)
    with pytest.raises(UserError, match="only 192 values"):
        PrincipalComponents((3, 8, 8), 193)


@torch.no_grad()
def test_a_linear_start_is_probabilistic_pca() -> None:
    torch.manual_seed(0)
    x = pictures(200)
    keys = {"latent": 12, "likelihood": {"name": "gaussian", "sigma": 0.03}}
    network = {"name": "principal", "components": 12}
    model = vae(DataSpec((3, 8, 8)), network={**network, "initialisation": "linear"}, **keys)
    model.initialise(Batch(x))
    model.eval()
    decoded = model.decode(model.encode(x))
    assert float((decoded - x).square().sum((1, 2, 3)).mean()) < 0.05 * float((x - x.mean(0)).square().sum((1, 2, 3)).mean())
    rest = vae(DataSpec((3, 8, 8)), network=network, **keys)
    rest.initialise(Batch(x))
    assert float(model.validate(Batch(x))["neg_elbo"].detach()) < float(rest.validate(Batch(x))["neg_elbo"].detach())


@pytest.mark.parametrize("network", networks.names())
@pytest.mark.parametrize("posterior", posteriors.names())
@pytest.mark.parametrize("prior", priors.names())
def test_parts_go_together(network: str, posterior: str, prior: str) -> None:
    few_numbers = {
        "principal": {"components": 12},
        "warped": {"components": 12, "degree": 0},
        "exemplars": {"degree": 0, "count": 9},
    }
    more = {**few_numbers, "vamp": {"pseudo_inputs": 4}}
    widths = {} if network in ("linear", "exemplars") else {"encoder_widths": (8, 8), "decoder_widths": (8, 8)}
    few = {"name": network, **widths, **more.get(network, {})}
    keys = {"network": few, "posterior": posterior, "prior": {"name": prior, **more.get(prior, {})}, "likelihood": "logistic"}
    torch.manual_seed(0)
    wanted = {"vamp": {"gaussian"}, "through_flow": {"iaf", "nflows_iaf", "spline"}, "hierarchical": {"hierarchical"}}
    if posterior not in wanted.get(prior, {posterior}) or (network, prior) == ("exemplars", "vamp"):  # looked up: no gradient
        with pytest.raises(UserError, match=rf"model/prior={prior} needs"):
            vae(DataSpec((3, 8, 8)), latent=3, **keys)
        return
    model = vae(DataSpec((3, 8, 8)), latent=3, **keys)
    batch = Batch(pictures())
    model.initialise(batch)
    model.loss(batch)["loss"].backward()
    assert all(weights.grad is not None for weights in model.parameters())
    model.eval()
    model.conclude(batch)
    assert model.sample(5).shape == (5, 3, 8, 8)
    assert torch.isfinite(model.validate(batch)["loss"]).all()
    assert model.encode(batch.x).shape == (60, 3)


def test_what_cannot_be_is_refused() -> None:
    for name in ("coupling_flow", "flow", "flow_matching"):
        with pytest.raises(UserError, match="learns points, and not data of shape 1×28×28"):
            make(name, DataSpec((1, 28, 28)))
    for spec, keys, words in (
        (DataSpec((3, 9, 9)), {"network": "conv"}, "halve a picture of 9×9"),
        (DataSpec((2,)), {"network": "conv"}, "halve a picture of 2 "),
        (DataSpec((3, 9, 9)), {"network": "refined"}, "of shape 3×9×9 are not made of 4×4 blocks"),
        (DataSpec((2,)), {"network": "refined"}, "of shape 2 are not made of 4×4 blocks"),
        (DataSpec((3, 8, 8)), {"network": {"name": "principal", "components": 4}}, "decodes values, not logits"),
        (DataSpec((3, 8, 8)), {"prior": "mixture", "latent": 1000}, "at most 512"),
        (DataSpec((3, 8, 8)), {"network": mlp(8, initialisation="linear")}, r"model\.network\.initialisation=linear"),
        (DataSpec((3, 8, 8)), {"objective": {"name": "iwae", "beta": 0.5}}, r"unknown key 'model\.objective\.beta'"),
        (DataSpec((3, 8, 8)), {"prior": "through_flow"}, "needs a posterior with a flow"),
        (DataSpec((3, 8, 8), ("a", "b")), {"prior": "vamp", "conditional": True}, "Gaussian posteriors of x alone"),
    ):
        with pytest.raises(UserError, match=words):
            vae(spec, **keys)


def test_the_articles_way_of_sampling_is_another() -> None:
    torch.manual_seed(0)
    keys = {"posterior": "nflows_iaf", "latent": 3}
    wrong, right = (vae(DataSpec((1, 4, 4)), prior=prior, **keys) for prior in ("through_flow", "standard"))
    right.load_state_dict(wrong.state_dict())
    torch.manual_seed(1)
    a = wrong.sample_latent(2000)
    torch.manual_seed(1)
    b = right.sample_latent(2000)
    assert float(b.std()) == pytest.approx(1, abs=0.05)
    assert float(a.std()) < 0.9  # nflows' steps shrink
    torch.manual_seed(1)
    pushed, _ = wrong.posterior.push(torch.randn(2000, 3), torch.zeros(2000, 128))
    assert torch.equal(a, pushed)
    torch.manual_seed(1)
    assert torch.equal(through_flow(right.posterior, 2000), a)
    torch.manual_seed(2)
    sampled = wrong.sample(5)
    torch.manual_seed(2)
    assert torch.allclose(sampled, wrong.decode(wrong.sample_latent(5)))


# --- baselines and samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [30, 500])
def test_probabilistic_pca_is_the_gaussian_it_says(count: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(count, 40, dtype=torch.float64) @ torch.randn(40, 40, dtype=torch.float64) / 6
    for noise in (None, 0.25):
        model = fit_ppca(x, 5, noise)
        weight = model.directions * (model.variances - model.noise).clamp(min=0).sqrt()
        covariance = weight @ weight.T + model.noise * torch.eye(40, dtype=torch.float64)
        expected = MultivariateNormal(model.mean, covariance).log_prob(x[:7])
        assert torch.allclose(model.log_prob(x[:7]), expected, atol=1e-6)
    full = fit_ppca(x[:, :5], 5, noise=1e-6) if count > 40 else None  # a direction for each number: the noise has none left
    if full is not None:
        best = MultivariateNormal(full.mean, torch.cov(x[:, :5].T, correction=0)).log_prob(x[:, :5]).mean()
        assert float(full.log_prob(x[:, :5]).mean()) == pytest.approx(float(best), abs=1e-9)
    best = fit_ppca(x, 5).log_prob(x).mean()
    for noise in (0.5 * fit_ppca(x, 5).noise, 2 * fit_ppca(x, 5).noise):
        assert fit_ppca(x, 5, noise).log_prob(x).mean() < best


def test_likeness_knows_copies_collapse_and_strangers() -> None:
    torch.manual_seed(0)
    real, other = torch.randn(400, 3), torch.randn(400, 3)
    same = likeness(real, other)
    assert min(same.precision, same.recall, same.coverage) > 0.85
    assert same.density == pytest.approx(1, abs=0.15)
    collapsed = likeness(real, 0.05 * torch.randn(400, 3))
    assert collapsed.precision > 0.9
    assert collapsed.recall < 0.1
    assert collapsed.coverage < 0.5
    far = likeness(real, torch.randn(400, 3) + 20)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)
    usual = float(torch.cdist(other, real).amin(1).median())
    assert ratio_of_distances(real[:50] + 1e-4, other, real) == pytest.approx(1e-4 * 3**0.5 / usual, rel=1e-2)
    assert ratio_of_distances(torch.randn(400, 3), other, real) == pytest.approx(1, abs=0.2)


def test_warps_move_some_pictures_and_leave_the_others() -> None:
    x = pictures(200, side=16)
    generator = torch.Generator().manual_seed(0)
    warped = Augmentation(20.0, 0.1, 0.05, share=0.5)(x, generator)
    moved = (warped != x).flatten(1).any(1)
    assert 0.35 < float(moved.double().mean()) < 0.65
    assert float((warped[moved] - x[moved]).abs().mean()) > 0.005
    assert torch.allclose(Augmentation(0.0, 0.0, 0.0, share=1.0)(x, generator), x, atol=1e-4)
    again = Augmentation(20.0, 0.1, 0.05, share=0.5)(x, torch.Generator().manual_seed(0))
    assert torch.equal(warped, again)
    bright = torch.ones(4, 3, 16, 16)
    assert torch.allclose(Augmentation(45.0, 0.3, 0.2, share=1.0)(bright, generator), bright)  # the border goes on


def test_components_that_are_hardly_there_are_not_blown_up() -> None:
    torch.manual_seed(0)
    x = pictures(100) + 1e-4 * torch.randn(100, 3, 8, 8)  # twelve numbers and a little noise
    principal = PrincipalComponents((3, 8, 8), 60)
    principal.fit(x)
    assert float(principal.whiten(pictures(100)).abs().max()) < 20
    assert torch.isfinite(principal.colour(principal.whiten(x))).all()
    narrow = PrincipalComponents((3, 2, 2), 5)  # more examples than values
    narrow.fit(torch.rand(300, 3, 2, 2))
    assert torch.allclose(narrow.basis.float().T @ narrow.basis.float(), torch.eye(5), atol=0.02)


@pytest.mark.parametrize(
    "keys", [{}, {"conditional": True}, {"conditional": True, "objective": {"name": "iwae", "k": 3}}], ids=["", "classes", "iwae"]
)
def test_reduced_pictures_have_the_loss_and_the_gradients_of_pictures(
    keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, few = pictures() + 0.05 * torch.randn(60, 3, 8, 8), {"name": "principal", "components": 9}
    model = vae(
        DataSpec((3, 8, 8), ("a", "b")),
        network={**few, "encoder_widths": (8, 8), "decoder_widths": (8, 8)},
        likelihood="gaussian",
        latent=3,
        **keys,
    )
    model.initialise(Batch(x))
    shaken(model).float()
    principal = model.encoder.principal
    principal.basis = torch.linalg.qr(principal.basis).Q  # of rounded axes, orthogonal ones
    batch = Batch(x[:20], torch.arange(20) % 2)
    rows = model.reduce(batch.x)
    assert rows.shape == (20, 10)
    found = []
    for seen, reduce in ((batch.x, None), (batch.x, type(model).reduce), (rows, type(model).reduce)):
        monkeypatch.setattr(model, "reduce", (lambda x: None) if reduce is None else reduce.__get__(model))
        torch.manual_seed(1)
        terms = model.loss(Batch(seen, batch.label))
        weights = [one for one in model.parameters() if one.requires_grad]
        found.append([*(value.detach() for value in terms.values()), *torch.autograd.grad(terms["loss"], weights)])
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            torch.testing.assert_close(same, one, rtol=1e-4, atol=1e-4 * float(one.abs().max()))


def test_pictures_are_reduced_only_where_nothing_else_is_asked_of_them() -> None:
    x, few = pictures(), {"name": "principal", "components": 9}
    for keys in ({"likelihood": "logistic"}, {"likelihood": "gaussian", "input_dropout": 0.1}):
        assert vae(DataSpec((3, 8, 8)), network=few, **keys).reduce(x) is None
    assert vae(DataSpec((3, 8, 8)), likelihood="gaussian").reduce(x) is None
    assert vae(DataSpec((12,)), network=few, likelihood="gaussian").reduce(torch.rand(5, 12)) is None


def test_a_prepared_stream_gives_the_same_examples_in_the_same_order() -> None:
    x = (255 * pictures()).byte()
    plain, prepared, kept = (EpochStream(x, torch.arange(60), 16, seed=3) for _ in range(3))
    prepared.prepare(lambda part: part.flatten(1)[:, :5])
    kept.prepare(lambda part: None)
    for _ in range(5):
        one, two, three = plain.next(), prepared.next(), kept.next()
        assert torch.equal(two.x, one.x.flatten(1)[:, :5])
        assert torch.equal(two.label, one.label)
        assert torch.equal(three.x, one.x)


def test_training_reduces_pictures_once_and_warped_ones_in_each_step() -> None:
    x = (255 * pictures()).byte()
    for warps, shape in ((Augmentation(0.0, 0.0, 0.0, 0.0), (16, 10)), (Augmentation(9.0, 0.0, 0.0, 0.7), (16, 3, 8, 8))):
        data = ImageData()
        data.parts(ImageSet(x), ImageSet(x[:4]), ImageSet(x[:4]))
        data.augmentation = warps
        model = vae(data.spec, network={"name": "principal", "components": 9}, likelihood="gaussian")
        fitter = Gradient(model, data, TrainerSettings(max_steps=1, batch_size=16), 0)
        fitter.begin(new=True)
        fitter.ready()
        assert fitter.stream.next().x.shape == shape
        assert torch.isfinite(fitter.step(fitter.stream.next(), Rate(1.0), 1)["loss"])
