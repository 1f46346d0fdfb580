"""Transforms of uniform numbers: they give what they say, as often as they say, and so does each of their stages."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from genexp.config.composition import compose
from genexp.data.base import DataSpec
from genexp.data.normal import Normal
from genexp.errors import UserError
from genexp.registry import models
from genexp.samplers import trials
from genexp.samplers.base import Stage, Stream, Transform, sources, transforms
from genexp.samplers.cholesky import AliasTable
from genexp.samplers.gaussians import BASE, Gaussian, box_muller, tail_beyond, ziggurat_edges
from genexp.samplers.inverse import DENSITIES, Table, interpolated
from genexp.subject import Subject
from tests.laws.members import variants
from tests.subjects import taken

ALL = variants(transforms)
CONDITIONED = {"name": "cholesky", "covariance": [[1.0, 1.0], [1.0, 1 + 1e-9]], "mean": [3.0, -2.0]}
MORE = {
    "ill-conditioned": CONDITIONED,
    "heavy": {"name": "alias", "weights": [1.0, 20.0, 1e-3]},
    "narrow proposals": {"name": "rejection", "rate": 1.7},
}
EACH = pytest.mark.parametrize("label", [*ALL, *MORE])
N = 20_000


def made(label: str, dim: int = 2) -> Transform:
    return transforms.build({**ALL, **MORE}[label], dim)


def stream(seed: int = 0, bits: Any = 32) -> Stream:
    return Stream(sources.build({"name": "xoroshiro128plus"}), seed, bits)


@EACH
def test_rosenblatts_transform_of_the_samples_is_uniform_and_independent(label: str) -> None:
    found = made(label).draw(stream(1), N)
    assert found.x.shape == (N, 2)
    u = made(label).uniformised(found.x)
    assert u.dtype == torch.float64
    numbers = u.flatten().numpy()
    for trial in (trials.kolmogorov_smirnov(numbers), *(trials.chi_square(numbers, dims) for dims in (1, 2, 3))):
        assert trial is not None
        assert trial.p > 1e-5
    assert trials.serial_correlation(numbers).p > 1e-5  # type: ignore[union-attr]


@EACH
def test_every_stage_is_uniformised_by_what_it_says(label: str) -> None:
    stages = made(label).stages(stream(2), N)
    assert torch.isfinite(stages[-1].x).all()
    for stage in stages:
        for column in stage.uniformised.T:
            assert trials.kolmogorov_smirnov(column.numpy()).p > 1e-5, stage.name  # type: ignore[union-attr]


@EACH
def test_the_density_of_rosenblatts_transform_is_the_samples_own(label: str) -> None:
    """Not of N(0, I) whatever is asked for: moved by a tenth, the same samples are refused."""
    transform = made(label)
    x = transform.draw(stream(1), N).x
    moved = transform.uniformised(x * 1.1 + 0.1).flatten().numpy()
    assert trials.kolmogorov_smirnov(moved).p < 1e-5  # type: ignore[union-attr]


@EACH
def test_acceptance_is_that_of_theory(label: str) -> None:
    transform = made(label)
    found = transform.draw(stream(3), N)
    if transform.acceptance is None:
        assert found.proposed == 0
        return
    error = math.sqrt(transform.acceptance * (1 - transform.acceptance) / found.proposed)
    assert found.kept / found.proposed == pytest.approx(transform.acceptance, abs=5 * error)


@EACH
def test_the_covariance_is_that_of_the_samples(label: str) -> None:
    """E|S − Σ|² = (tr²Σ + tr Σ²)/n."""
    transform = made(label)
    if transform.covariance is None:
        return
    covariance = transform.covariance
    expected = float(covariance.trace() ** 2 + (covariance @ covariance).trace())
    found = [float((transform.draw(stream(s), 200).x.double().mT.cov() - covariance).square().sum()) * 199 for s in range(40)]
    assert np.mean(found) == pytest.approx(expected, abs=5 * np.std(found) / len(found) ** 0.5)


def test_the_numbers_of_a_run_stand_beside_those_of_theory() -> None:
    """Of 1001 points of N(0, I) in the plane: (2² + 2)/1000 for the covariance, π/4 that are kept, and the largest of 24 bits."""
    keys = {"name": "random_numbers", "transform": {"name": "marsaglia_polar"}, "bits": 24, "tested": 2002}
    model = models.build(keys, DataSpec((2,)))
    subject = Subject(model, Normal(Path()), compose([]).settings, torch.device("cpu"))
    found = taken(subject, "covariance_error", "acceptance", "largest")
    assert found["exact/covariance_error"] == pytest.approx(6 / 1000)
    assert found["covariance_error"] < 10 * 6 / 1000
    assert found["exact/acceptance"] == pytest.approx(math.pi / 4)
    assert found["acceptance"] == pytest.approx(math.pi / 4, abs=5 * found["acceptance_error"])  # type: ignore[operator]
    assert found["largest/possible"] == pytest.approx(math.sqrt(92 * math.log(2)))
    u = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    model.transform.stages = lambda stream, n: [Stage("right", u, u), Stage("half", u, u / 2)]  # type: ignore[union-attr,assignment]
    stages = taken(subject, "stage")
    assert stages["stage/right"] < 0.1
    assert stages["stage/half"] == pytest.approx(0.5, abs=0.05)


@EACH
@pytest.mark.parametrize("bits", [24, 32, 53])
def test_few_and_odd_numbers_of_samples(label: str, bits: Any) -> None:
    for n in (0, 1, 3):
        x = made(label).draw(stream(4, bits), n).x
        assert x.shape == (n, 2)
        assert torch.isfinite(x).all()


def test_the_largest_gaussian_is_that_of_the_least_uniform_number() -> None:
    """Through the code itself: 6.660 of 32 bits, 5.768 of 24."""
    for bits, known in ((32, 6.660), (24, 5.768)):
        z, _ = box_muller(torch.tensor([2.0**-bits]), torch.tensor([1.0]))
        assert float(z) == pytest.approx(known, abs=1e-3)
        assert made("box_muller").largest(bits) == pytest.approx(known, abs=1e-3)
    v = torch.tensor([2 * 2.0**-32, 0.0], dtype=torch.float64)
    s = v.square().sum()
    assert made("marsaglia_polar").largest(32) == pytest.approx(float(v[0] * (-2 * s.log() / s).sqrt()))


def test_the_ziggurat_closes_and_its_tail_is_the_bells() -> None:
    """The layers, each of one area, end at the top of the bell; their areas are 1/acceptance of that under it."""
    edges = ziggurat_edges()
    assert len(edges) == 257
    assert bool((edges.diff() < 0).all())
    heights = torch.exp(-edges[1:].square() / 2)
    areas = edges[1:-1] * heights.diff()
    assert areas.min() == pytest.approx(float(areas.max()), rel=1e-6)
    tail = tail_beyond(stream(), 50_000, BASE)
    u = (torch.special.ndtr(-tail) / torch.special.ndtr(torch.tensor(-BASE, dtype=torch.float64))).numpy()
    assert trials.kolmogorov_smirnov(u).p > 1e-4  # type: ignore[union-attr]


@pytest.mark.parametrize("name", DENSITIES)
def test_a_density_its_distribution_function_and_its_inverse_agree(name: Any) -> None:
    density = DENSITIES[name]
    low, high = (0.1, 3.0) if name == "exponential" else (-2.5, 3.0)
    x = torch.linspace(low, high, 40, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(density.cdf(x).sum(), x)
    assert torch.allclose(slope.log(), density.log_p(x), atol=1e-8)
    if density.quantile is not None:
        assert torch.allclose(density.quantile(density.cdf(x)), x)


def test_a_table_of_any_density_is_nearer_the_more_nodes_it_has() -> None:
    """Of a density without a name, up to a constant: its mass is found, and the error falls as nodes⁻²."""

    def log_p(x: torch.Tensor) -> torch.Tensor:
        return -(x**4) + 2 * x**2

    x = torch.linspace(-3, 3, 60_001, dtype=torch.float64)
    cdf = log_p(x).exp().cumsum(0) - log_p(x).exp() / 2
    cdf, u = cdf / log_p(x).exp().sum(), torch.linspace(0.001, 0.999, 5001, dtype=torch.float64)
    errors = [float((interpolated(x, cdf, Table(log_p, -3, 3, nodes)(u)) - u).abs().max()) for nodes in (64, 256, 1024)]
    assert errors[2] < 2e-5
    assert errors[1] < errors[0] / 8
    assert errors[2] < errors[1] / 8


def test_an_alias_table_has_the_weights() -> None:
    for weights in (
        [1.0],
        [1.0, 1.0],
        [1e-6, 3.0, 0.2, 7.0, 1e3],
        torch.rand(50, generator=torch.Generator().manual_seed(0)).tolist(),
    ):
        wanted = torch.tensor(weights, dtype=torch.float64)
        table = AliasTable(wanted)
        assert torch.allclose(table.probabilities(), wanted / wanted.sum(), atol=1e-12)
    u = stream().uniform(100_000)
    weights = torch.tensor([1.0, 2.0, 5.0, 0.5], dtype=torch.float64)
    counts = np.bincount(AliasTable(weights)(u).numpy(), minlength=4)
    assert trials.counts_as_expected(counts, (weights / weights.sum()).numpy()).p > 1e-4


def test_one_gaussian_a_time_of_every_method_is_as_good_in_any_dimension() -> None:
    for label in ALL:
        transform = made(label) if ALL[label]["name"] == "alias" else made(label, 3)
        if isinstance(transform, Gaussian):
            assert transform.draw(stream(), 5).x.shape == (5, 3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "cholesky", "covariance": [[1.0, 2.0], [2.0, 1.0]]}, "positive definite"),
        ({"name": "cholesky", "covariance": [[1.0, 0.5], [0.0, 1.0]]}, "symmetric"),
        ({"name": "cholesky", "mean": [1.0]}, "μ must be 2 numbers"),
        ({"name": "cholesky", "covariance": [[1.0]]}, "Σ 2 rows of 2"),
        ({"name": "alias", "weights": [1.0]}, "a mean, a covariance and a weight of each"),
        ({"name": "alias", "means": [[0.0], [1.0], [2.0]]}, "of 2 dimensions"),
    ],
)
def test_mistakes_are_one_line(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        transforms.build(settings, 2)


class Worst:
    """Every number of so few bits, and the least one wherever it is asked whether to keep something."""

    def __init__(self, bits: int, *given: torch.Tensor) -> None:
        self.bits, self.given = bits, [*given]

    def positive(self, n: int) -> torch.Tensor:
        return self.given.pop(0)[:n] if self.given else torch.full((n,), 2.0**-self.bits, dtype=torch.float64)

    def inside(self, n: int) -> torch.Tensor:
        k = torch.arange(n, dtype=torch.float64) % 2**self.bits
        return (k + 0.5) * 2.0**-self.bits


@pytest.mark.parametrize("bits", [6, 10, 13])
def test_the_largest_that_there_can_be_is_what_all_numbers_of_few_bits_give(bits: int) -> None:
    every = (torch.arange(2**bits, dtype=torch.float64) + 1) * 2.0**-bits
    least = torch.full_like(every, 2.0**-bits)
    kept = Worst(bits, every, least, torch.ones_like(every), 0.5 * torch.ones_like(every))
    tail = tail_beyond(kept, len(every), BASE)  # type: ignore[arg-type]
    assert float(tail.max()) == pytest.approx(transforms.build({"name": "ziggurat"}, 1).largest(bits), rel=1e-12)
    for rate in (0.6, 1.0, 1.7):
        transform = transforms.build({"name": "rejection", "rate": rate}, 1)
        found = transform.draw(Worst(bits), 3 * 2**bits)  # type: ignore[arg-type]
        assert float(found.x.abs().max()) == pytest.approx(transform.largest(bits), rel=1e-12)


@EACH
def test_no_sample_is_larger_than_the_largest(label: str) -> None:
    transform = made(label)
    for bits in (24, 32):
        found = transform.draw(stream(5, bits), N).x.abs().max()
        assert float(found) <= transform.largest(bits) * (1 + 1e-6)  # type: ignore[operator]


def test_the_largest_of_a_correlated_gaussian_is_at_a_corner() -> None:
    transform = made("ill-conditioned")
    corner = 6.0 * torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    transform.gaussian.largest = lambda bits: 6.0  # type: ignore[method-assign, assignment]
    reached = max(float(transform.moved(sign * corner).abs().max()) for sign in (1, -1))
    assert transform.largest(32) == pytest.approx(reached)
