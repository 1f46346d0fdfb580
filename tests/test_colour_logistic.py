"""The likelihood whose colours depend on each other: its probabilities, samples and beginning, against sums and regression."""

import pytest
import torch
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.latent.colour_logistic import ColourLogistic
from genexp.latent.likelihoods import DiscretisedLogistic
from tests.parts import vae

SPEC = DataSpec((3, 1, 2), kind="unit")
BYTES = torch.arange(256).double() / 255


def coupled() -> ColourLogistic:
    torch.manual_seed(0)
    likelihood = ColourLogistic(SPEC, sigma=0.05).double()
    likelihood.coupling.data = torch.randn_like(likelihood.coupling)
    likelihood.pixels.log_scale.data += 0.3 * torch.randn_like(likelihood.pixels.log_scale)
    return likelihood


def logs(likelihood: ColourLogistic, x: Tensor, raw: Tensor) -> Tensor:
    return likelihood.log_prob(x.view(-1, 3, 1, 2), raw.expand(len(x.view(-1, 3, 1, 2)), -1, -1, -1))


@torch.no_grad()
def test_the_bytes_of_each_colour_have_probability_one_given_those_before() -> None:
    """A sum over the last colour leaves what the first two have; over the second, too, what the first has."""
    likelihood, raw = coupled(), torch.tensor([0.3, 0.6, 0.2, 0.9, 0.5, 0.02]).double().view(1, 3, 1, 2)
    pixels = likelihood.pixels
    x = torch.tensor([0.35, 0.5, 0.3, 0.8, 0.4, 0.1]).double().mul(255).round().div(255).view(3, 2)
    last = x.expand(256, 3, 2).clone()
    last[:, 2, 0] = BYTES
    blue = logs(likelihood, last, raw).exp().sum()
    both = x.expand(256, 256, 3, 2).clone()
    both[..., 1, 0], both[..., 2, 0] = BYTES[:, None], BYTES
    green_and_blue = logs(likelihood, both.flatten(0, 1), raw).exp().sum()
    for mass, known in ((blue, ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1))), (green_and_blue, ((0, 0), (0, 1), (1, 1), (2, 1)))):
        means = likelihood.located(x.view(1, 3, 1, 2), raw)
        rest = 0.0
        for c, w in known:
            one = DiscretisedLogistic(DataSpec((1, 1, 1), kind="unit")).double()
            one.log_scale.data = pixels.log_scale[c : c + 1, :, w : w + 1].clone()
            rest += float(one.log_prob(x[c, w].view(1, 1, 1, 1), means[:, c : c + 1, :, w : w + 1]))
        assert float(mass.log()) == pytest.approx(rest, abs=1e-5)


@torch.no_grad()
def test_a_colour_sees_those_before_it_at_its_own_pixel_and_the_mean_moves_with_their_error() -> None:
    likelihood, raw = coupled(), torch.rand(1, 3, 1, 2).double()
    x = torch.rand(1, 3, 1, 2).double()
    jacobian = torch.autograd.functional.jacobian(lambda x: likelihood.located(x, raw)[0], x)[:, :, :, 0]  # type: ignore[index]
    for w in range(2):
        wanted = likelihood.coupling[:, :, 0, w].tril(-1)
        assert torch.allclose(jacobian[:, 0, w, :, 0, w], wanted)
        assert not jacobian[:, 0, w, :, 0, 1 - w].any()
    assert torch.allclose(likelihood.located(raw, raw), raw)


@torch.no_grad()
def test_samples_have_the_frequencies_of_the_probabilities() -> None:
    likelihood = coupled()
    raw = torch.tensor([0.4, 0.5, 0.6, 0.5, 0.5, 0.4]).double().view(1, 3, 1, 2)
    x = likelihood.sample(raw.expand(2, 20_000, -1, -1, -1).clone()).flatten(0, 1).double()
    assert torch.allclose(x * 255, (x * 255).round(), atol=1e-4)
    mean = likelihood.located(x, raw)
    std = likelihood.pixels.log_scale.exp() * torch.pi / 3**0.5
    u = ((x - mean) / std).flatten(1)
    assert u.mean(0).abs().max() < 0.05
    assert (u.square().mean(0) - 1).abs().max() < 0.08
    apart = u.T @ u / len(u) - torch.eye(6)
    assert (apart - torch.diag(apart.diag())).abs().max() < 0.05


@torch.no_grad()
def test_it_begins_as_the_regression_of_one_colours_error_by_the_others() -> None:
    torch.manual_seed(0)
    red, green, blue = 0.05 * torch.randn(3, 1000, 1, 2)
    error = torch.stack([red, 0.8 * red + 0.3 * green, -0.5 * red + 0.7 * green + 0.2 * blue], dim=1)
    raw = 0.5 + 0.1 * torch.rand(1000, 3, 1, 2)
    likelihood = ColourLogistic(SPEC)
    likelihood.initialise(raw + error, lambda few: raw[: len(few)])
    exact = torch.tensor([0.8, -0.5 - 0.7 / 0.3 * 0.8, 0.7 / 0.3])
    found = torch.stack([likelihood.coupling[1, 0], likelihood.coupling[2, 0], likelihood.coupling[2, 1]])[:, 0]
    assert (found - exact[:, None]).abs().max() < 0.08
    std = likelihood.pixels.log_scale.exp() * torch.pi / 3**0.5
    assert torch.allclose(std[:, 0], torch.tensor([0.05, 0.015, 0.01])[:, None].expand(3, 2), rtol=0.1)
    plain = DiscretisedLogistic(SPEC)
    plain.log_scale.data = (error.square().mean(0).sqrt() * 3**0.5 / torch.pi).log()
    x = raw + error
    assert float(likelihood.log_prob(x, raw).mean()) > float(plain.log_prob(x, raw).mean()) + 3  # of 2 ln(0.04/0.015) and more


def test_without_coupling_and_without_colours_it_is_the_logistic() -> None:
    torch.manual_seed(0)
    for shape in ((3, 4, 4), (1, 4, 4), (5,)):
        spec = DataSpec(shape, kind="unit")
        x, raw = torch.rand(2, *shape), torch.rand(4, 2, *shape)
        ours, plain = ColourLogistic(spec), DiscretisedLogistic(spec)
        assert torch.equal(ours.log_prob(x, raw), plain.log_prob(x, raw))
        assert torch.equal(ours.mean(3 * raw - 1), plain.mean(3 * raw - 1))
        assert ours.bits_per_dim(50.0, 7) == plain.bits_per_dim(50.0, 7)
        model = vae(spec, likelihood="colour_logistic", latent=2)
        model.initialise(Batch(torch.rand(20, *shape)))
        model.loss(Batch(x))["loss"].backward()
        assert all(weights.grad is not None for weights in model.parameters() if weights.requires_grad)
        assert model.sample(3).shape == (3, *shape)


@torch.no_grad()
def test_colours_without_error_begin_half_a_byte_wide_and_scales_that_are_not_learnt_stay() -> None:
    x = torch.rand(40, 3, 1, 2)
    x[:, :, :, 0] = 1  # white paper, which the decoder knows
    learnt, fixed = ColourLogistic(SPEC), ColourLogistic(SPEC, sigma=0.07, learn_sigma=False)
    for likelihood in (learnt, fixed):
        likelihood.initialise(x, lambda few: torch.ones_like(few))
        assert torch.isfinite(likelihood.coupling).all()
        assert likelihood.coupling[1, 0, 0, 1] != 0
    std = learnt.pixels.log_scale.exp() * torch.pi / 3**0.5
    assert torch.allclose(std[:, 0, 0], torch.full((3,), 0.5 / 255))
    assert learnt.pixels.log_scale.requires_grad
    assert not fixed.pixels.log_scale.requires_grad
    assert torch.allclose(fixed.pixels.log_scale.exp() * torch.pi / 3**0.5, torch.tensor(0.07))
