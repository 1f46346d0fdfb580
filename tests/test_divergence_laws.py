"""Every divergence: closed form, integral on a line and estimators say the same, and the laws that hold of it do."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial.distance import jensenshannon
from torch import Tensor

from genexp.config.composition import compose
from genexp.data.gaussian_mixture import Mixture
from genexp.data.normal import Normal
from genexp.data.uniform import Uniform
from genexp.divergences.alterations import ALTERATIONS, Shape
from genexp.divergences.base import ALONE, KNOWN, Clouds, Divergence, Gaussian, Line, divergences
from genexp.divergences.fisher import _score
from genexp.divergences.mmd import SCALES
from genexp.divergences.wasserstein import wasserstein
from genexp.measures import divergence_paths
from genexp.measures.divergence_estimates import Estimates, clouds, exactly, pair
from genexp.measures.record import LeftOut
from genexp.registry import models
from genexp.subject import Subject
from tests.subjects import taken

NAMED = {each.name: each for each in divergences()}
F_DIVERGENCES = ("forward_kl", "reverse_kl", "jensen_shannon", "tv")
PAIRS = [((0.0, 1.0), (1.0, 1.0)), ((0.3, 1.0), (-1.2, 1.7)), ((0.3, 1.0), (1.5, 0.6)), ((-0.4, 0.8), (-0.4, 1.3))]
X = torch.linspace(-16, 16, 16_001, dtype=torch.float64)


def log_normal(x: Tensor, mean: float, std: float) -> Tensor:
    return -0.5 * ((x - mean) / std).square() - math.log(std * math.sqrt(2 * math.pi))


def on_line(p: tuple[float, float], q: tuple[float, float], x: Tensor = X) -> Line:
    return Line(x, float(x[1] - x[0]), log_normal(x, *p), log_normal(x, *q))


def gaussian(mean: float, std: float) -> Gaussian:
    return Gaussian(torch.tensor([mean], dtype=torch.float64), torch.tensor([std], dtype=torch.float64))


def mixture(weights: tuple[float, float], means: tuple[float, float], x: Tensor = X) -> Tensor:
    return torch.stack([math.log(w) + log_normal(x, m, 0.6) for w, m in zip(weights, means, strict=True)]).logsumexp(0)


def two_mixtures(x: Tensor = X) -> Line:
    return Line(x, float(x[1] - x[0]), mixture((0.4, 0.6), (-2, 1), x), mixture((0.7, 0.3), (-1, 3), x))


def turned(line: Line) -> Line:
    return Line(line.x, line.step, line.log_q, line.log_p)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_the_closed_form_is_the_integral(name: str, p: tuple[float, float], q: tuple[float, float]) -> None:
    closed = NAMED[name].gaussians(gaussian(*p), gaussian(*q))
    if closed is not None:
        assert NAMED[name].on_line(on_line(p, q)) == pytest.approx(closed, rel=2e-5, abs=1e-9)


def test_only_of_one_there_is_no_closed_form() -> None:
    assert [each.name for each in divergences() if each.gaussians(gaussian(0, 1), gaussian(1, 2)) is None] == ["jensen_shannon"]


@pytest.mark.parametrize("name", NAMED)
def test_it_is_zero_of_equals_positive_of_others_and_symmetric_where_so(name: str) -> None:
    divergence, line = NAMED[name], two_mixtures()
    assert divergence.on_line(Line(line.x, line.step, line.log_p, line.log_p)) == pytest.approx(0, abs=1e-12)
    assert (closed := divergence.gaussians(gaussian(0.3, 0.7), gaussian(0.3, 0.7))) is None or closed == pytest.approx(
        0, abs=1e-9
    )
    there, back = divergence.on_line(line), divergence.on_line(turned(line))
    assert min(there, back) > 0.01
    same_kernel = name != "mmd2"  # whose lengths are those of the first density
    assert (there == pytest.approx(back, rel=1e-6)) == (divergence.symmetric and same_kernel)


def test_the_reverse_is_the_forward_turned() -> None:
    line = two_mixtures()
    assert NAMED["reverse_kl"].on_line(line) == pytest.approx(NAMED["forward_kl"].on_line(turned(line)), rel=1e-12)


def test_against_scipy() -> None:
    """Of mixtures, which have no closed form."""
    line = two_mixtures()
    p, q, x = (each.numpy() for each in (line.log_p.exp(), line.log_q.exp(), line.x))
    assert NAMED["forward_kl"].on_line(line) == pytest.approx(stats.entropy(p, q), rel=1e-6)
    assert NAMED["jensen_shannon"].on_line(line) == pytest.approx(jensenshannon(p, q) ** 2, rel=1e-6)
    assert NAMED["w1"].on_line(line) == pytest.approx(stats.wasserstein_distance(x, x, p, q), rel=1e-6)
    assert NAMED["tv"].on_line(line) == pytest.approx(integrate.simpson(abs(p - q), x=x) / 2, rel=1e-4)
    u = (np.arange(200_000) + 0.5) / 200_000
    quantiles = [np.interp(u, np.cumsum(each) / each.sum(), x) for each in (p, q)]
    assert NAMED["w2"].on_line(line) == pytest.approx(math.sqrt(((quantiles[0] - quantiles[1]) ** 2).mean()), rel=1e-3)
    few = two_mixtures(torch.linspace(-10, 10, 1_001, dtype=torch.float64))
    gap = (few.log_p.exp() - few.log_q.exp()).numpy() * few.step
    squares = (few.x[:, None] - few.x[None]).square().numpy()
    kernel = np.mean([np.exp(-squares / (4 * scale * few.variance)) for scale in SCALES], axis=0)
    assert NAMED["mmd2"].on_line(few) == pytest.approx(gap @ kernel @ gap, rel=1e-9)


def test_pinsker_and_the_order_of_the_distances() -> None:
    for line in (two_mixtures(), *(on_line(p, q) for p, q in PAIRS)):
        found = {name: each.on_line(line) for name, each in NAMED.items()}
        assert found["tv"] <= math.sqrt(min(found["forward_kl"], found["reverse_kl"]) / 2)
        assert found["w1"] <= found["w2"] * (1 + 1e-9)
        assert found["tv"] ** 2 / 2 <= found["jensen_shannon"] <= math.log(2) * found["tv"]


def test_what_a_bijection_changes() -> None:
    """y = sinh x: densities change by the same factor, and so nothing of f-divergences; of ways in units of x it does."""
    line, y = two_mixtures(torch.linspace(-8, 8, 32_001, dtype=torch.float64)), torch.linspace(-400, 400, 400_001, dtype=X.dtype)
    x = torch.asinh(y)
    log_jacobian = -0.5 * torch.log1p(y.square())
    weights = [(0.4, 0.6), (0.7, 0.3)], [(-2.0, 1.0), (-1.0, 3.0)]
    log_p, log_q = (mixture(w, m, x) + log_jacobian for w, m in zip(*weights, strict=True))
    moved = Line(y, float(y[1] - y[0]), log_p, log_q)
    for name in F_DIVERGENCES:
        assert NAMED[name].on_line(moved) == pytest.approx(NAMED[name].on_line(line), rel=1e-3), name
    for name in ("w1", "w2", "fisher"):
        assert NAMED[name].on_line(moved) != pytest.approx(NAMED[name].on_line(line), rel=0.1), name


def test_noise_only_brings_nearer() -> None:
    """Data processing: the same noise added to both; and W, MMD likewise under a convolution."""
    sharp, blurred = PAIRS[1], [(mean, math.hypot(std, 1.0)) for mean, std in PAIRS[1]]
    before, after = on_line(*sharp), on_line(*blurred)  # type: ignore[misc]
    for name in (*F_DIVERGENCES, "w1", "w2"):
        assert NAMED[name].on_line(after) < NAMED[name].on_line(before), name


def test_all_depends_on_units_as_it_should() -> None:
    wide = [(3 * mean, 3 * std) for mean, std in PAIRS[1]]
    factors = {"w1": 3.0, "w2": 3.0, "fisher": 1 / 9}
    for name, each in NAMED.items():
        scaled = each.on_line(on_line(*wide, x=3 * X))  # type: ignore[misc]
        assert scaled == pytest.approx(factors.get(name, 1.0) * each.on_line(on_line(*PAIRS[1])), rel=1e-4), name


# --- many dimensions and estimators --------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 16])
def test_a_shift_is_as_far_in_every_dimension(dim: int) -> None:
    """But for the kernel, whose lengths grow: by Monte Carlo with many points."""
    for name in ("forward_kl", "reverse_kl", "jensen_shannon", "tv", "w1", "w2", "fisher"):
        assert exactly(NAMED[name], dim, 1.3) == pytest.approx(exactly(NAMED[name], 1, 1.3), rel=1e-6), name
    drawn = clouds(40_000, dim, 1.3, torch.Generator().manual_seed(dim))
    for name in F_DIVERGENCES:
        assert NAMED[name].estimators[KNOWN](drawn) == pytest.approx(exactly(NAMED[name], dim, 1.3), rel=0.03), name
    assert NAMED["fisher"].estimators[KNOWN](drawn) == pytest.approx(1.69)


def test_gaussians_of_any_widths_in_two_dimensions_against_samples() -> None:
    p = Gaussian(torch.tensor([0.0, 1.0]).double(), torch.tensor([1.0, 0.5]).double())
    q = Gaussian(torch.tensor([0.5, 0.2]).double(), torch.tensor([0.7, 1.2]).double())
    z = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = p.mean + p.std * z, q.mean + q.std * z

    def log_density(of: Gaussian, x: Tensor) -> Tensor:
        return (-0.5 * ((x - of.mean) / of.std).square() - of.std.log()).sum(1)

    assert NAMED["forward_kl"].gaussians(p, q) == pytest.approx(float((log_density(p, x) - log_density(q, x)).mean()), rel=0.02)
    assert NAMED["reverse_kl"].gaussians(p, q) == pytest.approx(float((log_density(q, y) - log_density(p, y)).mean()), rel=0.02)
    assert NAMED["w2"].gaussians(p, q) == pytest.approx(
        float((x - y).square().sum(1).mean().sqrt()), rel=0.01
    )  # the map is optimal
    scores = (q.mean - x) / q.std**2 - (p.mean - x) / p.std**2
    assert NAMED["fisher"].gaussians(p, q) == pytest.approx(float(scores.square().sum(1).mean()), rel=0.02)
    assert NAMED["w1"].gaussians(p, q) is NAMED["tv"].gaussians(p, q) is None
    few = Clouds(x[:700], y[700:1400], *(torch.zeros(1),) * 3, variance=0.625)
    assert NAMED["mmd2"].gaussians(p, q) == pytest.approx(NAMED["mmd2"].estimators[ALONE](few), rel=0.2)


def repeated(name: str, given: str, n: int, dim: int, apart: float, repeats: int) -> tuple[float, float]:
    """Mean of an estimate, and the mean's standard error."""
    generator = torch.Generator().manual_seed(n + dim)
    found = [NAMED[name].estimators[given](clouds(n, dim, apart, generator)) for _ in range(repeats)]
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(repeats))


@pytest.mark.parametrize(
    ("name", "given"), [*product(F_DIVERGENCES, [KNOWN]), ("mmd2", ALONE)], ids=lambda each: each.replace(" ", "_")
)
def test_these_are_unbiased(name: str, given: str) -> None:
    mean, error = repeated(name, given, 20, 3, 1.0, 400)
    assert mean == pytest.approx(exactly(NAMED[name], 3, 1.0), abs=4 * error)


@pytest.mark.parametrize("k", [5, 6])
def test_the_neighbours_are_the_others(k: int) -> None:
    """Of 36 and 40 points, one by one: the k-th of its own kind, itself not counted, and the k-th of the other kind."""
    x, y = (torch.randn(n, 3, generator=torch.Generator().manual_seed(n), dtype=torch.float64) for n in (36, 40))
    at_x, at_y = Clouds(x, y, *(torch.zeros(1),) * 3).nearest_ratio(k)

    def reach(point: Tensor, others: Tensor) -> float:
        return math.log(sorted(float((point - other).norm()) for other in others)[k - 1])

    for i in range(3):
        own, other = reach(x[i], torch.cat([x[:i], x[i + 1 :]])), reach(x[i], y)
        assert float(at_x[i]) == pytest.approx(3 * (other - own) + math.log(40 / 35))
        own, other = reach(y[i], torch.cat([y[:i], y[i + 1 :]])), reach(y[i], x)
        assert float(at_y[i]) == pytest.approx(3 * (own - other) + math.log(39 / 36))


def test_the_bias_of_neighbours_is_as_in_theory() -> None:
    """None where p = q; and it is gone as n grows."""
    mean, error = repeated("forward_kl", ALONE, 40, 2, 0.0, 150)
    assert mean == pytest.approx(0, abs=4 * error)
    biases = [abs(repeated("forward_kl", ALONE, n, 1, 1.0, 40)[0] - 0.5) for n in (20, 200)]
    assert biases[1] < biases[0] / 1.5


def test_the_bias_of_sorted_points_is_as_in_theory() -> None:
    """W₁ of two samples of n uniform numbers: ∫ E|F_n − G_n| ≈ √(2/π) √2 ∫ √(u(1 − u)) du / √n = √π/4 /√n."""
    generator = torch.Generator().manual_seed(0)
    found = [wasserstein(*torch.rand(2, 500, 1, generator=generator)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(math.sqrt(math.pi) / 4 / math.sqrt(500), rel=0.05)


def test_transport_in_the_plane_is_the_best_there_is() -> None:
    """By hand: of crossing pairs and of straight ones; squares choose by squares."""
    one, other = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    for power, best in ((1, 1.5), (2, math.sqrt(2.5))):
        assert wasserstein(one, other, power) == pytest.approx(best)
        assert wasserstein(one[:, :1], other[:, :1], power) == pytest.approx(best)


def test_kernels_find_a_score() -> None:
    """That of the density blurred by the bandwidth; no point is its own neighbour."""
    points = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    h = float(points.std()) * (4 / 9) ** 0.2
    one, three = math.exp(-0.5 / h**2), math.exp(-4.5 / h**2)
    assert float(_score(points, points, same=True)[0]) == pytest.approx((one + 3 * three) / (one + three) / h**2)
    assert repeated("fisher", ALONE, 200, 1, 0.0, 5)[0] < 1
    assert repeated("fisher", ALONE, 100, 16, 1.0, 3)[0] > 10


def test_what_counts_as_an_estimate() -> None:
    exact, shape = np.array([1.0, 1.0, 1.0]), (3, 1, 8)
    noise = 0.1 * np.random.default_rng(0).normal(size=shape)
    right = Estimates(NAMED["w1"], ALONE, [1, 2, 4], [9], 1 + noise, noise, exact)
    assert right.reach == 4
    assert right.bias == pytest.approx(0, abs=0.1)
    assert right.spread == pytest.approx(0.1, rel=0.8)
    biased = Estimates(NAMED["w1"], ALONE, [1, 2, 4], [9], 1 + noise + [[[0]], [[0.8]], [[0]]], noise, exact)
    assert biased.reach == 1
    blind = Estimates(NAMED["w1"], ALONE, [1, 2, 4], [9], 1 + noise, 1 + noise, exact)  # the same of clouds that are alike
    assert blind.reach == 0
    loud = Estimates(NAMED["w1"], ALONE, [1, 2, 4], [9], 1 + 9 * noise, noise, exact)
    assert loud.reach == 0


# --- alterations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda each: each.name)
def test_an_altered_density_is_one_and_begins_as_it_was(alteration: object) -> None:
    shape = Shape(lambda x: mixture((0.5, 0.5), (-2, 2), x), 0.0, math.hypot(2, 0.6), -8.0, 8.0)
    first, *_, last = alteration.amounts({"slide": 2.0, "widen": 3.0, "lose": 1e-3}[alteration.name], 5)  # type: ignore[attr-defined]
    x = torch.linspace(-30, 30, 20_001, dtype=torch.float64)
    weight = float(x[1] - x[0])
    assert alteration.altered(shape, first, x) == pytest.approx(shape.log_prob(x), abs=1e-9)  # type: ignore[attr-defined]
    q = alteration.altered(shape, last, x).exp() * weight  # type: ignore[attr-defined]
    mass, mean = float(q.sum()), float((q * x).sum() / q.sum())
    std = math.sqrt(float((q * (x - mean).square()).sum() / q.sum()))
    expected = {
        "slide": (1.0, 2 * shape.std, shape.std),
        "widen": (1.0, 0.0, 3 * shape.std),
        "lose": (0.5005, -2 * 0.999 / 1.001, math.sqrt(0.36 + 4 - (2 * 0.999 / 1.001) ** 2)),
    }[alteration.name]  # type: ignore[attr-defined]
    assert (mass, mean, std) == pytest.approx(expected, rel=3e-3, abs=1e-6)


def test_a_lost_mode_costs_the_forward_kl_alone() -> None:
    """Of the share a that is left of one of two modes: KL(p ‖ q) = −½ ln a + ln((1 + a)/2), KL(q ‖ p) → ln 2."""
    (lose,) = [each for each in ALTERATIONS if each.name == "lose"]
    shape = Shape(lambda x: mixture((0.5, 0.5), (-4, 4), x), 0.0, math.hypot(4, 0.6), -12.0, 12.0)
    for left in (1e-2, 1e-8):
        log_q = lose.altered(shape, left, X)
        line = Line(X, float(X[1] - X[0]), shape.log_prob(X), log_q - (log_q.logsumexp(0) + math.log(float(X[1] - X[0]))))
        found = {name: each.on_line(line) for name, each in NAMED.items()}
        assert found["forward_kl"] == pytest.approx(-0.5 * math.log(left) + math.log((1 + left) / 2), rel=1e-3)
        assert found["w1"] == pytest.approx(8 * 0.5 * (1 - left) / (1 + left), rel=1e-3)
        assert found["fisher"] < 0.01
    assert found["reverse_kl"] == pytest.approx(math.log(2), rel=1e-3)
    assert found["tv"] == pytest.approx(0.5, rel=1e-3)


def test_a_density_that_ends_is_infinitely_far_from_itself() -> None:
    def log_prob(x: Tensor) -> Tensor:
        return torch.where((x >= 0) & (x <= 1), 0.0, -math.inf).double()

    x = torch.linspace(-1, 3, 8_001, dtype=torch.float64)
    found = {each.name: each.on_line(Line(x, 0.0005, log_prob(x), log_prob(x - 0.25))) for each in divergences()}
    assert found["forward_kl"] == found["reverse_kl"] == math.inf
    assert found["tv"] == pytest.approx(0.25, abs=1e-3)
    assert found["jensen_shannon"] == pytest.approx(0.25 * math.log(2), abs=1e-3)
    assert found["w1"] == pytest.approx(0.25, abs=1e-3)
    assert not math.isfinite(found["fisher"])


def test_a_divergence_of_a_users_own_is_one_more() -> None:
    from genexp.divergences import base

    mine = Divergence("mine", "M", "", 99, lambda line: 0.0, lambda p, q: 0.0, {ALONE: lambda clouds: 0.0})
    try:
        base.add(mine)
        assert divergences()[-1] is mine
    finally:
        base._known.pop("mine")


def test_the_pair_is_apart_as_asked() -> None:
    one, other = pair(7, 2.5)
    assert float((one.mean - other.mean).norm()) == pytest.approx(2.5)
    drawn = clouds(50_000, 7, 2.5, torch.Generator().manual_seed(0))
    assert drawn.y.mean(0) == pytest.approx(other.mean, abs=0.03)
    assert float(drawn.log_ratio_x.mean()) == pytest.approx(3.125, rel=0.02)


def numbers(data: object, monkeypatch: pytest.MonkeyPatch, **settings: object) -> dict[str, Any]:
    """Of a model that alters the data."""
    monkeypatch.setattr(divergence_paths, "PLACES", 2)
    small = {"name": "altered", "dimensions": [1, 4], "sizes": [16, 32], "repeats": 3}
    model = models.build({**small, **settings}, data.spec)  # type: ignore[attr-defined]
    model.initialise(data.examples(500, 0))  # type: ignore[attr-defined]
    run = compose(["experiment=divergences", "evaluation.num_samples=200"]).settings
    return taken(Subject(model, data, run, torch.device("cpu")), "divergence", "divergence_estimate", "divergence_reach")


def test_a_run_has_each_beside_its_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    found = numbers(Normal(Path(), mean=[0.7], covariance=[[4.0]]), monkeypatch, slide=1.5, widen=2.0)
    for way, other in (("slide", gaussian(3.7, 2)), ("widen", gaussian(0.7, 4))):
        for name, each in NAMED.items():
            closed = each.gaussians(gaussian(0.7, 2), other)
            assert found.get(f"exact/divergence/{way}/{name}") == (closed and pytest.approx(closed, rel=1e-5)), name
            if closed is not None:
                assert found[f"divergence/{way}/{name}"] == pytest.approx(closed, rel=1e-3), name
    assert "exact/divergence/lose/w1" not in found
    assert found["exact/divergence_estimate/w2/4d"] == pytest.approx(1)
    assert found["exact/divergence_estimate/tv/known/4d"] == pytest.approx(math.erf(8**-0.5))
    assert found["divergence_reach/tv/known"] == 4


def test_an_infinite_divergence_is_none_and_the_others_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    found = numbers(Uniform(Path(), low=[0.0], high=[1.0]), monkeypatch)
    assert found["divergence/slide/forward_kl"] is found["divergence/slide/fisher"] is None
    assert found["divergence/slide/w1"] == pytest.approx(3 / math.sqrt(12), rel=1e-3)
    assert found["divergence/lose/tv"] == pytest.approx(0.5, abs=0.01)


def test_scales_that_no_grid_holds_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Mixture(Path(), means=[[0.0], [1e4]], covariances=[[[1e-4]], [[1.0]]], weights=[1.0, 1.0])
    with pytest.raises(LeftOut, match="of the density's mass"):
        numbers(data, monkeypatch)


def test_samples_are_the_data_that_slid() -> None:
    data = Normal(Path(), mean=[1.0, 5.0], covariance=[[4.0, 0.0], [0.0, 1.0]])
    model = models.build({"name": "altered", "slide": 2.0}, data.spec)
    model.initialise(data.examples(4_096, 0))
    x = model.sample(4_000)
    assert x.mean(0) == pytest.approx(torch.tensor([5.0, 5.0]), abs=0.2)
    assert x.std(0) == pytest.approx(torch.tensor([2.0, 1.0]), rel=0.1)
