"""Pictures that are warped as their latents say, and posteriors that are fitted to them: against shifts and closed forms."""

import math

import pytest
import torch

from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.semi_amortised import SemiAmortisedPosterior
from genexp.nn.exemplars import ExemplarDecoder, ExemplarEncoder, Exemplars
from genexp.nn.pairs import Decoder
from genexp.nn.warped import Warped, field_size, legendre_products
from tests.parts import vae

SHAPE = (2, 12, 16)
NONE = torch.empty(3, 0)


class Fixed(Decoder):
    """The same pictures whatever z, which it takes down."""

    def __init__(self, picture: torch.Tensor) -> None:
        super().__init__()
        self.picture = picture

    def forward(self, z: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        self.seen = z
        return self.picture


def warped(degree: int, picture: torch.Tensor) -> Warped:
    """With an A of its own: θ = 2 z₂, the elements in reverse."""
    found = Warped(Fixed(picture), tuple(picture.shape[1:]), degree)
    with torch.no_grad():
        found.width.copy_(2 * torch.eye(found.size).flip(1))
    return found


def latents(theta: torch.Tensor) -> torch.Tensor:
    """(n, 2, products) → z (n, 4 + their number) whose θ is this, before it four numbers for the coarse decoder."""
    return torch.cat([torch.arange(4.0).expand(len(theta), 4), 0.5 * theta.flatten(1).flip(1)], dim=1)


@torch.no_grad()
def test_a_warp_moves_turns_and_flips_pictures() -> None:
    torch.manual_seed(0)
    picture = torch.rand(3, *SHAPE)
    for degree in (0, 1, 3):
        model, theta = warped(degree, picture), torch.zeros(3, 2, field_size(degree) // 2)
        assert torch.allclose(model(latents(theta), NONE), picture, atol=1e-5)
        assert torch.equal(model.coarse.seen, torch.arange(4.0).expand(3, 4))
        theta[:, 0, 0], theta[:, 1, 0] = 2 * 3 / 16, -2 * 2 / 12  # P_0 P_0: read three pixels to the right and two up
        moved = model(latents(theta), NONE)
        assert torch.allclose(moved[:, :, 2:, :-3], picture[:, :, :-2, 3:], atol=1e-4)
        assert torch.allclose(moved[:, :, 2:, -3:], picture[:, :, :-2, -1:].expand(-1, -1, -1, 3), atol=1e-4)  # as the edge
    square = picture[:, :, :, :12]
    model, theta = warped(2, square), torch.zeros(3, 2, 6)  # products: 1, v, v², u, u v, u², of which v and u are read here
    theta[:, 0, 3], theta[:, 0, 1], theta[:, 1, 1], theta[:, 1, 3] = -1, -1, -1, 1  # (u, v) ← (−v, u)
    assert torch.allclose(model(latents(theta), NONE), square.rot90(1, (2, 3)), atol=1e-4)
    theta = torch.zeros(3, 2, 6)
    theta[:, 0, 3] = -2
    assert torch.allclose(model(latents(theta), NONE), square.flip(3), atol=1e-4)


@torch.no_grad()
def test_the_field_is_of_legendre_s_polynomials_each_by_its_own_number() -> None:
    products = legendre_products(400, 300, 4).double().flatten(1)
    assert len(products) == 15 == field_size(4) // 2
    norms = [1 / ((2 * i + 1) * (2 * j + 1)) for i in range(5) for j in range(5 - i)]
    assert torch.allclose(products @ products.T / products.shape[1], torch.tensor(norms).diag().double(), atol=1e-3)
    model = warped(4, torch.rand(3, *SHAPE))
    theta = torch.randn(3, 2, 15)
    field = torch.einsum("nck,kyx->ncyx", theta, legendre_products(12, 16, 4))
    assert torch.allclose(model.field(latents(theta)[:, 4:]), field, atol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        in_bfloat16 = model(latents(theta), NONE)
    assert torch.allclose(in_bfloat16, model(latents(theta), NONE), atol=1e-5)  # places have all digits


def test_a_warp_is_learnt_by_its_latents() -> None:
    """The gradient of one step says whence a picture was moved, which a model among components cannot say of rows alone."""
    x = torch.randn(40, 3, 8, 8)
    network = {"name": "warped", "components": 12, "encoder_widths": (8, 8), "decoder_widths": (8, 8), "degree": 1}
    model = vae(DataSpec((3, 8, 8)), latent=10, network=network, likelihood={"name": "gaussian"})
    model.initialise(Batch(x))
    assert model.reduce(x) is None
    model.loss(Batch(x))["loss"].backward()
    assert float(model.decoder.width.grad.abs().min()) > 0
    for keys, shape, words in (({"latent": 6}, (3, 8, 8), "takes 6 latents of 6"), ({"latent": 10}, (5,), "no pictures")):
        with pytest.raises(UserError, match=words):
            vae(DataSpec(shape), network=network, likelihood={"name": "gaussian"}, **keys)


# --- posteriors that are fitted ------------------------------------------------------------------------------


PRECISION = torch.tensor([[8.0, 2.0], [2.0, 3.0]])
MEANS = torch.tensor([[1.0, -0.5], [0.3, 0.8]])


def log_joint(z: torch.Tensor) -> torch.Tensor:
    """ln N(z; MEANS_i, PRECISION⁻¹) of z (k, 2, 2)."""
    away = z - MEANS
    return -0.5 * torch.einsum("kni,ij,knj->kn", away, PRECISION, away) + 0.5 * torch.logdet(PRECISION) - math.log(2 * math.pi)


def posterior(steps: int) -> SemiAmortisedPosterior:
    torch.manual_seed(0)
    return SemiAmortisedPosterior(5, 2, steps=steps, rate=0.05).eval()


def test_what_is_fitted_is_the_best_gaussian_of_each_example() -> None:
    """Of a Gaussian p(z|x): its mean, and σ_d² = 1/precision_dd. A correlation is beyond the family, and that is the gap."""
    q = posterior(400)
    begun = torch.tensor([[0.0, 0.0, -3.0, 1.0]]).expand(2, -1).clone().requires_grad_()
    with torch.no_grad():
        found = q.refine(begun, log_joint)
    assert not found.requires_grad
    assert torch.allclose(found[:, :2], MEANS, atol=0.06)
    assert torch.allclose(found[:, 2:], -PRECISION.diagonal().log().expand(2, 2), atol=0.1)
    drawn = q.draw(found, 20_000)
    gap = 0.5 * (PRECISION.diagonal().log().sum() - torch.logdet(PRECISION))
    assert torch.allclose((drawn.log_prob - log_joint(drawn.z)).mean(0), gap.expand(2), atol=0.02)


def test_in_training_and_in_no_steps_the_encoder_s_word_stands() -> None:
    said = torch.randn(2, 4, requires_grad=True)
    assert posterior(0).refine(said, log_joint) is said
    assert posterior(5).train().refine(said, log_joint) is said
    before = said.detach().clone()
    assert not torch.equal(posterior(1).refine(said, log_joint), before)
    assert torch.equal(said.detach(), before)


def test_a_vae_is_measured_with_what_is_fitted() -> None:
    """Its bound is better than the encoder's, and only in evaluation; no weight is moved, or wants a gradient of it."""
    torch.manual_seed(0)
    x = torch.rand(30, 1, 4, 4)
    model = vae(DataSpec((1, 4, 4)), posterior={"name": "semi_amortised", "steps": 100, "rate": 0.05})
    model.initialise(Batch(x))
    assert model.infer(x).requires_grad
    before = {name: weights.clone() for name, weights in model.state_dict().items()}
    model.eval()
    with torch.no_grad():
        fitted = float(model.validate(Batch(x))["loss"])
        model.posterior.steps = 0
        assert fitted < float(model.validate(Batch(x))["loss"]) - 0.3
    assert all(torch.equal(weights, before[name]) for name, weights in model.state_dict().items())
    assert all(weights.requires_grad and weights.grad is None for weights in model.parameters())


# --- exemplars -----------------------------------------------------------------------------------------------


def exemplars(count: int = 30) -> tuple[Exemplars, torch.Tensor]:
    torch.manual_seed(0)
    found, x = Exemplars((3, 6, 8), count), torch.rand(30, 3, 6, 8)
    found.fit(x)
    return found, x


@torch.no_grad()
def test_an_exemplar_is_meant_by_an_interval_and_costs_its_logarithm() -> None:
    found, x = exemplars()
    index = torch.arange(30)
    mean, log_variance = found.told(index).double().unbind(1)
    assert torch.equal(found.meant(mean), index)
    assert found.meant(torch.tensor([-50.0, 50.0])).tolist() == [0, 29]
    many = Exemplars((1, 2, 2), 20_000)
    assert torch.equal(many.meant(many.told(torch.arange(20_000))[:, 0]), torch.arange(20_000))
    z = mean + (0.5 * log_variance).exp() * torch.randn(20_000, 30)
    assert float((found.meant(z) == index).float().mean()) == pytest.approx(0.9973, abs=1e-3)  # within three standard deviations
    kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)
    middle = slice(8, 22)
    assert torch.allclose(kl[middle], torch.tensor(math.log(30) + 0.373).double(), atol=0.01)
    prior = found.meant(torch.randn(300_000)).bincount(minlength=30) / 300_000
    assert torch.allclose(prior, torch.tensor(1 / 30), atol=2e-3)
    assert torch.equal(found.pictures.float().flatten(1).sum(1).sort().values, x.half().float().flatten(1).sum(1).sort().values)
    steps = (found.thumbnails[1:] - found.thumbnails[:-1]).norm(dim=1)
    for step in range(28):  # neighbours: none that is left is more alike
        assert float(steps[step]) <= float((found.thumbnails[step + 1 :] - found.thumbnails[step]).norm(dim=1).min()) + 1e-5
    twice, _ = exemplars(61)
    assert float(twice.thumbnails.sum(1).unique().numel()) == 30


@torch.no_grad()
def test_a_picture_is_found_again_but_in_training_its_neighbours_are_passed_over() -> None:
    found, x = exemplars()
    encoder, decoder, none = ExemplarEncoder(found, 4), ExemplarDecoder(found), torch.empty(30, 0)
    assert torch.allclose(decoder(encoder.eval()(x, none)[:, :1], none), x, atol=1e-3)
    drawn = decoder(encoder.train()(x, none)[:, :1], none)
    nearer = (torch.cdist(x.flatten(1), x.flatten(1)) < (drawn - x).flatten(1).norm(dim=1, keepdim=True) - 1e-3).sum(1)
    assert nearer.tolist() == [4] * 30


def test_of_exemplars_the_width_of_the_warps_is_learnt_and_nothing_else() -> None:
    torch.manual_seed(0)
    fitted = {"name": "semi_amortised", "training_steps": 3, "steps": 3, "held": 1}
    network = {"name": "exemplars", "count": 30, "degree": 1, "apart": 3}
    x = torch.rand(30, 3, 6, 8)
    model = vae(DataSpec((3, 6, 8)), latent=7, network=network, posterior=fitted, likelihood={"name": "gaussian"})
    model.initialise(Batch(x))
    model.loss(Batch(x))["loss"].backward()
    reached = {name for name, weights in model.named_parameters() if weights.grad is not None and weights.grad.abs().max() > 0}
    assert reached == {"decoder.width", "likelihood.log_sigma"}
    model.eval()
    told = model.infer(x)
    for model.posterior.steps in (0, 3):
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.allclose(model.infer(x)[:, [0, 7]], model.encoder(x, None))  # with all digits: the interval is narrow
    assert torch.allclose(told[:, [0, 7]], model.encoder(x, None))  # which exemplar is meant is left as it was said
    assert bool((told[:, 1:7] != 0).any())
    assert torch.allclose(model.decode(told[:, :7]), x, atol=0.5)
    for keys, shape, words in (
        ({"latent": 8}, (3, 6, 8), "6 latents warp"),
        ({"latent": 7, "conditional": True}, (3, 6, 8), "says the class"),
        ({"latent": 7}, (5,), "no pictures"),
    ):
        with pytest.raises(UserError, match=words):
            vae(DataSpec(shape, ("a", "b")), network=network, likelihood={"name": "gaussian"}, **keys)
