"""Numbers of points against distributions whose divergences, distances and costs are known in closed form."""

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor, nn

from genexp.config.composition import compose
from genexp.data.known import KnownDensity
from genexp.data.normal import Normal
from genexp.data.uniform import Uniform, UniformBox
from genexp.divergences.wasserstein import wasserstein
from genexp.measures import cost, distances, lattice
from genexp.measures.distances import _votes, two_sample_accuracy
from genexp.measures.record import LeftOut
from genexp.registry import models
from genexp.subject import Subject
from tests.subjects import taken

CPU = torch.device("cpu")
INTEGRALS = ("kl", "reverse_kl", "total_variation", "mass")


@pytest.fixture(autouse=True)
def _coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one scale in one box fewer points are enough."""
    monkeypatch.setattr("genexp.measures.quadrature.GRID_SIDE", 150)


class Known(nn.Module):
    """A model whose density is known, and whose samples are its own."""

    can, objective = frozenset({"sample", "exact"}), "other"

    def __init__(self, density: KnownDensity) -> None:
        super().__init__()
        self.density = density

    def log_prob(self, x: Tensor) -> Tensor:
        return self.density.log_prob(x)

    def sample(self, n: int) -> Tensor:
        return self.density.sample(n)


def normal(mean: list[float], variances: list[float]) -> Normal:
    return Normal(Path(), mean=mean, covariance=torch.tensor(variances).diag().tolist())


def numbers(data: Any, density: KnownDensity, *names: str, samples: int = 500) -> dict[str, Any]:
    words = ["experiment=double_gaussian", f"evaluation.num_samples={samples}", "evaluation.num_points=3000"]
    return taken(Subject(Known(density), data, compose(words).settings, CPU), *names)


def kl_of(p: tuple[float, float], q: tuple[float, float]) -> float:
    """KL(p ‖ q) of Gaussians on a line, given by mean and variance."""
    return 0.5 * (math.log(q[1] / p[1]) + (p[1] + (p[0] - q[0]) ** 2) / q[1] - 1)


@pytest.mark.parametrize("dim", [1, 2])
def test_divergences_of_gaussians(dim: int) -> None:
    p, q = ((0.3, 0.5), (-0.4, 0.9)), ((0.0, 1.0), (0.1, 0.6))
    found = numbers(
        normal(*map(list, zip(*p[:dim], strict=True))), normal(*map(list, zip(*q[:dim], strict=True))).density, *INTEGRALS
    )
    assert found["kl"] == pytest.approx(sum(kl_of(a, b) for a, b in zip(p[:dim], q, strict=False)), abs=1e-6)
    assert found["reverse_kl"] == pytest.approx(sum(kl_of(b, a) for a, b in zip(p[:dim], q, strict=False)), abs=1e-4)
    assert found["floor/kl"] == found["floor/reverse_kl"] == found["floor/total_variation"] == 0
    assert found["mass"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("dim", [1, 2])
def test_total_variation_of_gaussians_a_step_apart(dim: int) -> None:
    """2 Φ(m/2) − 1, whichever way they lie; 0 of the truth itself."""
    centre, other = [0.0] * dim, [0.0] * (dim - 1) + [1.3]
    truth = normal(centre, [1.0] * dim)
    found = numbers(truth, normal(other, [1.0] * dim).density, "total_variation")
    assert found["total_variation"] == pytest.approx(math.erf(1.3 / math.sqrt(8)), abs=1e-3)
    assert numbers(truth, truth.density, "total_variation")["total_variation"] == pytest.approx(0, abs=1e-9)
    far = numbers(truth, normal([100.0] * dim, [1.0] * dim).density, "total_variation")
    assert far["total_variation"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2])
def test_a_divergence_that_is_infinite_is_said_to_be(dim: int) -> None:
    """Of a uniform density against one on half the box, either way round."""
    low, high = [0.0] * dim, [2.0] * dim
    whole = Uniform(Path(), low=low, high=high)
    half = Uniform(Path(), low=low, high=[1.0, *high[1:]])
    narrow = numbers(whole, half.density, "reverse_kl", "total_variation")
    assert narrow["reverse_kl"] == pytest.approx(math.log(2), abs=0.02)
    assert narrow["total_variation"] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(LeftOut, match=r"KL\(data ‖ model\) is infinite: 0\.(49|5) of"):
        numbers(whole, half.density, "kl")
    wide = numbers(half, whole.density, "kl", "total_variation")
    assert wide["kl"] == pytest.approx(math.log(2), abs=1e-6)
    assert wide["total_variation"] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(LeftOut, match=r"KL\(model ‖ data\) is infinite"):
        numbers(half, whole.density, "reverse_kl")


@pytest.mark.parametrize("dim", [1, 2])
def test_what_a_wide_model_has_beyond_the_box_counts(dim: int) -> None:
    """Of variance 12 against 1, whose box ends at ±9, 0.009 of the model and 0.6 nats of KL(model ‖ data) lie beyond."""
    truth, wide = normal([0.0] * dim, [1.0] * dim), normal([0.0] * dim, [12.0, 1.0][:dim])
    found = numbers(truth, wide.density, *INTEGRALS)
    assert found["mass"] == pytest.approx(1, abs=2e-4)
    assert found["reverse_kl"] == pytest.approx(kl_of((0.0, 12.0), (0.0, 1.0)), abs=0.01)
    assert found["kl"] == pytest.approx(kl_of((0.0, 1.0), (0.0, 12.0)), abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2])
def test_what_a_very_wide_model_has_beyond_the_quadrature_counts_by_its_samples(dim: int) -> None:
    """Of variance 61 against 1: the boxes around that of the truth end at ±27, 0.0005 of the model and 0.2 nats lie beyond."""
    truth, wide = normal([0.0] * dim, [1.0] * dim), normal([0.0] * dim, [61.0, 1.0][:dim])
    found = numbers(truth, wide.density, "reverse_kl", "mass", samples=100_000)
    assert 2e-4 < 1 - found["mass"] < 1e-3
    assert 0.01 < found["reverse_kl_error"] < 0.05
    assert found["reverse_kl"] == pytest.approx(kl_of((0.0, 61.0), (0.0, 1.0)), abs=3 * found["reverse_kl_error"])


def test_the_entropy_of_a_wide_model_is_whole_though_the_box_of_the_data_is_not() -> None:
    """Of variance 12: 0.06 nats of it lie beyond ±9."""
    found = numbers(normal([0.0], [1.0]), normal([0.0], [12.0]).density, "entropy")
    assert found["entropy"] == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 12), abs=1e-3)


@pytest.mark.parametrize("name", ["reverse_kl", "entropy"])
def test_what_lies_beyond_the_quadrature_is_no_number(name: str) -> None:
    truth = normal([0.0], [1.0])
    with pytest.raises(LeftOut, match="of the model's mass lies where the data have next to nothing"):
        numbers(truth, normal([26.0], [1.0]).density, name)
    assert numbers(truth, normal([26.0], [1.0]).density, "kl")["kl"] == pytest.approx(338, abs=1e-6)


class SteepEdges(UniformBox):
    """The uniform density on a box, cut off over a length of 0.003 on its inner side, (1 − exp(−d/0.003)) at distance d,
    not normalised."""

    def log_prob(self, x: Tensor) -> Tensor:
        d = torch.minimum(x - self.low, self.high - x).amin(1)
        return super().log_prob(x) + torch.log1p(-torch.exp(-d.clamp(min=1e-9) / 0.003))


def test_the_kl_of_a_model_that_turns_sharply_beside_a_jump() -> None:
    """On the square [−1, 1]², the share of points within d of an edge is 1 − (1 − d)²: KL = −∫ 2 (1 − d) ln(1 − exp(−d/l)) dd,
    which is 2 l π²/6 − 2 l² ζ(3) but for exp(−1/l).
    """
    truth, length, zeta3 = Uniform(Path(), low=[-1.0, -1.0], high=[1.0, 1.0]), 0.003, 1.2020569
    found = numbers(truth, SteepEdges(truth.density.low, truth.density.high), "kl")
    assert found["kl"] == pytest.approx(2 * length * math.pi**2 / 6 - 2 * length**2 * zeta3, rel=0.03)


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("name", ["normal", "linear_flow", "elementwise_flow"])
def test_nll_is_above_its_floor_by_the_kl(dim: int, name: str) -> None:
    """Within the standard error, of a model that has seen the data: on the same points, so that no noise hides it."""
    torch.manual_seed(dim)
    data = normal([0.5, -1.0][:dim], [0.7, 1.5][:dim])
    model = models.build({"name": name}, data.spec)
    model.initialise(data.first_look(500, 0))
    subject = Subject(model.eval(), data, compose(["experiment=double_gaussian", "evaluation.num_points=4000"]).settings, CPU)
    with torch.no_grad():
        found = taken(subject, "kl", "nll")
    assert found["kl"] > 0
    assert found["nll"] > found["floor/nll"] - found["nll_error"]
    assert found["nll"] - found["floor/nll"] == pytest.approx(found["kl"], abs=max(0.01, found["kl"]))


# --- clouds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_wasserstein_of_a_shift_is_the_shift(dim: int) -> None:
    generator = torch.Generator().manual_seed(dim)
    x, shift = torch.randn(100, dim, generator=generator), torch.randn(dim, generator=generator)
    shuffled = x[torch.randperm(100, generator=generator)]
    assert wasserstein(x, shuffled) == 0
    assert wasserstein(shuffled + 5 * shift, x) == pytest.approx(5 * float(shift.norm()), rel=1e-5)


def test_wasserstein_on_a_line_is_scipys() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(200, 1, generator=generator), 2 * torch.rand(200, 1, generator=generator)
    assert wasserstein(one, other) == pytest.approx(wasserstein_distance(one[:, 0].numpy(), other[:, 0].numpy()), rel=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 8])
def test_a_classifier_tells_what_differs_and_nothing_else(dim: int) -> None:
    torch.manual_seed(dim)
    one, other = torch.randn(400, dim), torch.randn(400, dim)
    assert two_sample_accuracy(one, other) == pytest.approx(0.5, abs=5 / math.sqrt(8 * 400))
    assert two_sample_accuracy(one, other + 20) == 1
    assert two_sample_accuracy(torch.cat([one, one]), torch.zeros(800, dim)) > 0.95


def test_no_point_votes_for_itself() -> None:
    """Two pairs on a line, the points of each from different clouds: each is told of its neighbour alone."""
    x, label = torch.tensor([[[0.0], [1.0], [10.0], [11.0]]]), torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    assert _votes(x, x, label).flatten().tolist() == [1, -1, -1, 1]
    assert _votes(x[:, :2] - 0.1, x, label).flatten().tolist() == [-1, 1]  # new ones, of whom nothing is known


def test_a_point_is_told_by_what_has_not_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that knows all that it saw by heart."""

    def by_heart(seen: Tensor, label: Tensor) -> Any:
        return lambda new: 2 * label.gather(1, torch.cdist(new, seen).argmin(2)) - 1

    monkeypatch.setattr(distances, "_trained", by_heart)
    monkeypatch.setattr(distances, "_votes", lambda x, known, label: 0 * x[..., :1])
    torch.manual_seed(0)
    assert two_sample_accuracy(torch.rand(400, 2), torch.rand(400, 2)) == pytest.approx(0.5, abs=0.1)
    assert two_sample_accuracy(torch.rand(400, 2), torch.rand(400, 2) + 2) == 1


def test_a_classifier_comes_near_to_the_best_there_is() -> None:
    """Of a uniform density and one on the black squares: ¾ of all points can be told, by their place alone."""
    from genexp.data.checkerboard import BlackSquares

    torch.manual_seed(0)
    board = BlackSquares(4, 4.0)
    assert two_sample_accuracy(board.sample(800), 8 * torch.rand(800, 2) - 4) == pytest.approx(0.72, abs=0.05)


def test_clouds_are_set_beside_as_many_points_of_the_data() -> None:
    torch.manual_seed(0)
    data = normal([0.0, 0.0], [1.0, 1.0])
    same = numbers(data, data.density, "wasserstein", "c2st")
    assert same["c2st"] == pytest.approx(0.5, abs=5 * same["c2st_error"])
    assert same["real_vs_real/c2st"] == pytest.approx(0.5, abs=5 * same["c2st_error"])
    assert same["c2st"] != same["real_vs_real/c2st"]
    assert same["wasserstein"] == pytest.approx(same["real_vs_real/wasserstein"], rel=0.3)
    far = numbers(data, normal([9.0, 0.0], [1.0, 1.0]).density, "wasserstein", "c2st")
    assert far["c2st"] > 0.999
    assert far["wasserstein"] == pytest.approx(9, abs=0.2)
    assert far["real_vs_real/wasserstein"] == same["real_vs_real/wasserstein"]


# --- costs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_call", "of_example", "most"), [(0.0, 1e-6, 1000), (0.1, 1e-6, 1000), (0.2, 2e-4, 1000), (0.0, 4e-3, 125), (1.0, 1.0, 8)]
)
def test_a_cost_is_that_of_a_thousand(monkeypatch: pytest.MonkeyPatch, of_call: float, of_example: float, most: int) -> None:
    """On a clock that goes on by so much with each call and each example; the calls of a slow model are few and small."""
    clock, calls = [0.0], list[int]()

    def call(size: int) -> None:
        calls.append(size)
        clock[0] += of_call + of_example * size

    monkeypatch.setattr(cost.time, "perf_counter", lambda: 3 * clock[0])  # of a machine on which others compute
    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])
    subject = Subject(Known(UniformBox(torch.zeros(2), torch.ones(2))), Uniform(Path()), compose([]).settings, CPU)
    found = cost.seconds_per_thousand(subject, call)
    assert max(calls) == most
    assert found == pytest.approx((of_call + of_example * calls[-1]) * 1000 / calls[-1], rel=0.01)
    if of_call + of_example < 0.1:
        assert clock[0] < 1.3
    assert calls[-1] == calls[-2]  # what is measured has been done before


@pytest.mark.parametrize("module", [cost, lattice])
def test_a_cost_is_taken_between_two_rests_of_the_device(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    said: list[str] = []
    monkeypatch.setattr(module, "wait_for", lambda device: said.append(f"wait for {device}"))
    monkeypatch.setattr(module.time, "perf_counter", lambda: said.append("clock") or float(len(said)))
    call = lambda *size: said.append("call")  # noqa: E731 (said in one line)
    if module is lattice:
        lattice.seconds(call, 2, CPU)
        assert said == ["call", *(rest := ["wait for cpu", "clock"]), "call", "call", *rest]
        return
    subject = Subject(Known(UniformBox(torch.zeros(2), torch.ones(2))), Uniform(Path()), compose([]).settings, CPU)
    cost.seconds_per_thousand(subject, call, (8,))
    assert said[:5] == [*(rest := ["wait for cpu", "clock"]), "call", *rest]


@pytest.mark.parametrize(("of_call", "calls"), [(0.6, 1), (0.3, 2)])
def test_an_ode_is_asked_for_a_thousand_densities_at_once(monkeypatch: pytest.MonkeyPatch, of_call: float, calls: int) -> None:
    """Eight would take as long; and what took long need not be done again."""
    clock, asked = [0.0], list[int]()

    class Ode(Known):
        can = frozenset({"exact", "refined", "sample"})

        def log_prob(self, x: Tensor) -> Tensor:
            asked.append(len(x))
            clock[0] += of_call
            return super().log_prob(x)

    monkeypatch.setattr(cost.time, "perf_counter", lambda: 3 * clock[0])
    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])
    subject = Subject(Ode(Uniform(Path()).density), Uniform(Path()), compose([]).settings, CPU)
    assert cost.seconds_density(subject).value == pytest.approx(of_call)
    assert asked == [1000] * calls


def test_costs_are_of_the_density_and_of_the_sampling(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    class Slow(Known):
        def log_prob(self, x: Tensor) -> Tensor:
            clock[0] += 1e-4 * len(x)
            return super().log_prob(x)

        def sample(self, n: int) -> Tensor:
            clock[0] += 3e-4 * n
            return super().sample(n)

    monkeypatch.setattr(cost.time, "perf_counter", lambda: 3 * clock[0])  # of a machine on which others compute
    monkeypatch.setattr(cost.time, "process_time", lambda: clock[0])
    subject = Subject(Slow(Uniform(Path()).density), Uniform(Path()), compose([]).settings, CPU)
    assert taken(subject, "seconds_density", "seconds_sample") == pytest.approx({"seconds_density": 0.1, "seconds_sample": 0.3})
