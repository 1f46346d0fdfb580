"""Bijections of pictures, alone: as those of vectors are. And what stands outside of them: noise of greys, preprocessing."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from genexp.bijections.dequantisation import continuous, dequantisations, greys
from genexp.bijections.multi_scale import MultiScale
from genexp.bijections.picture_base import PictureBijection, picture_bijections
from genexp.bijections.picture_coupling import PictureCoupling, halves
from genexp.bijections.preprocessing import preprocessings
from genexp.errors import UserError
from tests.laws.members import shaken, variants
from tests.parts import make

BIJECTIONS = variants(picture_bijections)
PREPROCESSINGS, DEQUANTISATIONS = variants(preprocessings), variants(dequantisations)
every = pytest.mark.parametrize("kind", list(BIJECTIONS))
SHAPE = (2, 4, 4)
LEVELS = 8


def built(kind: str, layer: int = 0, seed: int = 0) -> PictureBijection:
    """One layer, shaken, after its first look at data."""
    torch.manual_seed(seed)
    bijection: Any = shaken(picture_bijections.build(BIJECTIONS[kind], SHAPE, layer))
    bijection.initialise(torch.randn(100, *SHAPE, dtype=torch.float64) * 0.8 + 0.3)
    return bijection  # type: ignore[no-any-return]


def log_det(function: Any, x: Tensor) -> Tensor:
    """ln |det| of the Jacobian at each of a few pictures, by autograd."""
    found = [torch.autograd.functional.jacobian(lambda v: function(v[None])[0].flatten(), each) for each in x]
    return torch.stack([torch.linalg.slogdet(each.reshape(32, 32)).logabsdet for each in found])


@every
@pytest.mark.parametrize("layer", [0, 1])
def test_the_inverse_undoes_and_both_determinants_are_autograds(kind: str, layer: int) -> None:
    bijection = built(kind, layer)
    x = 2 * torch.randn(2, *SHAPE, dtype=torch.float64)
    z, forwards = bijection(x)
    back, backwards = bijection.inverse(z)
    assert z.shape[1:] == bijection.after
    assert not torch.allclose(z.flatten(), x.flatten(), atol=1e-3)
    assert torch.allclose(back, x, atol=1e-8)
    assert torch.allclose(forwards, log_det(lambda v: bijection(v)[0], x), atol=1e-8)
    assert torch.allclose(backwards, log_det(lambda v: bijection.inverse(v)[0], z), atol=1e-8)


@every
@torch.no_grad()
def test_float32_brings_a_picture_back_and_so_does_a_copy_of_the_weights(kind: str) -> None:
    one, other = built(kind), built(kind, seed=1)
    other.load_state_dict(one.state_dict())
    x = 2 * torch.randn(50, *SHAPE, dtype=torch.float64)
    assert all(torch.equal(a, b) for a, b in zip(one(x), other(x), strict=True)), "nothing is initialised again"
    z, found = one.float()(x.float())
    assert z.dtype == found.dtype == torch.float32
    assert torch.allclose(one.inverse(z)[0].double(), x, atol=1e-3)
    assert torch.allclose(found.double(), other(x)[1], atol=1e-3)


@every
def test_far_outside_gradients_are_finite(kind: str) -> None:
    bijection = built(kind)
    x = torch.stack([torch.full(SHAPE, far, dtype=torch.float64) for far in (1e3, -1e3)]).requires_grad_()
    z, found = bijection(x)
    (z.sum() + found.sum()).backward()
    reached = [weights.grad for weights in bijection.parameters() if weights.grad is not None]
    assert all(bool(torch.isfinite(each).all()) for each in (z, found, x.grad, *reached))


def test_a_squeeze_makes_half_of_the_channels_one_colour_of_a_checkerboard() -> None:
    row = torch.arange(4)
    board = ((row[:, None] + row) % 2).expand(3, 4, 4)[None].float()
    z, _ = picture_bijections.build({"name": "squeeze"}, (3, 4, 4), 0)(board)
    assert bool((z[:, :6] == 0).all())
    assert bool((z[:, 6:] == 1).all())


def test_actnorm_looks_once_and_begins_at_mean_0_and_deviation_1() -> None:
    actnorm: Any = picture_bijections.build({"name": "actnorm"}, SHAPE, 0).double()
    x = 3 * torch.randn(400, *SHAPE, dtype=torch.float64) - 5
    actnorm.initialise(x)
    z = actnorm(x)[0]
    assert torch.allclose(z.mean((0, 2, 3)), torch.zeros(2).double(), atol=1e-9)
    assert torch.allclose(z.std((0, 2, 3), unbiased=False), torch.ones(2).double(), atol=1e-9)
    assert torch.equal(actnorm(x + 7)[0], (x + 7 - actnorm.mean) * torch.exp(-actnorm.log_scale)), "and not again"


def test_couplings_in_turn_halve_the_channels_in_every_way() -> None:
    moved = [set(halves(8, layer // 2, layer % 2 == 1)[4:]) for layer in range(6)]
    assert moved == [{4, 5, 6, 7}, {0, 1, 2, 3}, {2, 3, 6, 7}, {0, 1, 4, 5}, {1, 3, 5, 7}, {0, 2, 4, 6}]
    assert sorted(halves(3, 5, True)) == [0, 1, 2]
    with pytest.raises(UserError, match="splits channels"):
        PictureCoupling((1, 4, 4), 0)


@torch.no_grad()
def test_what_a_scale_gives_out_is_first_freed_of_what_the_rest_tells_of_it() -> None:
    """The half that is given out is the second one, an affine map of what it was, given the other."""
    torch.manual_seed(0)
    prior = PictureCoupling((8, 2, 2), 0, width=8)
    flow = shaken(MultiScale(SHAPE, 2, lambda shape, level: [], lambda shape, layer: prior))
    x = torch.randn(5, *SHAPE, dtype=torch.float64)
    squeezed = flow.levels[0][0](x)[0]  # type: ignore[index, operator]
    z = flow(x)[0]
    assert flow.sizes == [16, 16]  # type: ignore[comparison-overlap]
    assert torch.allclose(z[:, 16:], prior(squeezed)[0][:, 4:].flatten(1))
    assert torch.equal(z[:, :16].sort().values, squeezed[:, :4].flatten(1).sort().values)
    with pytest.raises(UserError, match="halved 2 times"):
        MultiScale((1, 6, 6), 2, lambda shape, level: [], lambda shape, layer: prior)


# --- greys -----------------------------------------------------------------------------------------------------------


def some_greys(n: int = 60) -> Tensor:
    torch.manual_seed(3)
    return torch.randint(LEVELS - 1, (n, *SHAPE)) / (LEVELS - 1)  # the last grey is never seen


def test_greys_survive_their_noise() -> None:
    x = some_greys()
    for u in (0.0, 0.5, 1 - 2**-24):
        y = continuous(x, torch.full_like(x, u), LEVELS)
        assert bool((y >= 0).all() and (y < 1).all())
        assert torch.allclose(greys(y, LEVELS), x) or u > 0.9  # (k + 1)/L, to float32
    assert greys(torch.tensor([-0.1, 1.0, 1.3]), LEVELS).tolist() == [0, 1, 1]


@pytest.mark.parametrize("kind", list(PREPROCESSINGS))
def test_preprocessing_is_a_bijection_of_each_number_whose_slope_counts(kind: str) -> None:
    map_: Any = preprocessings.build(PREPROCESSINGS[kind], LEVELS).double()
    x = some_greys().double()
    y = continuous(x, torch.rand_like(x), LEVELS).flatten(1)
    map_.initialise(y)
    y = y[:4].requires_grad_()
    v, found = map_(y)
    slopes = torch.autograd.grad(v.sum(), y)[0]
    back, backwards = map_.inverse(v)
    assert bool((slopes > 0).all())
    assert torch.allclose(found, slopes.log().sum(1))
    assert torch.allclose(back, y, atol=1e-9)
    assert torch.allclose(backwards, -found)
    assert bool(torch.isfinite(map_(torch.tensor([[0.0, 1 - 2**-24]]).double())[0]).all())


def test_a_flow_that_does_nothing_after_equalisation_costs_the_histogram_of_greys() -> None:
    x = some_greys(200)
    map_: Any = preprocessings.build({"name": "equalise"}, LEVELS).double()
    k = (x * (LEVELS - 1)).round().long()
    y = continuous(x.double(), torch.rand_like(x).double(), LEVELS).flatten(1)
    map_.initialise(y)
    v, log_slope = map_(y)
    counts = torch.bincount(k.flatten(), minlength=LEVELS).double() + 1
    nats = -(counts / counts.sum()).log()[k].flatten(1).sum(1)
    log_p = (-0.5 * v.square() - 0.5 * math.log(2 * math.pi)).sum(1) + log_slope - 32 * math.log(LEVELS)
    assert torch.allclose(-log_p, nats, atol=1e-6)


@pytest.mark.parametrize("kind", list(DEQUANTISATIONS))
def test_noise_of_greys_has_the_density_that_it_says(kind: str) -> None:
    """E_q[1/q(u)] over [0, 1)^D is its volume, 1, whatever the weights; and a learnt one begins as uniform noise."""
    torch.manual_seed(0)
    noise: Any = dequantisations.build(DEQUANTISATIONS[kind], SHAPE).double()
    x = some_greys(1).double().expand(20_000, *SHAPE)
    with torch.no_grad():
        assert torch.allclose(noise(x[:5])[1], torch.zeros(5).double(), atol=1e-12)
        shaken(noise, 0.02)
        u, log_q = noise(x)
    assert bool((u >= 0).all() and (u < 1).all())
    weight = (-log_q).exp()
    assert float(weight.mean()) == pytest.approx(1, abs=4 * float(weight.std()) / len(x) ** 0.5 + 1e-12)
    assert (float(log_q.std()) > 0.05) == noise.learnt


def test_eight_draws_bound_tighter_than_one_and_both_bound_the_probability_of_greys() -> None:
    """Of one picture of two numbers: P(k) by quadrature over the noise."""
    from genexp.data.base import Batch, DataSpec

    torch.manual_seed(0)
    spec = DataSpec((1, 1, 2), kind="unit", levels=2)
    flow = make("realnvp", spec, depth=2).double()
    flow.initialise(Batch(torch.randint(2, (500, 1, 1, 2)).double()))
    shaken(flow, 0.3)
    x = torch.tensor([[[[0.0, 1.0]]]]).double()
    side = (torch.arange(300, dtype=torch.float64) + 0.5) / 300
    u = torch.cartesian_prod(side, side)[:, None, None, :]
    with torch.no_grad():
        v, slope = flow.preprocessing(continuous(x, u, 2).flatten(1))
        exact = float((flow.flow.log_prob(v) + slope).exp().mean().log())  # ln P(k) + D ln L
        draws = torch.stack([flow.log_prob(x.expand(4000, 1, 1, 2)) for _ in range(8)])
    one, eight = draws[0].mean(), (draws.logsumexp(0) - math.log(8)).mean()
    p = draws.exp()
    assert float(p.mean()) == pytest.approx(math.exp(exact), abs=4 * float(p.std()) / p.numel() ** 0.5 + 1e-3)
    assert float(one) < float(eight) < exact + 0.02
