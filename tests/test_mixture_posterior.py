"""The posterior of several Gaussians that asks the decoder: weights, bound and gradients, against sums and quadrature."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import Normalize
from torch import Tensor

from genexp.data.base import Batch, DataSpec
from genexp.figures import guesses as drawing
from genexp.latent.mixture_posterior import MixturePosterior
from genexp.measures.record import pictures
from genexp.pictures import guesses as choosing
from tests.laws.members import shaken
from tests.parts import mlp, vae

MEANS = torch.tensor([[-4.0, 1.0], [3.0, 3.0], [0.0, -5.0]]).double()
STD = torch.tensor([[0.3, 0.5], [0.6, 0.2], [0.4, 0.4]]).double()
SHARES = torch.tensor([0.2, 0.7, 0.1]).double()
LOG_Z = 1.7


def log_target(z: Tensor) -> Tensor:
    """Three Gaussians that are far apart, with the integral e^LOG_Z: z (…, 2) → (…)."""
    parts = torch.distributions.Normal(MEANS, STD).log_prob(z[..., None, :]).sum(-1)
    return (parts + SHARES.log()).logsumexp(-1) + LOG_Z


def told(mean: Tensor, std: Tensor, n: int = 1) -> Tensor:
    """Parameters of n examples before the decoder is asked."""
    return torch.cat([mean, 2 * std.log(), torch.zeros_like(mean[:, :1])], dim=1).expand(n, -1, -1).clone()


def posterior(components: int = 3) -> MixturePosterior:
    torch.manual_seed(0)
    return MixturePosterior(5, 2, components=components).double()


@torch.no_grad()
def test_gaussians_at_all_the_modes_are_the_posterior_and_their_bound_the_evidence() -> None:
    """Whatever else is proposed: a fourth Gaussian where nothing is gets no weight."""
    mean, std = (torch.cat([of_modes, torch.tensor([[value, value]])]) for of_modes, value in ((MEANS, 7.0), (STD, 0.1)))
    q = posterior(4)
    parameters = q.refine(told(mean, std, 2), log_target)
    weights = parameters[..., -1].softmax(-1)
    assert torch.allclose(weights[0, :3], SHARES, atol=1e-6)
    assert float(weights[0, 3]) < 1e-6
    drawn = q.draw(parameters, 2_000)
    assert (log_target(drawn.z) - drawn.log_prob - LOG_Z).abs().max() < 1e-5
    assert torch.allclose(q.centre(parameters), MEANS[1].expand(2, -1))
    counts = (drawn.z[:, :, None] - mean).square().sum(-1).argmin(-1).flatten().bincount(minlength=4) / 4_000
    assert torch.allclose(counts[:3].double(), SHARES, atol=0.03)


@torch.no_grad()
def test_one_good_guess_is_enough() -> None:
    """Of a posterior with a single mode one Gaussian of four is right: the bound is that of the right one."""
    target = torch.distributions.Normal(MEANS[1], STD[1])
    mean, std = torch.cat([MEANS, MEANS[:1] - 3]), STD[1].expand(4, -1)
    q = posterior(4)
    drawn = q.draw(q.refine(told(mean, std), lambda z: target.log_prob(z).sum(-1)), 500)
    assert (target.log_prob(drawn.z).sum(-1) - drawn.log_prob).abs().max() < 1e-5


def test_the_gradient_is_the_bounds_own() -> None:
    """Of E_q[ln p − ln q] in μ and ln σ² at fixed weights, by quadrature; the weights get none."""
    mean = torch.tensor([[-0.5, 0.2], [0.6, -0.3]]).double()
    std = torch.tensor([[0.7, 0.9], [0.5, 0.8]]).double()
    q = posterior(2)
    parameters = q.refine(told(mean, std), lambda z: -0.5 * (z - 0.4).square().sum(-1))
    axis = torch.linspace(-6, 6, 241).double()
    grid = torch.cartesian_prod(axis, axis)[:, None]

    def log_joint(z: Tensor) -> Tensor:
        return -0.3 * (z - 0.4).pow(4).sum(-1) + z[..., 0] * z[..., 1]

    exact = parameters.detach().clone().requires_grad_()
    log_q = q.log_prob(grid, exact)
    (log_q.exp() * (log_joint(grid) - log_q)).sum().mul((12 / 240) ** 2).backward()
    sampled = parameters.detach().clone().expand(40, -1, -1).clone().requires_grad_()
    drawn = q.draw(sampled, 2_000)
    (log_joint(drawn.z) - drawn.log_prob).mean(0).sum().backward()
    each = sampled.grad[..., :-1]  # type: ignore[index]
    error = each.std(0) / len(each) ** 0.5
    assert ((each.mean(0) - exact.grad[0, :, :-1]).abs() <= 5 * error + 1e-3).all()  # type: ignore[index]
    assert not sampled.grad[..., -1].any()  # type: ignore[index]
    asked = told(mean, std).requires_grad_()
    q.refine(asked, lambda z: 3 * z.sum(-1))[..., -1].sum().backward()
    assert asked.grad is None or not asked.grad[..., :2].any()


@torch.no_grad()
def test_the_vae_asks_for_the_joint_density_of_each_example_and_its_class() -> None:
    spec, few = DataSpec((1, 2, 3), ("a", "b"), "unit"), {"name": "mixture", "components": 3}
    model: Any = shaken(vae(spec, latent=2, conditional=True, network=mlp(8), posterior=few)).float().eval()
    x, label = torch.rand(4, 1, 2, 3), torch.tensor([0, 1, 1, 0])
    parameters = model.infer(x, label)
    for n in range(4):
        mean, log_variance = parameters[n, :, :2], parameters[n, :, 2:4]
        raw = model.decoder(mean, torch.nn.functional.one_hot(label[n].expand(3), 2).float())
        log_likelihood = (x[n] * raw - torch.nn.functional.softplus(raw)).flatten(1).sum(1)
        log_prior = -0.5 * mean.square().sum(1) - math.log(2 * math.pi)
        wanted = (log_likelihood + log_prior + 0.5 * log_variance.sum(1)).softmax(0)
        assert torch.allclose(parameters[n, :, -1].softmax(0), wanted, atol=1e-5)
        assert float(wanted.std()) > 1e-3
    assert torch.equal(parameters, model.infer(x, label))


@torch.no_grad()
def test_the_components_begin_apart_and_narrow() -> None:
    q = posterior(6)
    q.start_narrow()
    parameters = q(torch.randn(20, 5).double())
    assert float(parameters[..., 2:4].mean()) == pytest.approx(-3, abs=0.3)
    assert (parameters[..., :2].std(1) > 0.05).all()
    assert abs(float(parameters[..., :2].mean())) < 0.3


@torch.no_grad()
def test_the_picture_of_the_guesses_has_the_true_posterior_with_them_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of x = Wz + b + σε: ln p(z|x) on the grid, z₁ to the right and z₂ upwards; the guesses, the heaviest first, decoded."""
    monkeypatch.setattr(choosing, "SIDE", 9)
    given = []
    monkeypatch.setattr(choosing.drawing, "guesses", lambda shown, reach: given.extend(shown))
    likelihood = {"name": "gaussian", "sigma": 0.8, "learn_sigma": False}
    keys: dict[str, Any] = {"latent": 2, "likelihood": likelihood, "posterior": {"name": "mixture", "components": 4}}
    model = shaken(vae(DataSpec((1, 2, 3), kind="unit"), network={"name": "linear"}, **keys)).float().eval()
    few = Batch(torch.rand(2, 1, 2, 3))
    subject: Any = SimpleNamespace(model=model, test=few, can=model.can, device=torch.device("cpu"))
    assert next(each for each in pictures.all() if each.name == "guesses").needs.model <= model.can
    choosing.guesses(subject)
    mean, _, log_weight = model.posterior.gaussians(model.infer(few.x))
    axis, linear = torch.linspace(-choosing.REACH, choosing.REACH, 9), model.linear()
    for index, each in enumerate(given):
        order = log_weight[index].argsort(descending=True)
        assert each.weight == pytest.approx(log_weight[index, order].exp().numpy())
        assert each.weight[0] > each.weight[-1] + 0.1
        assert np.allclose(each.mean, mean[index, order])
        assert np.allclose(each.decoded, model.decode(mean[index, order]), atol=1e-5)
        assert np.array_equal(each.example, few.x[index])
        assert np.exp(each.plane).sum() == pytest.approx(1, abs=1e-4)
        z = torch.stack([axis.expand(9, 9), axis[:, None].expand(9, 9)], dim=-1).double()
        apart = z - linear.posterior_mean(few.x[index].flatten()[None].double())
        log_p = -0.5 * torch.einsum("...i,ij,...j", apart, linear.precision, apart).numpy()
        assert np.allclose(each.plane - each.plane.max(), log_p - log_p.max(), atol=1e-3)


def test_guesses_are_drawn_where_they_lie_on_a_plane_whose_second_axis_goes_up() -> None:
    plane = np.arange(12.0).reshape(3, 4) - 30
    mean, weight = np.array([[1.0, -2.0], [-0.5, 0.3]]), np.array([0.974, 0.004])
    blank = np.zeros((1, 2, 3))
    figure = drawing.guesses([drawing.Guesses(blank, plane, mean, weight, np.zeros((2, 1, 2, 3)))], 3.0)
    example, there, *decoded = figure.axes
    (image,), (circles,) = there.images, there.collections
    assert image.origin == "lower"
    assert (image.get_extent(), image.get_array().tolist()) == ([-3, 3, -3, 3], plane.tolist())
    assert isinstance(image.norm, Normalize)
    assert (image.norm.vmin, image.norm.vmax) == (-19 - drawing.DEPTH, -19)
    assert np.array_equal(circles.get_offsets(), mean)
    assert np.diff(circles.get_sizes()) == pytest.approx(90 * np.diff(weight))  # areas
    assert [cell.get_title() for cell in (example, there, *decoded)] == ["x", "ln p(z|x)", "97%", "0"]
