"""Local likelihoods, layers of latents, gradients of bounds and the gaps of inference, against sums and formulas."""

from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent import local_autoregressive
from genexp.latent.base import Given, Latent, posteriors, priors
from genexp.latent.hierarchical import Gaussian, HierarchicalPosterior, Measurement, halving
from genexp.latent.importance import Importance
from genexp.latent.likelihoods import Bernoulli, likelihoods
from genexp.latent.objectives import doubly_reparameterised
from genexp.latent.priors import log_standard
from genexp.measures import amortization
from genexp.measures.amortization import gaps
from genexp.measures.gradients import noise_of
from genexp.nn.windows import any_before, patches, wavefronts
from tests.laws.members import moments, shaken
from tests.parts import vae

BITS = DataSpec((1, 3, 3), kind="bits")
EVERY = torch.tensor(list(product([0.0, 1.0], repeat=9))).double().view(-1, 1, 3, 3)


def local(spec: DataSpec = BITS, **keys: Any) -> Any:
    torch.manual_seed(1)
    return shaken(likelihoods.build({"name": "local_autoregressive", "width": 6, **keys}, spec), 0.8)


# --- the local likelihood ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("window", "around", "depth"), [(3, 1, 1), (7, 3, 2)])
@torch.no_grad()
def test_a_local_likelihood_is_one_of_all_pictures_and_of_its_samples(window: int, around: int, depth: int) -> None:
    likelihood, raw = local(window=window, around=around, depth=depth), torch.randn(2, 1, 1, 3, 3).double()
    p = likelihood.log_prob(EVERY, raw.expand(2, 512, 1, 3, 3)).exp()
    assert torch.allclose(p.sum(1), torch.ones(2).double())
    drawn = likelihood.sample(raw[0].expand(10_000, 1, 3, 3))
    number = (drawn.flatten(1) @ 2.0 ** torch.arange(8, -1, -1).double()).long()
    share = torch.bincount(number, minlength=512) / len(drawn)
    assert ((share - p[0]).abs() <= 5 * (p[0] / len(drawn)).sqrt() + 1e-4).all()
    many = likelihood.mean(raw[0].expand(500, 1, 3, 3)).mean(0)
    assert torch.allclose(many, (p[0][:, None, None, None] * EVERY).sum(0), atol=0.03)


@torch.no_grad()
def test_each_pixel_sees_what_is_before_and_near_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixel by pixel, by hand: the bits of its window before it, and the logits around it; each draw of z by its own."""
    likelihood = local(DataSpec((1, 6, 7), kind="bits"), window=5, around=3, depth=2)
    x, raw = torch.bernoulli(torch.full((4, 1, 6, 7), 0.3)).double(), torch.randn(4, 1, 6, 7).double()
    logits = raw.clone()
    for n, row, column in product(range(4), range(6), range(7)):
        seen = [
            float(x[n, 0, row + down, column + right]) if row + down >= 0 and 0 <= column + right < 7 else 0.0
            for down, right in product((-2, -1, 0), range(-2, 3))
            if down < 0 or right < 0
        ]
        if any(seen):
            around = F.pad(raw[n, 0], [1] * 4)[row : row + 3, column : column + 3].flatten()
            h = torch.relu(likelihood.first(torch.cat([torch.tensor(seen).double(), around])))
            logits[n, 0, row, column] += likelihood.last(torch.relu(likelihood.rest[0](h)))[0]
    log_prob = likelihood.log_prob(x, raw)
    assert torch.allclose(log_prob, Bernoulli(likelihood_spec(x)).log_prob(x, logits).double(), atol=1e-4)
    monkeypatch.setattr(local_autoregressive, "_VALUES", 2 * x.numel() * 6)  # two draws of three at a time
    several = likelihood.log_prob(x, torch.stack([raw + 1, raw.flip(0), raw]))
    assert torch.allclose(several[2], log_prob, atol=1e-4)
    assert torch.allclose(several[1].flip(0), likelihood.log_prob(x.flip(0), raw), atol=1e-4)


def likelihood_spec(x: Tensor) -> DataSpec:
    return DataSpec(tuple(x.shape[1:]), kind="bits")


@torch.no_grad()
def test_the_mean_picture_is_that_of_the_likelihood_itself() -> None:
    """Σ_x x p(x|z) over all pictures, and not the decoder's own guess, which knows no neighbours."""
    likelihood, raw = local(window=3), torch.randn(1, 1, 3, 3).double()
    p = likelihood.log_prob(EVERY, raw.expand(512, 1, 3, 3)).exp()
    mean = (p[:, None, None, None] * EVERY).sum(0)
    assert float((mean - torch.sigmoid(raw[0])).abs().max()) > 0.1
    assert torch.allclose(likelihood.mean(raw.expand(500, 1, 3, 3)).mean(0).double(), mean, atol=0.03)


def test_a_local_likelihood_begins_without_a_correction_and_wants_bits() -> None:
    fresh, x, raw = likelihoods.build({"name": "local_autoregressive"}, BITS), EVERY[:9].float(), torch.randn(2, 9, 1, 3, 3)
    assert torch.allclose(fresh.log_prob(x, raw), Bernoulli(BITS).log_prob(x, raw), atol=1e-5)
    for spec, words in ((DataSpec((1, 3, 3), kind="unit"), "zeros and ones"), (DataSpec((4,), kind="bits"), "grey pictures")):
        with pytest.raises(UserError, match=words):
            likelihoods.build({"name": "local_autoregressive"}, spec)
    with pytest.raises(UserError, match="middle"):
        likelihoods.build({"name": "local_autoregressive", "window": 4}, BITS)


@pytest.mark.parametrize("size", [3, 5, 9])
def test_patches_are_the_windows_of_the_pixels_that_are_asked_for(size: int) -> None:
    """Beside torch's own windows; where any pixel before is set, `any_before` says so."""
    torch.manual_seed(0)
    x, reach = torch.bernoulli(torch.full((3, 6, 7), 0.1)), size // 2
    windows = F.unfold(F.pad(x[:, None], [reach] * 4), size).mT.reshape(-1, size**2)
    places = torch.randperm(3 * 6 * 7)[:50]
    assert torch.equal(patches(x, places, size), windows[places])
    before = windows[:, : size**2 // 2]
    assert torch.equal(patches(x, places, size, before=True), before[places])
    assert torch.equal(any_before(x, size).flatten(), before.amax(1) > 0)


def test_wavefronts_visit_each_pixel_once_and_after_those_it_sees() -> None:
    seen: set[tuple[int, int]] = set()
    for rows, columns in wavefronts(5, 6, 5):
        now = list(zip(rows.tolist(), columns.tolist(), strict=True))
        for row, column in now:
            near = product(range(max(0, row - 2), row + 1), range(max(0, column - 2), min(6, column + 3)))
            assert {place for place in near if place < (row, column)} <= seen
        assert not seen & set(now)
        seen |= set(now)
    assert len(seen) == 30


# --- doubly reparameterised gradients ------------------------------------------------------------------------


def test_a_doubly_reparameterised_gradient_is_the_formula() -> None:
    """To the encoder −Σ w̃² ∂ln w/∂z, to the decoder −Σ w̃ ∂ln p/∂θ; the value is the bound."""
    torch.manual_seed(0)
    z, theta = (
        torch.randn(5, 3, 2, dtype=torch.float64, requires_grad=True),
        torch.tensor(0.7, dtype=torch.float64, requires_grad=True),
    )
    through = 1.0 * z
    drawn = Importance(through, -(through - theta).square().sum(-1), -through.square().sum(-1) / 2, through.sin().sum(-1))
    loss = doubly_reparameterised(drawn)
    assert float(loss.detach()) == pytest.approx(-float(drawn.log_evidence().detach().mean()))
    shares = drawn.log_weights().detach().softmax(0)
    by_hand = -2 * (z - theta) - z - z.cos()
    found_z, found_theta = torch.autograd.grad(loss, [z, theta])
    assert torch.allclose(found_z, (-shares.square()[..., None] * by_hand / 3).detach())
    assert float(found_theta) == pytest.approx(-float((shares[..., None] * 2 * (z - theta)).detach().sum() / 3))


def gradients(gradient: str, repeats: int, examples: int = 900, **keys: Any) -> dict[str, Tensor]:
    torch.manual_seed(2)
    model = vae(DataSpec((4,), kind="unit"), objective={"name": "iwae", "k": 3, "gradient": gradient}, **keys)
    shaken(model, 0.4).float()
    batch = Batch(torch.rand(3, 4).repeat(examples // 3, 1))
    found: dict[str, list[Tensor]] = {"encoder": [], "posterior": [], "decoder": []}
    for _ in range(repeats):
        model.zero_grad()
        model.loss(batch)["loss"].backward()
        for name, parts in found.items():
            parts.append(torch.cat([weights.grad.flatten() for weights in getattr(model, name).parameters()]))
    return {name: torch.stack(parts) for name, parts in found.items()}


def apart(one: Tensor, other: Tensor) -> float:
    """The mean square of the differences of their means, in units of their errors: 1 where they are the same."""
    error = (one.var(0) / len(one) + other.var(0) / len(other)).sqrt()
    return float(((one.mean(0) - other.mean(0)) / error.clamp(min=1e-9)).square().mean())


@pytest.mark.parametrize("prior", ["standard", "vamp"])  # the second is made of posteriors: the encoder is in it, too
def test_both_gradients_are_the_same_on_average_and_the_decoders_are_the_same(prior: str) -> None:
    plain, doubly = gradients("plain", 60, prior={"name": prior}), gradients("doubly", 60, prior={"name": prior})
    assert torch.allclose(plain["decoder"], doubly["decoder"], atol=1e-5)
    assert not torch.allclose(plain["encoder"], doubly["encoder"], atol=1e-3)
    assert apart(plain["encoder"], doubly["encoder"]) < 2
    with pytest.raises(UserError, match="doubly reparameterised"):
        vae(DataSpec((4,), kind="unit"), posterior="iaf", objective={"name": "iwae", "gradient": "doubly"})


def test_both_gradients_are_the_same_on_average_for_weights_that_ln_q_has_beside_its_parameters() -> None:
    """Those of the layers, which are the prior's too."""
    keys = {"latent": 3, "posterior": {"name": "hierarchical", "layers": 2, "width": 4}, "prior": "hierarchical"}
    plain, doubly = (gradients(way, 12, 90, **keys)["posterior"] for way in ("plain", "doubly"))
    assert apart(plain, doubly) < 2.5


@pytest.mark.parametrize("name", ["gaussian", "hierarchical", "mixture"])
def test_along_its_samples_ln_q_has_the_gradient_of_z_alone(name: str) -> None:
    torch.manual_seed(0)
    q = shaken(posteriors.build({"name": name}, 5, 4)).float()
    parameters, z = q(torch.randn(3, 5)), torch.randn(2, 3, 4, requires_grad=True)
    along, whole = q.log_prob_along(z, parameters), q.log_prob(z, parameters)  # type: ignore[operator]
    assert torch.equal(along, whole)
    assert torch.equal(*(torch.autograd.grad(each.sum(), z, retain_graph=True)[0] for each in (along, whole)))
    assert not q.log_prob_along(z.detach(), parameters).requires_grad  # type: ignore[operator]
    assert all(weights.requires_grad for weights in q.parameters())


def test_signal_to_noise_is_that_of_known_noise() -> None:
    """Gradients a + bε of the encoder and constant ones of the decoder."""

    class Known(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
            self.posterior, self.likelihood = nn.Module(), nn.Module()

        def infer(self, x: Tensor, label: Tensor | None) -> Tensor:
            return x

        def importance(self, x: Tensor, label: Tensor | None, k: int, parameters: Tensor) -> int:
            return k

    def loss(model: Any, batch: Batch, k: Any, parameters: Tensor) -> Tensor:
        return (3 + 2 * torch.randn(()) / k) * model.encoder.weight.sum() + model.decoder.weight.sum()

    torch.manual_seed(0)
    found = noise_of(Known(), Batch(torch.zeros(1, 1)), loss, (1, 4), repeats=400)
    assert found.encoder[1] == pytest.approx(1.5, rel=0.15)
    assert found.encoder[4] == pytest.approx(6.0, rel=0.15)
    assert found.encoder_variance[1] == pytest.approx(4.0, rel=0.25)
    assert found.decoder[1] > 1e3


# --- layers --------------------------------------------------------------------------------------------------


def ladder(latent: int, layers: int) -> HierarchicalPosterior:
    torch.manual_seed(3)
    made = posteriors.build({"name": "hierarchical", "layers": layers, "width": 8}, 5, latent)
    return shaken(made, 0.3).float()  # type: ignore[return-value]


def test_layers_halve_and_add_up() -> None:
    assert [halving(14, 3), halving(40, 3), halving(3, 3), halving(7, 1)] == [[8, 4, 2], [23, 11, 6], [1, 1, 1], [7]]
    assert ladder(2, 3).sizes == [1, 1]
    with pytest.raises(UserError, match="needs a posterior in layers"):
        vae(DataSpec((4,), kind="unit"), prior="hierarchical")


def test_two_measurements_of_one_number_meet_by_their_precisions() -> None:
    torch.manual_seed(0)
    mean, log_precision, z = torch.randn(4).double(), torch.randn(4).double(), torch.randn(2, 4).double()
    prior = Gaussian(torch.randn(4).double(), torch.randn(4).double())
    alone = Gaussian(mean * (1 + log_precision.exp()) / log_precision.exp(), -log_precision)
    posterior = Measurement(mean, log_precision).under(prior)
    ratio = posterior.log_prob(z) - alone.log_prob(z) - prior.log_prob(z)
    assert torch.allclose(ratio[0], ratio[1])  # the product of the densities, up to a factor
    normals = [MultivariateNormal(each.mean, each.log_variance.exp().diag()) for each in (posterior, prior)]
    assert float(posterior.kl(prior)) == pytest.approx(float(torch.distributions.kl_divergence(*normals)))
    assert torch.allclose(posterior.log_prob(z), normals[0].log_prob(z))


def test_a_layer_that_says_nothing_can_begin_to() -> None:
    """At any precision, none included, q's mean moves with what x says, and no precision makes numbers that are none."""
    mean = torch.zeros(5, requires_grad=True)
    log_precision = torch.tensor([-200.0, -10.0, 0.0, 10.0, 200.0], requires_grad=True)
    standard = Gaussian(torch.zeros(5), torch.zeros(5))
    posterior = Measurement(mean, log_precision).under(standard)
    (moved,) = torch.autograd.grad(posterior.mean.sum(), mean, retain_graph=True)
    assert torch.allclose(moved, torch.ones(5))
    assert torch.allclose(posterior.log_variance, -F.softplus(log_precision))
    (bent,) = torch.autograd.grad(Measurement(mean + 1, log_precision).under(standard).kl(standard), log_precision)
    assert torch.isfinite(bent).all()


@torch.no_grad()
def test_posteriors_in_layers_begin_narrow_where_they_are_told_to() -> None:
    posterior = posteriors.build({"name": "hierarchical", "layers": 2, "width": 8}, 4, 6)
    posterior.start_narrow(-3.0)
    z = torch.randn(3, 6)
    assert torch.allclose(posterior.log_prior(z), log_standard(z))  # as which p(z) begins
    for head in posterior.heads:
        head.weight.zero_()
    mean, log_variance = posterior(torch.randn(5, 4)).chunk(2, dim=-1)
    assert torch.equal(log_variance, torch.full((5, 6), -3.0))
    assert float(mean.abs().max()) < 1


def test_each_layer_learns_what_there_is_to_know() -> None:
    """x_d = w_d z_d + ε_d with z, ε ~ N(0, 1): the layer of z_d carries I = ½ Σ ln(1 + w_d²), even where that is little."""
    torch.manual_seed(0)
    weight = torch.tensor([3.0, 3.0, 2.0, 0.7, 1.0, 0.5, 1.0])
    known = torch.stack([part.sum() for part in (0.5 * torch.log1p(weight.square())).split([4, 2, 1])])
    posterior = posteriors.build({"name": "hierarchical", "layers": 3, "width": 16}, 7, 7)
    posterior.down.requires_grad_(False)  # p(z) stays N(0, I)
    posterior.start_narrow()
    adam = torch.optim.Adam(posterior.parameters(), 2e-2)
    for step in range(300):
        x = weight * torch.randn(64, 7) + torch.randn(64, 7)
        parameters = posterior(x)
        z = posterior.draw(parameters, 1).z
        carried = posterior.layer_kl(z, parameters).mean((0, 1))
        loss = 0.5 * (x - weight * z[0]).square().sum(-1).mean() + carried.sum()
        adam.param_groups[0]["lr"] = 2e-2 * (1 - step / 300)
        adam.zero_grad()
        loss.backward()
        adam.step()
    with torch.no_grad():
        x = weight * torch.randn(20_000, 7) + torch.randn(20_000, 7)
        parameters = posterior(x)
        carried = posterior.layer_kl(posterior.draw(parameters, 1).z, parameters).mean((0, 1))
    assert torch.allclose(carried, known, atol=0.2)


def test_layers_are_charged_by_their_own_divergences() -> None:
    torch.manual_seed(0)
    keys = {"posterior": {"name": "hierarchical", "layers": 3, "width": 8}, "prior": "hierarchical"}
    model = vae(DataSpec((4,), kind="unit"), latent=7, objective={"name": "iwae", "k": 2}, **keys)
    shaken(model, 0.2).float()
    batch = Batch(torch.rand(4000, 4))
    bound = model._bound(batch)
    assert bound.kl.shape == (3,)
    by_samples = bound.drawn.log_posterior - bound.drawn.log_prior
    error = 5 * float(by_samples.detach().std()) / 4000**0.5
    assert float(bound.kl.detach().sum()) == pytest.approx(float(by_samples.detach().mean()), abs=error)


@torch.no_grad()
def test_a_prior_in_layers_has_the_mass_one_and_samples_like_its_density() -> None:
    posterior = ladder(2, 2).double()
    prior = priors.build({"name": "hierarchical"}, Latent(2, (3,), 0, posterior))
    given = Given(lambda x: x, posterior)
    axis = torch.linspace(-8, 8, 321, dtype=torch.float64)
    z = torch.cartesian_prod(axis, axis)
    mass = prior.log_prob(z, given).exp() * 0.05**2
    assert float(mass.sum()) == pytest.approx(1, abs=1e-3)
    found = moments(prior.sample(20_000, given))
    assert ((found.mean(0) - mass @ moments(z)).abs() <= 5 * found.std(0) / 20_000**0.5 + 2e-3).all()


@torch.no_grad()
def test_the_layers_kl_add_up_to_the_whole_and_their_densities_are_those_of_the_samples() -> None:
    posterior = ladder(4, 3)
    parameters = posterior(torch.randn(2, 5))
    drawn = posterior.draw(parameters, 10_000)
    assert torch.allclose(drawn.log_prob, posterior.log_prob(drawn.z, parameters), atol=1e-4)
    whole = drawn.log_prob - posterior.log_prior(drawn.z)
    parts = posterior.layer_kl(drawn.z, parameters)
    assert parts.shape == (10_000, 2, 3)
    error = (whole - parts.sum(-1)).std(0) / 100
    assert ((whole.mean(0) - parts.sum(-1).mean(0)).abs() <= 5 * error).all()
    assert (parts >= 0).all()
    lower = posterior.descend(parameters.new_empty(2, 0), posterior.said(parameters), drawn=1)
    assert lower.shape == (2, 4)


@torch.no_grad()
def test_the_upper_layers_alone_are_from_the_posterior_where_so_many_are_asked_for() -> None:
    """What x says is made exact: its layers are then drawn at its means, the others anywhere."""
    posterior = ladder(7, 3)
    mean = torch.arange(7).float().expand(500, 7) - 3
    parameters = torch.cat([mean, torch.full_like(mean, -30.0)], dim=1)
    z = posterior.descend(mean.new_empty(500, 0), posterior.said(parameters), drawn=2)
    assert torch.allclose(z[:, 4:], mean[:, 4:], atol=1e-4)
    assert float(z[:, :4].std(0).min()) > 0.1


@torch.no_grad()
def test_what_stands_for_a_posterior_in_layers_is_each_layers_mean_given_those_above() -> None:
    posterior = ladder(7, 3)
    parameters = posterior(torch.randn(4, 5))
    centre, said = posterior.centre(parameters), posterior.said(parameters)
    for index, layer, prior in posterior.of(centre):
        assert torch.allclose(layer, said[index].under(prior).mean, atol=1e-6)


# --- gaps ----------------------------------------------------------------------------------------------------


def test_the_familys_gap_is_that_of_a_diagonal_gaussian_beside_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """x = Wz + b + σε: the best diagonal Gaussian is ½ [Σ ln Λ_ii − ln det Λ] from the posterior, of precision Λ."""
    torch.manual_seed(0)
    keys = {"network": {"name": "linear"}, "likelihood": {"name": "gaussian", "sigma": 0.8, "learn_sigma": False}}
    model = vae(DataSpec((1, 1, 3), kind="unit"), latent=2, **keys).eval()
    x = torch.rand(4, 1, 1, 3)
    settings = SimpleNamespace(
        seed=0, evaluation=SimpleNamespace(amortization_images=4, importance_samples=400, quadrature_side=150)
    )
    subject = SimpleNamespace(model=model, test=Batch(x), settings=settings, device=torch.device("cpu"), can=model.can, found={})
    monkeypatch.setattr(amortization, "fitted_posteriors", partial(amortization.fitted_posteriors, steps=150))
    found, precision = gaps(subject), model.linear().precision
    best = 0.5 * float(precision.diagonal().log().sum() - torch.logdet(precision))
    assert best > 0.02
    assert found.evidence == pytest.approx(float(model.linear().log_prob(x.flatten(1).double()).mean()), abs=0.01)
    assert found.evidence - found.fitted == pytest.approx(best, abs=0.03)
    elbo = model.linear().elbo(x.flatten(1).double(), model.infer(x).detach().double())
    assert found.encoder == pytest.approx(float(elbo.mean()), abs=0.15)
