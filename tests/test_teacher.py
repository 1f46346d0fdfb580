"""A run whose density is what another learns: a student is held to its teacher, and to what that one had learnt."""

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.data.digest import digests
from genexp.data.teacher import Teacher
from genexp.errors import UserError
from genexp.measures.targets import weighted
from genexp.measures.teacher import kl, of_truth, truth_kl, truth_nll
from genexp.models.base import check_learns
from genexp.quadrature import midpoints
from genexp.registry import datasets
from genexp.settings import RunSettings
from genexp.subject import Subject
from tests.laws.members import moments, shaken
from tests.parts import make

SPEC = DataSpec((3,), kind="real")
MAF = {"depth": 2, "width": 12, "hidden_layers": 1}


class Blind(torch.nn.Module):
    """It can only sample."""

    can, device = frozenset({"sample"}), torch.device("cpu")


def settings(**evaluation: int) -> RunSettings:
    from genexp.config.composition import compose

    words = [f"evaluation.{key}={value}" for key, value in {"num_samples": 4_000, **evaluation}.items()]
    return compose(["experiment=distilled_iaf", *words]).settings


def told(model: Any, spec: DataSpec = SPEC, **keys: Any) -> Teacher:
    """The density of a model, as if it had been trained."""

    def find(name: str) -> tuple[Any, dict[str, str]]:
        return SimpleNamespace(model=model.eval(), spec=spec, path=name), {"folder": name, "weights": "f00d"}

    return datasets.build({"name": "teacher", "run": "there", **keys}, Path(), Context(find))  # type: ignore[no-any-return]


def gaussian(mean: float, scale: float, dim: int = 3) -> Any:
    """N(mean, scale² I)."""
    model = make("normal", DataSpec((dim,), kind="real"))
    with torch.no_grad():
        model.mean.fill_(mean)
        model.log_scale.fill_(math.log(scale))
    return model


def apart(one: tuple[float, float], other: tuple[float, float], dim: int = 3) -> float:
    """KL between N(m, s² I) and N(n, r² I): ln r/s + (s² + (m − n)²)/2r² − ½, in each dimension."""
    (m, s), (n, r) = one, other
    return dim * (math.log(r / s) + (s**2 + (m - n) ** 2) / (2 * r**2) - 0.5)


def test_the_log_density_is_the_teacher_s_with_a_gradient_and_none_for_its_weights() -> None:
    torch.manual_seed(0)
    model = shaken(make("maf", SPEC, **MAF)).float()
    data = told(model)
    x = data.heldout(50, 0).x.requires_grad_()
    value = data.heldout(1, 0).log_density(x)  # type: ignore[misc]
    assert torch.equal(value, model.log_prob(x))
    assert torch.allclose(value.double(), data.density.log_prob(x.double()), atol=1e-4)  # whatever the digits
    value.sum().backward()
    assert bool(x.grad.abs().sum(1).all())  # type: ignore[union-attr]
    assert not any(weights.requires_grad for weights in model.parameters())


@pytest.mark.parametrize("samples", [False, True])
def test_its_samples_are_the_teacher_s_and_a_seed_is_a_seed(samples: bool) -> None:
    torch.manual_seed(1)
    model = shaken(make("maf", SPEC, **MAF), 0.5).float()
    data, before = told(model, samples=samples), torch.random.get_rng_state()
    x = data.first_look(20_000, 3).x
    stream = data.train_stream(20_000, 3).next().x
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(x[:100], told(model).first_look(20_000, 3).x[:100])
    assert not torch.equal(x[:100], data.first_look(20_000, 4).x[:100])
    true = moments(model.sample(20_000))
    error = true.std(0) / 20_000**0.5
    assert bool(((moments(x) - true).mean(0).abs() < 7 * error).all())
    assert bool(((moments(stream) - true).mean(0).abs() < 7 * error).all()) == samples  # else points that cost nothing,
    assert bool(((stream - x).mean(0).abs() < 0.1 * x.std(0)).all())  # but of its mean and variances
    assert stream.std(0) == pytest.approx(x.std(0), rel=0.1)


def test_in_the_plane_its_box_holds_it() -> None:
    torch.manual_seed(2)
    spec = DataSpec((2,), kind="real")
    density = told(shaken(make("maf", spec, **MAF)).float(), spec).density
    grid = midpoints(*density.box(), 300)
    assert float(density.log_prob(grid.points).double().exp().sum() * grid.area) == pytest.approx(1, abs=1e-3)


def test_what_is_known_of_it_decides_who_may_learn_it() -> None:
    density, samples = told(gaussian(0, 1)), told(gaussian(0, 1), samples=True)
    reverse = make("iaf", SPEC, **MAF, objective="reverse_kl")
    check_learns(reverse, density.knows)
    check_learns(reverse, samples.knows)
    check_learns(make("iaf", SPEC, **MAF), samples.knows)
    with pytest.raises(UserError, match="a density without any"):
        check_learns(make("iaf", SPEC, **MAF), density.knows)


def test_a_teacher_must_know_its_density() -> None:
    with pytest.raises(UserError, match=r"dataset\.run must name another run"):
        datasets.build({"name": "teacher"}, Path())
    with pytest.raises(UserError, match="has no exact likelihood"):
        told(Blind())
    pictures = DataSpec((1, 4, 4), kind="unit")
    with pytest.raises(UserError, match="is no density of points"):
        told(make("normal", pictures), pictures)


def test_the_divergences_are_those_of_gaussians() -> None:
    """KL(teacher ‖ student), KL(student ‖ teacher) and KL(data ‖ each), whatever the three are."""
    truth, teacher, student = (0.0, 1.0), (0.3, 1.2), (-0.2, 0.8)
    data = told(gaussian(*teacher))
    learnt = Subject(gaussian(*student), data, settings(), torch.device("cpu"))
    source = datasets.build({"name": "normal", "mean": [0.0] * 3, "correlation": 0.0}, Path())
    data.teacher.subject = lambda: Subject(data.teacher.model, source, settings(), torch.device("cpu"))
    for found, exact in ((kl(learnt), apart(teacher, student)), (truth_kl(learnt), apart(truth, student))):
        assert found is not None
        assert found.error is not None
        assert found.value == pytest.approx(exact, abs=4 * found.error)
        assert found.error < 0.1 * exact
    assert truth_kl(learnt).baseline == pytest.approx(apart(truth, teacher), abs=0.05)  # type: ignore[union-attr]
    told_nll, points = truth_nll(learnt), of_truth(learnt)[1]  # type: ignore[index]
    assert told_nll.value == pytest.approx(-float(learnt.model.log_prob(points).mean()), abs=1e-4)  # type: ignore[union-attr]
    assert told_nll.baseline == pytest.approx(-float(data.teacher.model.log_prob(points).mean()), abs=1e-4)  # type: ignore[union-attr]
    source.knows, source.units = source.knows | {"units"}, SimpleNamespace(log_scale=2.5)  # of a table in its own units
    learnt.found.clear()
    assert truth_nll(learnt).value == pytest.approx(told_nll.value + 2.5)  # type: ignore[union-attr]
    assert truth_nll(learnt).baseline == pytest.approx(told_nll.baseline + 2.5)  # type: ignore[union-attr]
    assert -float(weighted(learnt).log_weight.mean()) == pytest.approx(apart(student, teacher), rel=0.1)
    assert weighted(Subject(data.teacher.model, data, settings(), torch.device("cpu"))).ess == pytest.approx(1)


def test_features_in_turn_are_those_found_all_at_once() -> None:
    torch.manual_seed(3)
    maf, iaf = (shaken(make(name, SPEC, **MAF)) for name in ("maf", "iaf"))
    z = torch.randn(20, 3, dtype=torch.float64)
    for model in (maf, iaf):
        assert "in_turn" in model.can
        turned = model.in_turn()
        assert torch.allclose(turned.inverse(z)[0], model.inverse(z)[0], atol=1e-10)
        assert torch.allclose(turned.transform(z)[0], model.transform(z)[0], atol=1e-10)
    passes = []
    for model in (maf, maf.in_turn()):
        seen: list[int] = []
        model.bijections[0].network.register_forward_hook(lambda *_, seen=seen: seen.append(1))
        with torch.no_grad():
            model.inverse(z)
        passes.append(len(seen))
    assert passes[1] == 3 - 1  # one for each feature but the first, which sees nothing; the slopes come with the last
    assert "in_turn" not in make("realnvp", SPEC).can


def test_a_student_goes_on_with_the_same_teacher_only(genexp, runs: Path, tiny: list[str], tmp_path: Path) -> None:
    shutil.copytree(runs / "gaussian", tmp_path / "teacher")
    words = ["experiment=distilled_iaf", "model.depth=1", *tiny, "figures.enabled=false"]
    code, _, err = genexp("run", "run_dir=run", *words)
    assert code == 2
    assert err.splitlines()[0] == "error: dataset.run must name another run"
    code, _, err = genexp("run", "run_dir=run", *words, "dataset.run=teacher")
    assert code == 0, err
    record, metrics = (json.loads((tmp_path / "run" / name).read_text()) for name in ("run.json", "metrics.json"))
    assert record["runs"]["teacher"]["folder"] == str(tmp_path / "teacher")
    assert {"kl", "reverse_kl", "truth_kl", "baseline/truth_kl", "teacher_seconds/sample"} <= {*metrics}
    changed = tmp_path / "teacher/checkpoints/best.pt"
    torch.save({**torch.load(changed, weights_only=True), "step": 17}, changed)
    code, _, err = genexp("resume", "run", "trainer.max_steps=3")
    assert code == 2
    assert "its weights are not those that run was trained with" in err


def test_another_teacher_is_another_data_set() -> None:
    one, other = told(gaussian(0, 1)), told(gaussian(0, 1))
    other.made_of = "beef"
    first, second = digests(one, settings()), digests(other, settings())
    assert first.agree(digests(told(gaussian(0, 1)), settings()))
    assert not first.agree(second)
