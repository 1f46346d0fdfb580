"""Training points on a shifted lattice: each of the right density, all together more evenly than by chance."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from genexp.data.double_gaussian import DoubleGaussian
from genexp.data.even import even_shares, shifted_lattices
from genexp.data.mixture import GaussianMixture


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def mixture() -> GaussianMixture:
    return GaussianMixture(
        torch.tensor([[-2.0, 0.5], [1.0, -1.0]]), torch.tensor([[0.5, 0.8], [0.3, 1.5]]), torch.tensor([1.0, 3.0])
    )


def lattice(source: torch.Generator, n: int) -> Tensor:
    return shifted_lattices(torch.zeros(n, dtype=torch.long), 1, source).double()


def test_points_of_a_lattice_are_uniform_when_chosen_at_random() -> None:
    source = generator()
    chosen = torch.stack([lattice(source, 6)[int(torch.randint(6, (), generator=source))] for _ in range(600)])
    for column in chosen.T:
        distance = (column.sort().values - torch.linspace(0, 1, len(column), dtype=torch.float64)).abs().max()
        assert distance < 2.0 / math.sqrt(len(column))  # Kolmogorov–Smirnov, far beyond chance
    assert ((chosen > 0) & (chosen < 1)).all()


def test_a_lattice_integrates_smooth_functions_far_better_than_chance() -> None:
    source, n = generator(), 512
    waves = (2 * math.pi * torch.stack([lattice(source, n) for _ in range(60)])).cos()
    for wave in (waves[..., 0], waves[..., 1], waves.prod(-1)):  # the integrals are 0
        assert wave.mean(1).square().mean().sqrt() < 0.1 * wave.square().mean().sqrt() / math.sqrt(n)
    assert lattice(source, n).sort(0).values.diff(dim=0).max() < 3.0 / n  # no gap in either coordinate


def test_a_long_lattice_goes_on_by_the_golden_ratio() -> None:
    """To the last of its points: of k α as many digits are lost as k has, where it is not found in integers."""
    steps = lattice(generator(), 300_000)[:, 1].diff() % 1
    assert (steps - (math.sqrt(5) - 1) / 2).abs().max() < 1e-6


@pytest.mark.parametrize("shift", [0.0, 1 - 2**-24])
def test_no_point_lies_on_the_edge_of_the_square_where_the_normal_is_infinite(
    monkeypatch: pytest.MonkeyPatch, shift: float
) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size, shift))
    u = shifted_lattices(torch.zeros(50, dtype=torch.long), 1, None)
    assert torch.isfinite(torch.special.ndtri(u)).all()


def test_each_group_has_a_lattice_of_its_own_and_its_share() -> None:
    source = generator()
    group = even_shares(torch.tensor([0.25, 0.05, 0.7]), 90, source)
    counts = torch.bincount(group)
    assert (counts - 90 * torch.tensor([0.25, 0.05, 0.7])).abs().max() < 1
    few = torch.stack([torch.bincount(even_shares(torch.tensor([0.25, 0.05, 0.7]), 3, source), minlength=3) for _ in range(400)])
    assert few.double().mean(0) == pytest.approx(
        torch.tensor([0.75, 0.15, 2.1], dtype=torch.float64), abs=0.1
    )  # on average its share
    points = shifted_lattices(group, 3, source)
    for index, count in enumerate(counts):
        steps = points[group == index, 0].diff()
        assert steps == pytest.approx(torch.full_like(steps, 1 / int(count)), abs=1e-6)
    assert len({round(float(points[group == index, 0][0] * count), 4) for index, count in enumerate(counts)}) == 3


def test_even_points_have_the_mixtures_density() -> None:
    target, n = mixture(), 20_000
    x = target.sample_evenly(n, generator()).double()
    first = (x[:, 0] - target.means[:, 0, None]).abs().argmin(0) == 0
    assert float(first.double().mean()) == pytest.approx(0.25, abs=2e-3)
    for part, mean, std in zip((x[first], x[~first]), target.means, target.stds, strict=True):
        assert part.mean(0) == pytest.approx(mean.double(), abs=0.01)
        assert part.std(0) == pytest.approx(std.double(), rel=0.01)
        assert abs(float(torch.corrcoef(part.T)[0, 1])) < 0.01
    assert float((-target.log_prob(x)).mean()) == pytest.approx(target.measured_entropy(), abs=2e-3)
    assert float(first[: n // 2].double().mean()) == pytest.approx(0.25, abs=0.02)  # in random order


def scatter(draw: str, n: int = 256, batches: int = 200) -> Tensor:
    """The standard deviations over batches of the means of x, y, x² and x y."""
    stream = DoubleGaussian(Path(), draw=draw).train_stream(n, 1)
    x = torch.stack([stream.next().x for _ in range(batches)]).double()
    found = torch.stack([x[..., 0], x[..., 1], x[..., 0] ** 2, x[..., 0] * x[..., 1]], dim=-1).mean(1)
    assert (found.mean(0) - torch.tensor([0.0, 0.0, 4.25, 0.0], dtype=torch.float64)).abs().max() < 0.05  # unbiased
    return found.std(0)


def test_means_over_even_batches_scatter_less() -> None:
    even, random = scatter("even"), scatter("random")
    assert (even < 0.3 * random).all(), even / random


def test_every_batch_is_another_and_a_stream_goes_on_where_it_stopped() -> None:
    stream, again = (DoubleGaussian(Path(), draw="even").train_stream(32, 1) for _ in range(2))
    first, state = stream.next().x, stream.state_dict()
    second = stream.next().x
    assert not torch.allclose(first, second)
    assert not torch.allclose(first, DoubleGaussian(Path(), draw="even").train_stream(32, 2).next().x)
    again.load_state_dict(state)
    assert torch.equal(again.next().x, second)


def test_what_is_held_out_is_drawn_at_random() -> None:
    even, random = (DoubleGaussian(Path(), draw=draw) for draw in ("even", "random"))
    assert torch.equal(even.heldout(50, 4).x, random.heldout(50, 4).x)
