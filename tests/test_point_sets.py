"""Points of known density: the density integrates to one, its entropy is that of its samples, and these follow it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chi2
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from genexp.data.gaussians import log_sum
from genexp.data.known import KnownDensity, KnownPoints
from genexp.errors import UserError
from genexp.registry import datasets

HERE = Path()
SAMPLES = 100_000
BINS, WITHIN = 16, 20  # bins along a side, and midpoints along a side of a bin

KNOWN = [name for name in datasets.names() if isinstance(datasets[name], type) and issubclass(datasets[name], KnownPoints)]
OTHERS: dict[str, dict[str, Any]] = {  # settings that are not the defaults
    "normal": {"mean": [1.0, -2.0], "covariance": [[2.0, 0.3], [0.3, 0.5]]},
    "mixture": {
        "means": [[0.0, 0.0], [1.0, 3.0]],
        "covariances": [[[1.0, 0.5], [0.5, 1.0]], [[0.2, 0.0], [0.0, 2.0]]],
        "weights": [1.0, 3.0],
    },
    "class_mixture": {"means": [[0.0, 0.0], [1.0, 3.0]], "std": 0.5},
    "uniform": {"low": [-1.0, 3.0], "high": [5.0, 4.0]},
    "checkerboard": {"cells": 5, "reach": 1.0},
    "eight_gaussians": {"components": 3, "radius": 1.0, "std": 0.5},
    "rings": {"count": 2, "radius": 1.0, "noise": 0.3},
    "two_moons": {"radius": 1.0, "noise": 0.1},
    "two_spirals": {"turns": 0.5, "radius": 2.0, "noise": 0.3},
    "swiss_roll": {"radius": 1.5, "noise": 0.15},
    "pinwheel": {"arms": 3, "radial": 0.2, "tangential": 0.3, "rate": -0.4, "scale": 0.7},
    "banana": {"std": 0.5, "width": 0.3, "curvature": -0.8},
    "funnel": {"std": 2.0},
    "log_uniform": {"low": 0.5, "high": 4.0},
    "gmm40": {"components": 5, "reach": 4.0, "std": 0.7, "layout": 3},
    "many_well": {"dimension": 2, "quartic": 0.5, "quadratic": 2.0, "tilt": -0.3},
    "peak_pairs": {"dimension": 1, "farthest": 2.0},
}
LINES: dict[str, dict[str, Any]] = {
    "normal": {"mean": [3.0], "covariance": [[0.25]]},
    "mixture": {"means": [[-2.0], [1.0]], "covariances": [[[0.01]], [[1.0]]], "weights": [1.0, 2.0]},
    "uniform": {"low": [2.0], "high": [2.5]},
}
PLANE = {"many_well": {"dimension": 2}, "peak_pairs": {"dimension": 2}}  # of any dimension: where counts in bins are possible
CASES = [(name, PLANE.get(name, {})) for name in KNOWN] + [*OTHERS.items()] + [*LINES.items()]


def of(cases: list[tuple[str, dict[str, Any]]]) -> pytest.MarkDecorator:
    names = [f"{name}{'-' * bool(keys)}{len(keys) or ''}" for name, keys in cases]
    return pytest.mark.parametrize(("name", "keys"), cases, ids=names)


every, others = of(CASES), of([*OTHERS.items(), *LINES.items()])  # the defaults are held to the laws of every data set, too


def density_of(name: str, keys: dict[str, Any]) -> KnownDensity:
    return datasets[name](HERE, **keys).density  # type: ignore[no-any-return]


def drawn(density: KnownDensity, seed: int = 0) -> Tensor:
    return density.sample(SAMPLES, torch.Generator().manual_seed(seed))


def test_every_set_is_tried_in_other_settings_too() -> None:
    assert set(OTHERS) == set(KNOWN)


@every
def test_the_density_integrates_to_one(name: str, keys: dict[str, Any]) -> None:
    """By a coarser quadrature than that of a model's divergence; also by the coarse one, where a likelihood is an ODE."""
    density = density_of(name, keys)
    for side, error in ((320, 1e-9), (64, 1e-3)):
        rule = density.quadrature(side, *density.box())
        assert density.mass(rule) == pytest.approx(1, abs=error)
        low, high = density.box()
        assert float(rule.weights.sum()) == pytest.approx(float((high.double() - low).prod()), rel=0.02)


@others
def test_the_entropy_is_that_of_the_samples(name: str, keys: dict[str, Any]) -> None:
    density = density_of(name, keys)
    surprise = -density.log_prob(drawn(density).double())
    error = float(surprise.std()) / math.sqrt(SAMPLES)
    assert float(surprise.mean()) == pytest.approx(density.entropy, abs=4 * error + 1e-9)


@every
def test_samples_follow_the_density(name: str, keys: dict[str, Any]) -> None:
    """χ² of the counts in bins of the box, which the density is integrated over one by one; what lies outside is a bin."""
    density = density_of(name, keys)
    low, high = (corner.double() for corner in density.box(3.0))
    places = [
        low[axis] + (high - low)[axis] * (torch.arange(BINS * WITHIN) + 0.5) / (BINS * WITHIN) for axis in range(density.dim)
    ]
    points = torch.cartesian_prod(*places).reshape(-1, density.dim)
    area = float(((high - low) / (BINS * WITHIN)).prod())
    masses = torch.cat([density.log_prob(part).exp() for part in points.split(8_192)]) * area
    expected = np.histogramdd(points.numpy(), _edges(low, high), weights=masses.numpy())[0].ravel()
    found = np.histogramdd(drawn(density).numpy(), _edges(low, high))[0].ravel()
    many = SAMPLES * expected > 10
    expected = SAMPLES * np.append(expected[many], 1 - expected[many].sum())
    found = np.append(found[many], SAMPLES - found[many].sum())
    assert len(found) > 8
    if expected[-1] < 5:  # nothing outside: not a bin
        assert found[-1] < 20
        expected, found = expected[:-1], found[:-1]
    assert chi2.sf(float(((found - expected) ** 2 / expected).sum()), len(found) - 1) > 1e-4


def _edges(low: Tensor, high: Tensor) -> list[np.ndarray]:
    return [np.linspace(float(a), float(b), BINS + 1) for a, b in zip(low, high, strict=True)]


@others
def test_the_same_seed_gives_the_same_points(name: str, keys: dict[str, Any]) -> None:
    data, again = datasets[name](HERE, **keys), datasets[name](HERE, **keys)
    assert torch.equal(data.heldout(100, 3).x, again.heldout(100, 3).x)
    assert not torch.equal(data.heldout(100, 3).x, data.heldout(100, 4).x)
    assert data.heldout(100, 3).x.shape == (100, *data.spec.shape)
    assert data.heldout(100, 3).x.dtype == torch.float32


@every
def test_every_sample_has_a_density_in_float32_too(name: str, keys: dict[str, Any]) -> None:
    density = density_of(name, keys)
    x = drawn(density, 1)[:20_000]
    exact, here = density.log_prob(x.double()), density.log_prob(x)
    assert here.dtype == torch.float32
    assert bool(torch.isfinite(exact).all())
    assert torch.allclose(here.double(), exact, atol=2e-2)


@every
def test_the_box_holds_the_samples(name: str, keys: dict[str, Any]) -> None:
    density = density_of(name, keys)
    low, high = density.box()
    x = drawn(density)
    assert bool(((x >= low) & (x <= high)).all())
    near = density.box(4.5)
    assert bool((near[0] >= low).all())
    assert bool((near[1] <= high).all())
    assert float(((x >= near[0]) & (x <= near[1])).all(1).double().mean()) > 0.999


# --- closed forms --------------------------------------------------------------------------------------------------


def test_entropies_in_closed_form() -> None:
    assert density_of("checkerboard", {}).entropy == pytest.approx(math.log(32), abs=1e-9)
    assert density_of("checkerboard", {"cells": 3, "reach": 1.5}).entropy == pytest.approx(math.log(5), abs=1e-9)
    assert density_of("uniform", OTHERS["uniform"]).entropy == pytest.approx(math.log(6), abs=1e-6)
    assert density_of("eight_gaussians", {}).entropy == pytest.approx(2.832, abs=1e-3)
    gaussian = 1 + math.log(2 * math.pi)
    assert density_of("normal", {"correlation": 0.6}).entropy == pytest.approx(gaussian + math.log(0.8), abs=1e-6)
    assert density_of("normal", LINES["normal"]).entropy == pytest.approx(gaussian / 2 + math.log(0.5), abs=1e-6)
    apart = {"means": [[0.0], [1e3]], "covariances": [[[1.0]], [[4.0]]], "weights": [1.0, 1.0]}
    assert density_of("mixture", apart).entropy == pytest.approx(gaussian / 2 + 1.5 * math.log(2), abs=1e-6)


@pytest.mark.parametrize(("name", "keys"), [("normal", {}), ("banana", {}), ("funnel", {}), ("funnel", {"std": 3.0})])
def test_an_entropy_in_closed_form_is_that_of_the_quadrature(name: str, keys: dict[str, Any]) -> None:
    density = density_of(name, keys)
    assert density.measured_entropy() == pytest.approx(density.entropy, abs=1e-6)


def test_entropy_along_a_radius_is_that_over_the_plane() -> None:
    density = density_of("rings", {})
    assert density.measured_entropy() == pytest.approx(density.entropy, abs=1e-6)


SQUARES: list[tuple[str, dict[str, Any], float, float]] = [  # E x₁² and E x₂², by the formulas of the docstrings
    ("checkerboard", {}, 16 / 3, 16 / 3),
    ("eight_gaussians", {}, 4.125, 4.125),
    ("rings", {}, 2.109375 + 0.08**2, 2.109375 + 0.08**2),
    ("two_moons", {}, 4 * (1 / 2 + 1 / 4) + 0.04, 4 * (1 / 2 + 1 / 16 - 1 / math.pi) + 0.04),
    ("banana", OTHERS["banana"], 0.25, 0.09 + 0.64 * 2 * 0.5**4),
    ("funnel", {}, 1.0, math.exp(0.5)),
]


@pytest.mark.parametrize(("name", "keys", "first", "second"), SQUARES, ids=[case[0] for case in SQUARES])
def test_mean_squares_in_closed_form(name: str, keys: dict[str, Any], first: float, second: float) -> None:
    x = drawn(density_of(name, keys)).double()
    assert torch.allclose(x.square().mean(0), torch.tensor([first, second], dtype=torch.float64), rtol=0.02)
    assert float(x.mean(0).norm()) < 0.02


def test_mean_square_radii_in_closed_form() -> None:
    """A spiral's share u of its length has the density 2u, so E u² = ½; the roll's angle is uniform over [3π/2, 9π/2]."""
    wanted = {"two_spirals": 9 / 2 + 2 * 0.01, "swiss_roll": 2.8**2 * 13 / 27 + 2 * 0.04, "pinwheel": 4 * (1 + 0.09 + 0.01)}
    for name, square in wanted.items():
        assert float(drawn(density_of(name, {})).square().sum(1).mean()) == pytest.approx(square, rel=0.01)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_mixtures_are_torchs(dim: int) -> None:
    generator = torch.Generator().manual_seed(dim)
    means, factors = torch.randn(3, dim, generator=generator), torch.randn(3, dim, dim, generator=generator)
    covariances, weights = factors @ factors.mT + 0.2 * torch.eye(dim), torch.tensor([1.0, 2.0, 3.0])
    theirs = MixtureSameFamily(Categorical(weights.double()), MultivariateNormal(means.double(), covariances.double()))
    data = datasets["mixture"](HERE, means=means.tolist(), covariances=covariances.tolist(), weights=weights.tolist())
    x = drawn(data.density)
    few = x[:1_000].double()
    assert torch.allclose(data.density.log_prob(few), theirs.log_prob(few), atol=1e-4)
    assert torch.allclose(x.mean(0).double(), theirs.mean, atol=0.05)
    assert torch.allclose(x.var(0).double(), theirs.variance, rtol=0.03)
    assert ("box" in data.knows) == (dim <= 2)
    surprise = -data.density.log_prob(x.double())
    assert data.density.entropy == pytest.approx(float(surprise.mean()), abs=6 * float(surprise.std()) / math.sqrt(SAMPLES))


MORE = [
    ("normal", {"mean": [0.0] * 4}),
    ("uniform", {"low": [0.0] * 3, "high": [2.0] * 3}),
    ("funnel", {"dimension": 10}),
]


@pytest.mark.parametrize(("name", "keys"), MORE)
def test_in_more_dimensions_the_entropy_is_that_of_the_samples(name: str, keys: dict[str, Any]) -> None:
    data = datasets[name](HERE, **keys)
    assert "density" in data.knows
    assert "box" not in data.knows
    surprise = -data.density.log_prob(drawn(data.density).double())
    error = float(surprise.std()) / math.sqrt(SAMPLES)
    assert data.density.entropy == pytest.approx(float(surprise.mean()), abs=4 * error + 1e-6)


@pytest.mark.parametrize("name", ["normal", "mixture", "two_moons"])
def test_points_are_the_same_where_a_model_computes_in_bf16(name: str) -> None:
    data = datasets[name](HERE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = data.heldout(100, 0).x, data.examples(100, 0).x
    assert all(torch.equal(x, y) for x, y in zip(inside, (data.heldout(100, 0).x, data.examples(100, 0).x), strict=True))


@pytest.mark.parametrize("name", ["checkerboard", "uniform"])
def test_what_turns_sharply_beside_a_jump_is_integrated(name: str) -> None:
    """∫ e^(−(x₁ + x₂ − 2 low)/s) over the square beside the lower left corner, whose side is 40 s: (s (1 − e^(−40)))²."""
    density = density_of(name, {})
    low, side = (-4.0, 2.0) if name == "checkerboard" else (-1.0, 2.0)
    rule = density.quadrature(480, *density.box())
    beside = ((rule.points > low) & (rule.points < low + side)).all(1)
    found = rule.integral(torch.where(beside, (-(rule.points - low).sum(1) * 40 / side).exp(), 0.0))
    assert found == pytest.approx((side / 40) ** 2, rel=2e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_of_far_components_are_exact_and_nothing_underflows(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit what they are without the bound, which exists for speed."""
    terms = torch.linspace(-3_000, 300, 40, dtype=dtype)[torch.randint(40, (500, 30))]
    terms[:, 3] = -math.inf  # of no weight
    exact, summed = torch.logsumexp(terms, dim=1), []
    monkeypatch.setattr(torch, "logsumexp", lambda x, dim: summed.append(x) or x.logsumexp(dim))
    assert torch.equal(log_sum(terms), exact)
    assert float((summed[0] - exact[:, None]).min()) > math.log(torch.finfo(torch.float32).tiny)


def test_a_narrow_oblique_mixture_is_integrated() -> None:
    keys = {
        "means": [[0.0, 0.0], [20.0, 0.0]],
        "covariances": [[[1.0, 0.9], [0.9, 1.0]], [[1e-4, 5e-5], [5e-5, 1e-4]]],
        "weights": [1.0, 1.0],
    }
    density = density_of("mixture", keys)
    assert density.mass(density.quadrature(480, *density.box())) == pytest.approx(1, abs=1e-4)


def test_the_density_of_a_noisy_curve_is_the_integral_along_it() -> None:
    """By Simpson's rule on the curves of the docstrings, within 3σ: at the ends, beyond them and in between."""
    u, noise = np.linspace(0, 1, 8_001), 0.05
    steps = np.where(np.arange(len(u)) % 2, 4, 2) / (3 * (len(u) - 1))
    steps[[0, -1]] /= 2
    spiral, angle = 3 * math.pi * u, math.pi * np.arange(12) / 6
    curves = {  # and the density of u
        "two_moons": (2 * np.cos(math.pi * u) - 1, 2 * np.sin(math.pi * u) - 0.5, 1.0),
        "two_spirals": (-3 * u * np.cos(spiral), 3 * u * np.sin(spiral), 2 * u),
        "swiss_roll": (2.8 * (1 + 2 * u) / 3 * np.sin(spiral), -2.8 * (1 + 2 * u) / 3 * np.cos(spiral), 1.0),
    }
    for name, (first, second, share) in curves.items():
        line, weight = np.stack([first, second], 1), share * steps
        circle = noise * np.stack([np.cos(angle), np.sin(angle)], 1)
        x = np.concatenate([line[at] + r * circle for at in (0, 7_800, -1) for r in (1, 3)])
        if name != "swiss_roll":
            line, weight = np.concatenate([line, -line]), np.concatenate([weight, weight]) / 2
        squares = ((x[:, None] - line) ** 2).sum(2) / (2 * noise**2)
        with np.errstate(divide="ignore"):
            true = logsumexp(-squares, b=weight, axis=1) - math.log(2 * math.pi * noise**2)
        found = density_of(name, {"noise": noise}).log_prob(torch.from_numpy(x))
        assert found.numpy() == pytest.approx(true, abs=1e-4), name


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("normal", {"mean": [0.0], "covariance": [[1.0, 0.0], [0.0, 1.0]]}, "1 rows of 1 numbers"),
        ("normal", {"covariance": [[1.0, 2.0], [2.0, 1.0]]}, "not positive definite"),
        ("normal", {"covariance": [[1.0, 0.5], [0.1, 1.0]]}, "not symmetric"),
        ("normal", {"mean": [0.0] * 3, "correlation": -0.6}, r"dataset\.correlation=-0\.6: .*not positive definite"),
        ("mixture", {"weights": [1.0]}, "3 means, 3 covariances and 1 weights"),
        ("mixture", {"means": [[0.0], [0.0, 1.0], [1.0]]}, "one dimension"),
        ("uniform", {"low": [0.0]}, "where dataset.low has 1"),
        ("uniform", {"low": [0.0, 1.0]}, "greater than"),
    ],
)
def test_what_is_no_density_is_refused(name: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        datasets[name](HERE, **keys)
