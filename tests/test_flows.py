"""Flows of every registered bijection and transformer: inverses, determinants, and densities that integrate to one."""

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from genexp.bijections.base import bijections, conditioners, transformers
from genexp.bijections.coupling import alternating, random_halves
from genexp.bijections.linear import FACTORS
from genexp.bijections.numerical import ConvergenceError
from genexp.bijections.spline import rational_quadratic_spline
from genexp.data.base import Batch, DataSpec
from genexp.errors import UserError
from genexp.latent.priors import FlowPrior
from genexp.models.flow import Flow
from genexp.nn.autoregressive import MADE, MaskedMLP
from genexp.quadrature import midpoints
from genexp.registry import models
from tests.laws.members import small
from tests.parts import latent

SMALL = {"conditioner": {"name": "mlp", "width": 16}}
ELSEWHERE = ("coupling", "autoregressive", "residual", "continuous")  # below, or with tests of their own and the laws
IN_BINS = ("spline", "nflows_spline", "elementwise_spline", "piecewise_linear")
FEW: dict[str, dict[str, Any]] = {name: {"bins": 6, "bound": 3.0} for name in IN_BINS} | {"inverse_autoregressive": {"width": 16}}
LAYERS: dict[str, dict[str, Any]] = {
    **{name: {"name": name, **FEW.get(name, {})} for name in bijections.names() if name not in ELSEWHERE},
    **{
        f"coupling of {name}": {"name": "coupling", "transformer": {"name": name, **FEW.get(name, {})}, **SMALL}
        for name in transformers.names()
    },
    **{
        f"autoregressive of {name}": {"name": "autoregressive", "transformer": {"name": name, **FEW.get(name, {})}, "width": 16}
        for name in transformers.names()
    },
    **{f"linear, {factor}": {"name": "linear", "factor": factor} for factor in FACTORS},
}
KINDS = list(LAYERS)
SPLINES = LAYERS["coupling of spline"]


def random_flow(dim: int = 2, bijection: dict[str, Any] = SPLINES, depth: int = 4, **keys: Any) -> Flow:
    """A flow far from the identity: every parameter moved, data centred and scaled somewhere."""
    torch.manual_seed(0)
    flow = models.build({"name": "flow", "depth": depth, "bijection": bijection, **keys}, DataSpec(shape=(dim,))).double()
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.15 * torch.randn_like(weights))
    flow.initialise(Batch(torch.randn(2000, dim, dtype=torch.float64) * 0.8 + 0.3))
    return flow


def coupling_flow(dim: int = 2, **keys: Any) -> Flow:
    return models.build({"name": "coupling_flow", **keys}, DataSpec(shape=(dim,)))


def autograd_log_det(function: Any, x: Tensor) -> Tensor:
    """ln |det| of a function's Jacobian at each point, by automatic differentiation."""
    jacobians = torch.stack([torch.autograd.functional.jacobian(lambda v: function(v[None])[0][0], point) for point in x])
    return torch.linalg.slogdet(jacobians).logabsdet


def test_the_density_of_a_uniform_base_integrates_to_one() -> None:
    layer = {"transformer": {"name": "spline", "bound": 3.0}, "conditioner": {"name": "mlp", "harmonics": 3, "span": 3.0}}
    flow = random_flow(bijection={"name": "coupling", **layer}, base={"name": "uniform", "bound": 3.0}, normalise=False)
    grid = midpoints(torch.tensor([-3.0, -3.0]), torch.tensor([3.0, 3.0]), 400)
    with torch.no_grad():
        mass = sum(float(flow.log_prob(part).exp().sum()) for part in grid.points.split(100_000)) * grid.area
        outside = flow.log_prob(torch.tensor([[4.0, 0.0]], dtype=torch.float64))
    assert mass == pytest.approx(1, abs=2e-3)
    assert outside.item() == -math.inf
    assert (flow.sample(1000).abs() <= 3).all()


@pytest.mark.parametrize("inverse", [False, True])
def test_the_spline_is_monotone_smooth_and_the_identity_outside(inverse: bool) -> None:
    torch.manual_seed(3)
    raw = 2 * torch.randn(1, 1, 3 * 8 - 1, dtype=torch.float64)
    x = torch.linspace(-4, 4, 4001, dtype=torch.float64)[:, None]
    y, log_slope = rational_quadratic_spline(x, raw.expand(len(x), -1, -1), 3.0, inverse)
    assert (y.diff(dim=0) > 0).all()
    slope = (y[2:] - y[:-2]) / (x[2:] - x[:-2])
    smooth = (slope.log() - log_slope[1:-1]).abs()
    assert smooth.median() < 1e-4
    outside = x.abs() >= 3
    assert torch.equal(y[outside], x[outside])
    assert (log_slope[outside] == 0).all()
    edges = torch.tensor([[-3 + 1e-9], [3 - 1e-9]], dtype=torch.float64)
    _, at_the_edges = rational_quadratic_spline(edges, raw.expand(2, -1, -1), 3.0, inverse)
    assert at_the_edges.abs().max() < 1e-6  # the slope is continuous: 1


def test_the_spline_agrees_with_nflows_spline() -> None:
    from nflows.transforms.splines.rational_quadratic import rational_quadratic_spline as reference

    torch.manual_seed(4)
    bins, x = 7, 6 * torch.rand(200, 1, dtype=torch.float64) - 3
    raw = torch.randn(200, 1, 3 * bins - 1, dtype=torch.float64)
    padded = nn.functional.pad(raw[..., 2 * bins :], (1, 1), value=0.0)
    for inverse in (False, True):
        ours, log_slope = rational_quadratic_spline(x, raw, 3.0, inverse, minimum=1e-3)
        one = math.log(math.expm1(1 - 1e-3))
        theirs, log_theirs = reference(
            x, raw[..., :bins], raw[..., bins : 2 * bins], padded + one, inverse=inverse, left=-3, right=3, bottom=-3, top=3
        )
        assert torch.allclose(ours, theirs, atol=1e-10)
        assert torch.allclose(log_slope, log_theirs, atol=1e-10)


def test_a_spline_flow_is_zukos_spline_flow() -> None:
    """The same knots and slopes given to zuko's transform: an oracle that shares no code with ours."""
    from zuko.transforms import MonotonicRQSTransform

    torch.manual_seed(5)
    bins, bound = 5, 2.0
    raw = torch.randn(1, 1, 3 * bins - 1, dtype=torch.float64)
    x = 5 * torch.rand(100, 1, dtype=torch.float64) - 2.5
    ours, log_slope = rational_quadratic_spline(x, raw.expand(100, -1, -1), bound, minimum=1e-9)
    one = math.log(math.expm1(1.0))
    slopes = nn.functional.softplus(raw[0, 0, 2 * bins :] + one)
    # zuko squashes its raw parameters softly to a bounded range; undo that, so that the knots agree
    transform = MonotonicRQSTransform.__new__(MonotonicRQSTransform)
    torch.distributions.transforms.Transform.__init__(transform)
    widths, heights = torch.softmax(raw[0, 0, :bins], 0), torch.softmax(raw[0, 0, bins : 2 * bins], 0)
    pad = lambda shares: bound * (2 * nn.functional.pad(shares.cumsum(0), (1, 0)) - 1)  # noqa: E731
    transform.horizontal, transform.vertical = pad(widths), pad(heights)
    transform.derivatives = nn.functional.pad(slopes, (1, 1), value=1.0)
    assert torch.allclose(transform(x), ours, atol=1e-6)
    assert torch.allclose(transform.log_abs_det_jacobian(x, transform(x)), log_slope, atol=1e-6)


def test_gradients_are_finite_at_the_tails_and_the_bounds() -> None:
    flow = random_flow()
    x = torch.tensor([[3.0, -3.0], [1e6, 0.0], [0.0, 0.0], [-3.0, 3.0], [-1e6, 1e6]], dtype=torch.float64)
    flow.log_prob(x).sum().backward()
    assert all(torch.isfinite(weights.grad).all() for weights in flow.parameters() if weights.grad is not None)


def test_bfloat16_conditioners_leave_the_bijection_exact() -> None:
    flow = random_flow().float()
    x = 2 * torch.randn(2000, 2)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        z, log_det = flow.transform(x)
        back, _ = flow.inverse(z)
    assert z.dtype == log_det.dtype == torch.float32
    assert torch.isfinite(log_det).all()
    assert (back - x).abs().max() < 1e-2  # each pass rounds its conditioner's input differently
    assert (back - x).abs().median() < 1e-4


def test_a_uniform_base_and_normalisation_do_not_go_together() -> None:
    with pytest.raises(UserError, match="no likelihood"):
        coupling_flow(base={"name": "uniform"})


def test_the_base_arrives_through_every_layer() -> None:
    flow = random_flow()
    z = torch.randn(10, 2, dtype=torch.float64)
    layers = flow.layers(z)
    assert layers.shape == (6, 10, 2)
    assert torch.equal(layers[0], z)
    assert torch.allclose(layers[-1], flow.inverse(z)[0])
    assert all(not torch.equal(before, after) for before, after in pairwise(layers))


def test_normalisation_puts_the_datas_tails_where_the_normals_are() -> None:
    flow = coupling_flow(transformer={"name": "affine"}, depth=2)
    x = torch.randn(100_000, 2) * torch.tensor([5.0, 0.1]) + torch.tensor([100.0, -3.0])
    flow.initialise(Batch(x))
    z = flow.transform(x)[0]
    assert torch.allclose(z.mean(0), torch.zeros(2), atol=0.02)
    assert torch.allclose(z.std(0), torch.ones(2), rtol=0.05)


def test_every_feature_moves_and_stays_in_turn() -> None:
    for dim in (2, 3, 7):
        for chosen in ([alternating(dim, layer) for layer in range(6)], random_halves(dim, 6)):
            assert all(any(mask) and not all(mask) for mask in chosen)
            for first, second in zip(chosen[::2], chosen[1::2], strict=True):
                assert [a != b for a, b in zip(first, second, strict=True)] == [True] * dim


@pytest.mark.parametrize(("size", "blocks"), [(2, 2), (3, 2), (6, 4), (6, 5)])
def test_every_coordinate_moves_under_a_flow_prior(size: int, blocks: int) -> None:
    """Both ways, and its density is that of the bijection."""
    torch.manual_seed(0)
    prior = FlowPrior(latent(size), blocks=blocks, conditioner=conditioners.part("mlp", width=8)).double()
    with torch.no_grad():
        for weights in prior.parameters():
            weights.add_(0.3 * torch.randn_like(weights))
        base = torch.randn(50, size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        prior.base.sample = lambda n: base  # type: ignore[method-assign]
        z = prior.sample(50)
    assert ((z - base).abs() > 1e-6).any(0).all()

    def to_base(z: Tensor) -> tuple[Tensor, None]:
        for coupling in prior.couplings:
            z = coupling(z)[0]
        return z, None

    assert torch.allclose(to_base(z)[0], base)
    assert torch.allclose(prior.log_prob(z), prior.base.log_prob(base) + autograd_log_det(to_base, z), atol=1e-8)


OF_COUPLINGS = ("coupling_flow", "flow", "nice", "realnvp", "spline_coupling")
NAMED = [name for name in models.names() if "base" in models.parts(name)]  # every flow of points


@pytest.mark.parametrize("model", NAMED)
def test_every_flow_is_one_and_its_inverse_costs_no_digits_that_matter(model: str) -> None:
    """In 32 bits as well, at random parameters."""
    torch.manual_seed(0)
    flow = models.build({"name": model}, DataSpec(shape=(3,)))
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
    data = Batch(torch.randn(2000, 3) * torch.tensor([5.0, 1.0, 0.2]) + 2)
    flow.initialise(data)
    with torch.no_grad():
        x = flow.inverse(torch.randn(500, 3))[0]
        z, log_det = flow.transform(x)
        back, log_det_back = flow.inverse(z)
    assert torch.allclose(back, x, atol=2e-3)
    assert torch.allclose(log_det, -log_det_back, atol=2e-3)
    assert torch.allclose(log_det[:5].double(), autograd_log_det(flow.double().transform, x[:5].double()), atol=2e-3)
    assert torch.isfinite(flow.float().loss(data)["loss"])
    assert flow.sample(7).shape == (7, 3)


@pytest.mark.parametrize("model", NAMED)
def test_one_dimension_is_learnt_or_refused(model: str) -> None:
    if model in OF_COUPLINGS:
        with pytest.raises(UserError, match="two dimensions"):
            models.build({"name": model}, DataSpec(shape=(1,)))
        return
    torch.manual_seed(0)
    flow = models.build(small(models, model), DataSpec(shape=(1,))).double()
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(0.1 * torch.randn_like(weights))
        flow.initialise(Batch(3 * torch.randn(500, 1, dtype=torch.float64) + 1))
        flow.eval()
        x = torch.linspace(-40, 40, 40_001, dtype=torch.float64)[:, None]
        assert float(flow.log_prob(x).exp().sum() * (x[1, 0] - x[0, 0])) == pytest.approx(1, abs=1e-4)
        assert flow.sample(9).shape == (9, 1)


@pytest.mark.parametrize(("model", "begins_curved"), [("nice", True), ("realnvp", False), ("spline_coupling", False)])
def test_only_a_flow_of_shifts_begins_away_from_the_identity(model: str, begins_curved: bool) -> None:
    """The identity is a saddle of NICE where data are symmetric: eight Gaussians stayed one. Seen as a bend along a line."""
    flow = models.build({"name": model}, DataSpec(shape=(2,)))
    flow.initialise(Batch(torch.randn(1000, 2)))
    line = torch.linspace(-1, 1, 5)[:, None] * torch.tensor([1.0, 0.5])
    with torch.no_grad():
        bend = flow.transform(line)[0].diff(n=2, dim=0)
    assert (float(bend.abs().max()) > 1e-3) == begins_curved


def test_nflows_affine_couplings_only_contract() -> None:
    """Why the article's flow stops at KL 0.04: from data to noise its log-determinant cannot exceed depth · ln 1.001."""
    flow = random_flow(bijection=LAYERS["nflows_affine"], normalise=False)
    _, log_det = flow.transform(3 * torch.randn(1000, 2, dtype=torch.float64))
    assert log_det.max() <= 4 * math.log(1.001) + 1e-9
    _, ours = random_flow(bijection=LAYERS["coupling of affine"], normalise=False).transform(
        3 * torch.randn(1000, 2, dtype=torch.float64)
    )
    assert ours.max() > 0.1


def test_actnorm_begins_with_mean_zero_and_deviation_one() -> None:
    flow = random_flow(3, {"name": "actnorm"}, depth=1, normalise=False)
    x = torch.randn(500, 3, dtype=torch.float64) * torch.tensor([5.0, 0.1, 0.0]) + torch.tensor([100.0, -3.0, 7.0])
    flow.initialise(Batch(x))
    z = flow.transform(x)[0]
    assert torch.allclose(z.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(z[:, :2].std(0, unbiased=False), torch.ones(2, dtype=torch.float64))
    loaded = models.build(
        {"name": "flow", "depth": 1, "normalise": False, "bijection": {"name": "actnorm"}}, DataSpec(shape=(3,))
    ).double()
    loaded.load_state_dict(flow.state_dict())
    assert torch.equal(loaded.transform(2 * x)[0], flow.transform(2 * x)[0])  # other data do not move it any more


def test_an_orthogonal_map_turns_and_a_triangular_one_looks_back_only() -> None:
    x = torch.randn(20, 5, dtype=torch.float64)
    turned = random_flow(5, {"name": "linear", "factor": "orthogonal"}, depth=1).bijections[0]
    assert torch.allclose((turned(x)[0] - turned.bias).norm(dim=1), x.norm(dim=1))
    triangular = random_flow(5, {"name": "linear", "factor": "triangular"}, depth=1).bijections[0]
    jacobian = torch.autograd.functional.jacobian(lambda v: triangular(v[None])[0][0], x[0])
    assert torch.equal(jacobian, jacobian.tril())
    assert (jacobian.tril(-1) != 0).sum() == 10


AUTOREGRESSIVE = [kind for kind in KINDS if kind.startswith("autoregressive of")]


@pytest.mark.parametrize("kind", AUTOREGRESSIVE)
@pytest.mark.parametrize("hidden_layers", [0, 1, 2])
def test_an_autoregressive_map_sees_no_later_feature(kind: str, hidden_layers: int) -> None:
    """Bit for bit: in its Jacobian, and when later features change. It does see each one before."""
    flow = random_flow(5, {**LAYERS[kind], "hidden_layers": hidden_layers}, depth=2)
    x = -0.1 - torch.rand(5, dtype=torch.float64)  # where every transformer does something
    for layer, turn in zip(flow.bijections, (torch.arange(5), torch.arange(5).flip(0)), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x)[turn][:, turn]  # noqa: B023
        assert torch.equal(jacobian, jacobian.tril())
        assert (jacobian.tril() != 0).sum() == 15
        for feature in range(1, 5):
            other = x.clone()
            other[turn[feature:]] = 100 * torch.randn(5 - feature, dtype=torch.float64)
            same = turn[:feature]
            assert torch.equal(layer(other[None])[0][0, same], layer(x[None])[0][0, same])


@pytest.mark.parametrize("kind", AUTOREGRESSIVE)
def test_all_features_at_once_and_one_after_the_other_are_the_same_inverse(kind: str) -> None:
    """Bit for bit, with and without derivatives."""
    at_once = random_flow(7, {**LAYERS[kind], "solver": "jacobi"})
    in_turn = random_flow(7, {**LAYERS[kind], "solver": "sequential"})
    z = 3 * torch.randn(200, 7, dtype=torch.float64)
    exact, log_det = in_turn.inverse(z)
    assert torch.allclose(in_turn.transform(exact)[0], z, atol=1e-9)
    for gradients in (False, True):
        with torch.set_grad_enabled(gradients):
            x, log_det_at_once = at_once.inverse(z)
        assert torch.equal(x, exact)
        assert torch.equal(log_det_at_once, log_det)


def test_all_features_at_once_stop_early_and_never_with_a_wrong_sample() -> None:
    layer = random_flow(40, {"name": "autoregressive"}, depth=1).bijections[0]
    passes = 0

    def count(*_: Any) -> None:
        nonlocal passes
        passes += 1

    layer.network.register_forward_hook(count)  # type: ignore[union-attr,operator]
    z = torch.randn(100, 40, dtype=torch.float64)
    with torch.no_grad():
        x = layer.inverse(z)[0]  # type: ignore[operator]
        assert passes < 35
        assert torch.allclose(layer(x)[0], z, atol=1e-9)
        with pytest.raises(ConvergenceError):
            layer.inverse(torch.full_like(z, torch.nan))  # type: ignore[operator]


@pytest.mark.parametrize("solver", ["sequential", "jacobi"])
@pytest.mark.parametrize("place", [0, 1])
def test_an_inverse_autoregressive_layer_sees_the_noise_where_the_other_sees_the_data(solver: str, place: int) -> None:
    """z_i = T(x_i; c_i(z_<i)), by the definition, feature after feature; with derivatives or without, x is found again."""
    flow = random_flow(4, {"name": "inverse_autoregressive", "solver": solver}, depth=place + 1, normalise=False)
    layer: Any = flow.bijections[place]
    x = torch.randn(30, 4, dtype=torch.float64)
    z, log_det = layer(x)
    with torch.no_grad():
        assert torch.equal(layer(x)[0], z)
    seen = layer
    raw = seen.network(seen.turn(z))
    image, log_slope = seen.transformer(seen.turn(x), raw)
    assert torch.allclose(seen.turn(image), z, atol=1e-12)
    assert torch.allclose(log_slope.sum(1), log_det, atol=1e-12)
    assert torch.allclose(layer.inverse(z)[0], x, atol=1e-9)


def test_what_the_first_feature_has_depends_on_no_other() -> None:
    for dim in (1, 2, 5):
        network = MaskedMLP(dim, 3, 16, 2, "silu")
        for weights in network.parameters():
            nn.init.normal_(weights)
        assert torch.equal(network(torch.randn(7, dim))[:, 0], network.first().expand(7, 3))


@pytest.mark.parametrize("width", [2, 7, 18, 19, 40])
def test_the_last_feature_depends_on_all_before_it_however_narrow_the_network(width: int) -> None:
    """Of fewer units than features some see many: none of the first features alone is seen by all."""
    x = torch.randn(1, 20, requires_grad=True)
    plain, with_context = MaskedMLP(20, 1, width, 2, "silu"), MADE(20, 3, width, outputs=1)
    for network, outputs in ((plain, lambda: plain(x)[0, :, 0]), (with_context, lambda: with_context(x, torch.ones(1, 3))[0, 0])):
        for weights in network.parameters():
            nn.init.normal_(weights)
        found = outputs()
        seen = torch.stack([torch.autograd.grad(each, x, retain_graph=True)[0][0] != 0 for each in found]).sum(1)
        assert int(seen[-1]) == 19
        assert bool((seen <= torch.arange(20)).all())
        assert int((torch.arange(20) - seen).max()) <= 18 // (width - 1)


@pytest.mark.parametrize("kind", ["planar", "radial", "sylvester"])
@pytest.mark.parametrize("dim", [1, 2, 6])
@pytest.mark.parametrize("steep", [0.15, 1.0, 2.0])
def test_planar_radial_and_sylvester_maps_have_an_exact_inverse(kind: str, dim: int, steep: float) -> None:
    """However steep, near and far; and what is no number is no sample."""
    flow = random_flow(dim, {"name": kind}, depth=3, normalise=False)
    with torch.no_grad():
        for weights in flow.parameters():
            weights.add_(steep * torch.randn_like(weights))
    z = torch.cat([far * torch.randn(100, dim, dtype=torch.float64) for far in (0.1, 1.0, 10.0, 1000.0)])
    for layer in flow.bijections:
        x, log_det = layer.inverse(z)  # type: ignore[operator]
        again, log_det_back = layer(x)
        assert (again - z).abs().max() <= 1e-10
        assert torch.allclose(log_det, -log_det_back, atol=1e-6)
        assert torch.allclose(layer.inverse(layer(z)[0])[0], z, atol=1e-6)  # type: ignore[operator]  # no other point went there
    if kind != "radial":
        with pytest.raises(ConvergenceError, match="not found"):
            layer.inverse(z * torch.nan)  # type: ignore[operator]
