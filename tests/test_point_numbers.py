"""The last mile: what turns a model of points into numbers, tried with models whose answers are known."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from genexp.config.composition import compose
from genexp.data.base import Batch, DataSpec, FreshData
from genexp.data.double_gaussian import DoubleGaussian
from genexp.data.mixture import GaussianMixture
from genexp.figures.coordinates import in_plane
from genexp.fit import loop as trainer
from genexp.fit.interrupts import Interrupts
from genexp.folder.run_folder import RunFolder
from genexp.measures.likelihood import MOST_REFINED, Likelihood, likelihood, of_likelihood
from genexp.measures.record import LeftOut
from genexp.measures.watching import Watching
from genexp.models.coupling_flow import coupling_flow
from genexp.pictures.draw import draw
from genexp.pictures.samples import samples_picture
from genexp.subject import Subject
from tests.conftest import TINY
from tests.parts import flow_matching
from tests.subjects import flat, taken

CPU = torch.device("cpu")
INTEGRALS = ("kl", "mass", "bridge_mass")
ENTROPY = 1 + math.log(2 * math.pi)  # of N(0, I) in the plane


def gaussian(mean: tuple[float, float], std: tuple[float, float]) -> GaussianMixture:
    return GaussianMixture(torch.tensor([mean]), torch.tensor([std]), torch.ones(1))


class Known(nn.Module):
    """A model whose density is known; all its samples lie at the origin."""

    can, objective = frozenset({"sample", "exact"}), "other"

    def __init__(self, density: GaussianMixture) -> None:
        super().__init__()
        self.density = density

    def log_prob(self, x: Tensor) -> Tensor:
        return self.density.log_prob(x)

    def sample(self, n: int) -> Tensor:
        return torch.zeros(n, 2)


class Moving(Known):
    """The same, whose likelihood is taken to be an ODE."""

    can = frozenset({"sample", "exact", "refined"})

    def refined_log_prob(self, x: Tensor, refinement: int) -> Tensor:
        return self.log_prob(x)


def subject_of(model: Any, data: Any, *words: str) -> Subject:
    return Subject(model, data, compose(["experiment=double_gaussian", *words]).settings, CPU)


def metrics_of(found: Likelihood) -> dict[str, Any]:
    return flat("nll", of_likelihood(found))


def one_gaussian(mean: tuple[float, float] = (0.0, 0.0), std: tuple[float, float] = (1.0, 1.0)) -> DoubleGaussian:
    return DoubleGaussian(Path(), means=[list(mean)], stds=[list(std)], weights=[1.0])


def kl_of(p: tuple[tuple[float, float], tuple[float, float]], q: tuple[tuple[float, float], tuple[float, float]]) -> float:
    """KL(p ‖ q) of Gaussians given by means and standard deviations."""
    return sum(
        math.log(b / a) + (a * a + (m - k) ** 2) / (2 * b * b) - 0.5 for m, a, k, b in zip(p[0], p[1], q[0], q[1], strict=True)
    )


def test_kl_is_from_the_truth_to_the_model_and_nll_is_of_heldout_points() -> None:
    truth, model = ((0.0, 0.5), (0.5, 1.0)), ((0.4, 0.0), (1.0, 0.7))
    found = taken(subject_of(Known(gaussian(*model)), one_gaussian(*truth), "evaluation.num_samples=30"), "nll", *INTEGRALS)
    assert found["kl"] == pytest.approx(kl_of(truth, model), abs=1e-6)
    assert abs(kl_of(truth, model) - kl_of(model, truth)) > 0.1
    assert found["mass"] == pytest.approx(1, abs=1e-4)  # of all but what lies beyond the truth's nine σ
    assert found["bridge_mass"] == pytest.approx(gaussian(*model).strip_mass(-0.5, 0.5), abs=1e-4)
    cross_entropy = ENTROPY + math.log(0.5 * 1.0) + kl_of(truth, model)
    assert found["nll"] == pytest.approx(cross_entropy, abs=5 * found["nll_error"])
    assert 0.001 < found["nll_error"] < 0.01  # of all 32,768 points, however few samples are drawn
    assert found["nll"] - found["floor/nll"] == pytest.approx(found["kl"], abs=0.02)


@pytest.mark.parametrize("words", [("num_points=100",), ("num_samples=100", "num_points=5000")])
def test_the_truth_itself_is_at_its_floor_whatever_the_number_of_points(words: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexp.measures.quadrature.GRID_SIDE", 64)
    data = DoubleGaussian(Path())
    found = taken(subject_of(Known(data.density), data, *(f"evaluation.{word}" for word in words)), "nll", *INTEGRALS)
    assert found["nll"] == pytest.approx(found["floor/nll"], abs=1e-5)
    assert found["floor/nll"] == pytest.approx(data.density.entropy, abs=5 * found["nll_error"])
    assert found["floor/nll"] != data.density.entropy
    assert found["kl"] == pytest.approx(0, abs=1e-9)


def test_the_standard_error_is_that_of_repeated_means() -> None:
    """Over many draws the nll scatters by what is printed."""
    data = DoubleGaussian(Path())
    subject = subject_of(Known(data.density), data)
    draws = [metrics_of(likelihood(subject, data.heldout(200, seed).x)) for seed in range(200)]
    scatter = float(np.std([found["nll"] for found in draws], ddof=1))
    assert float(np.mean([found["nll_error"] for found in draws])) == pytest.approx(scatter, rel=0.2)
    assert "nll_error" not in metrics_of(likelihood(subject, torch.zeros(1, 2)))


@pytest.mark.parametrize(
    "keys",
    [
        {"stds": [[0.5, 0.8], [0.005, 0.005]]},
        {"means": [[0, 0], [0, 3]], "stds": [[10, 0.01], [0.01, 10]]},
        {"means": [[-1000, 0], [1000, 0]]},
        {"bridge": [-1000, 0]},
    ],
)
@pytest.mark.parametrize("kind", [Known, Moving])
def test_the_truth_as_a_model_has_the_exact_integrals(keys: dict, kind: type[Known]) -> None:
    data = DoubleGaussian(Path(), **keys)
    found = taken(subject_of(kind(data.density), data), *INTEGRALS)
    assert found["kl"] == pytest.approx(0, abs=1e-9)
    assert found["mass"] == pytest.approx(1, abs=1e-3)
    assert found["bridge_mass"] == pytest.approx(data.density.strip_mass(*data.bridge), abs=1e-3)


def test_what_the_points_do_not_find_is_null_and_the_reason_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    means, stds = (
        (1000 * torch.rand(60, 2, generator=generator)).tolist(),
        (0.01 + torch.rand(60, 2, generator=generator)).tolist(),
    )
    data = DoubleGaussian(Path(), means=means, stds=stds, weights=[1.0] * 60, bridge=[0, 1000])
    subject = subject_of(Moving(data.density), data)
    for name in INTEGRALS:
        with pytest.raises(LeftOut, match="of the truth's own mass"):
            taken(subject, name)


def test_a_reason_is_in_the_log_and_said_by_evaluate(genexp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("LOST", -1.0), ("GRID_SIDE", 8), ("STRIP_SIDE", 8)):
        monkeypatch.setattr(f"genexp.measures.quadrature.{name}", value)
    assert genexp("run", "experiment=double_gaussian", "run_dir=run", "figures.enabled=false", *TINY)[0] == 0
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["kl"] is None
    assert "warning: kl is left out: the " in (tmp_path / "run" / "log.txt").read_text()
    assert "warning: kl is left out: the " in genexp("evaluate", "run")[1]


# --- likelihoods that are an ODE ---------------------------------------------------------------------------------


class Coarse(Moving):
    """ln p = ln N(x; 0, I) + error / refinement, as of a solver of first order."""

    def __init__(self, error: float) -> None:
        super().__init__(gaussian((0.0, 0.0), (1.0, 1.0)))
        self.error, self.asked = error, []

    def refined_log_prob(self, x: Tensor, refinement: int) -> Tensor:
        self.asked.append((len(x), refinement))
        return self.log_prob(x) + self.error / refinement


@pytest.mark.parametrize(("error", "enough"), [(1e-4, 1), (0.1, 4), (-0.1, 4), (50.0, MOST_REFINED // 2)])
def test_steps_are_doubled_until_the_mean_stays_and_the_rest_is_printed(error: float, enough: int) -> None:
    model = Coarse(error)
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    found = likelihood(subject_of(model, one_gaussian()), x)
    assert torch.allclose(found.log_prob, (model.log_prob(x) + error / enough).double(), atol=1e-5)  # in the order of x
    assert found.discretisation == pytest.approx(abs(error) / (2 * enough), rel=1e-2, abs=1e-6)
    assert sum(count for count, refinement in model.asked if refinement == 2) == 100  # a quarter is compared
    assert max(refinement for _, refinement in model.asked) == 2 * enough


def test_scatter_of_single_points_asks_for_no_more_steps() -> None:
    """Errors ±1/refinement of which 55 of the first 100 are positive: their mean changes by no more than chance explains."""

    class Scattered(Coarse):
        def refined_log_prob(self, x: Tensor, refinement: float) -> Tensor:
            self.asked.append((len(x), refinement))
            sign = torch.where(torch.arange(len(x)) % 100 < 55, 1.0, -1.0)
            return self.log_prob(x) + self.error * sign / refinement

    model = Scattered(1.0)
    found = likelihood(subject_of(model, one_gaussian()), torch.randn(400, 2, generator=torch.Generator().manual_seed(0)))
    assert max(refinement for _, refinement in model.asked) == 2
    assert found.discretisation == pytest.approx(0.05, rel=1e-3)


def test_more_steps_bring_the_likelihood_of_a_sharp_field_nearer_to_its_limit() -> None:
    torch.manual_seed(0)
    model = flow_matching(DataSpec((2,)), "plain", network={"width": 16, "activation": "tanh"}).double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(4)
    x = torch.randn(20, 2, dtype=torch.float64)
    one, two, four = (model.refined_log_prob(x, refinement) for refinement in (1, 2, 4))
    assert (four - two).abs().mean() < (two - one).abs().mean() / 4
    assert torch.equal(one, model.log_prob(x))


# --- any dimension -----------------------------------------------------------------------------------------------


class Cloud(FreshData):
    """N(5, 2²I) in any dimension."""

    def __init__(self, dim: int) -> None:
        self.spec = DataSpec(shape=(dim,))

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        return 5 + 2 * torch.randn(n, *self.spec.shape, generator=generator)


FLOW = {"network": {"depth": 1}, "solver": {"name": "heun", "evaluations": 4}}


@pytest.mark.parametrize(
    ("dim", "build", "keys"),
    [*((dim, flow_matching, FLOW) for dim in (1, 3, 6)), *((dim, coupling_flow, {"depth": 2}) for dim in (3, 6))],
)
def test_points_of_any_dimension_are_measured_and_drawn(tmp_path: Path, dim: int, build: Any, keys: dict) -> None:
    torch.manual_seed(0)
    data = Cloud(dim)
    model = build(data.spec, **keys)
    model.initialise(data.first_look(1000, 0))
    subject = subject_of(model, data, *TINY)
    subject.history = [{"step": 1, "loss": 1.0, "heldout/loss": 1.0}]
    metrics = taken(subject, "nll", "sliced_wasserstein")
    assert subject.samples.shape == (len(subject.target), dim)
    assert math.isfinite(metrics["nll"])  # type: ignore[arg-type]
    assert 0 < metrics["floor/sliced_wasserstein"] < metrics["sliced_wasserstein"]  # type: ignore[operator]
    folder = RunFolder.create("test", str(tmp_path / "run"))
    draw(subject, folder, pytest.fail)
    moves = build is flow_matching
    assert (folder.path / "figures" / "flow.gif").exists() == moves
    for path in (folder.path / "figures").iterdir():
        with Image.open(path) as picture:
            assert np.asarray(picture.convert("L")).std() > 0
    assert np.asarray(samples_picture(subject)).std() > 0


def test_a_plugins_numbers_run_from_end_to_end(genexp, tmp_path: Path) -> None:
    plugin = '''
import torch
from genexp.data.base import DataSpec, FreshData
from genexp.registry import datasets

@datasets.register("cloud")
class Cloud(FreshData):
    """Numbers around 5."""
    def __init__(self, data_dir, *, dim: int = 1) -> None:
        self.spec = DataSpec(shape=(dim,))
    def describe(self) -> str:
        return "a cloud"
    def sample(self, n, generator=None):
        return 5 + torch.randn(n, *self.spec.shape, generator=generator, device=self.device)
'''
    (tmp_path / "cloud.py").write_text(plugin)
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    (tmp_path / "conf" / "dataset" / "cloud.yaml").write_text("name: cloud\ndim: 1\n")
    words = ["--plugin", "cloud.py", "--config-dir", "conf", "dataset=cloud", *TINY]
    code, _, err = genexp("run", *words, "run_dir=run", "model.field.width=8", "figures.gif=false")
    assert code == 0, err
    code, _, err = genexp("sample", "run", "--plugin", "cloud.py", "--num", "70", "--log-prob", "--out", "x.npz")
    assert code == 0, err
    with np.load("x.npz") as found:
        assert found["samples"].shape == (70, 1)
        assert np.isfinite(found["log_prob"]).all()
    code, _, err = genexp("run", *words, "model=coupling_flow", "run_dir=other")
    assert code == 2
    assert "at least two dimensions" in err.splitlines()[0]
    assert not Path("other").exists()


def test_points_of_any_dimension_in_the_plane() -> None:
    x = np.random.default_rng(0).normal(size=(4, 30, 3))
    assert np.array_equal(in_plane(x), x[..., :2])
    line = in_plane(x[..., :1])
    assert np.array_equal(line[..., 0], x[..., 0])
    assert (line[0, :, 1] == line[3, :, 1]).all()  # a point keeps its height as it moves
    assert (np.diff(line[0, :, 1]) > 0).all()


# --- what is held out --------------------------------------------------------------------------------------------


class Watched(Cloud):
    """Takes down every point that it gives, by what asked for it."""

    def __init__(self) -> None:
        super().__init__(2)
        self.given: dict[str, list[Tensor]] = {"train": [], "held out": []}

    def train_stream(self, batch_size: int, seed: int) -> Any:
        stream = super().train_stream(batch_size, seed)
        following = stream.next

        def watched() -> Batch:
            batch = following()
            self.given["train"].append(batch.x)
            return batch

        stream.next = watched  # type: ignore[method-assign]
        return stream

    def heldout(self, size: int, seed: int) -> Batch:
        batch = super().heldout(size, seed)
        self.given["held out"].append(batch.x)
        return batch


def test_held_out_points_are_no_training_points(tmp_path: Path) -> None:
    """Of a training and its measuring, all of whose draws are of one size, so that equal seeds would give equal points."""
    data, words = Watched(), ["trainer.batch_size=64", "trainer.eval_size=64", "trainer.eval_every=1"]
    model = flow_matching(data.spec, **FLOW)
    same = [
        *TINY,
        *words,
        "trainer.max_steps=3",
        *(f"evaluation.{name}=64" for name in ("num_samples", "num_points", "ode_points")),
    ]
    subject = subject_of(model, data, *same)
    folder = RunFolder.create("test", str(tmp_path / "run"))
    settings = subject.settings
    with Interrupts() as interrupts:
        trainer.fit(model, data, settings.trainer, folder, settings.seed, interrupts, None, Watching(subject))
    taken(subject, "nll", "sliced_wasserstein")
    trained, held_out = (torch.cat(data.given[name]) for name in ("train", "held out"))
    assert len(trained) >= 3 * 64
    assert len(held_out) >= 3 * 64
    assert (torch.cdist(held_out.double(), trained.double()).amin() > 0).item()
    assert len({float(x.sum()) for x in data.given["held out"]}) == 3  # of the loss, of the numbers, of their floor
