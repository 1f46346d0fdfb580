"""One dimension: the worked change of variables, exact on paper; what is kept of a training for its film; the pictures."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.bijections.base import functions
from genexp.context import Context
from genexp.data.base import DataSpec
from genexp.data.log_uniform import LogUniform
from genexp.data.units import Units
from genexp.errors import UserError
from genexp.figures.line import Mapped, OnLine
from genexp.folder import checkpoint
from genexp.measures.watching import is_kept
from genexp.models.base import GenerativeModel
from genexp.pictures.line import density_of, mapped_by
from genexp.registry import models
from tests.laws.test_bijections import log_det_by_autograd
from tests.parts import make

LINE = ["dataset=mixture", "dataset.means=[[-2.0],[1.5]]", "dataset.covariances=[[[0.3]],[[0.8]]]", "dataset.weights=[1,2]"]


def worked(function: str) -> GenerativeModel:
    """z uniform on [0, 2], through a function, in float64."""
    settings = {"name": "change_of_variables", "function": {"name": function}}
    return models.build(settings, DataSpec((1,)), Context()).double()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("function", "density", "end"),
    [("scale", lambda x: torch.full_like(x, 1 / 8), 8.0), ("exp", lambda x: 1 / (2 * x), math.e**2)],
)
def test_the_densities_are_those_on_paper(function: str, density: Any, end: float) -> None:
    """p(x) = 1/8 on [0, 8] and p(x) = 1/(2x) on [1, e²]; nothing elsewhere."""
    model, begin = worked(function), 0.0 if function == "scale" else 1.0
    x = torch.linspace(begin, end, 501, dtype=torch.float64)[:, None]
    assert torch.allclose(model.log_prob(x).exp(), density(x[:, 0]), rtol=1e-12)  # type: ignore[operator]
    beyond = torch.tensor([[begin - 1e-6], [end + 1e-6], [-1.0]], dtype=torch.float64)
    assert bool((model.log_prob(beyond) == -math.inf).all())  # type: ignore[operator]
    drawn = model.float().sample(4000)
    assert bool(torch.isfinite(model.log_prob(drawn)).all())  # type: ignore[operator]
    assert float(drawn.mean()) == pytest.approx(4 if function == "scale" else (math.e**2 - 1) / 2, abs=0.2)


def test_the_noise_may_begin_anywhere() -> None:
    """z uniform on [−1, ½]: x = 4z has the density 1/6 on [−4, 2]."""
    model = make("change_of_variables", DataSpec((1,)), low=-1.0, high=0.5, function="scale")
    x = torch.linspace(-4, 2, 7)[:, None]
    assert torch.allclose(model.log_prob(x).exp(), torch.full((7,), 1 / 6))
    drawn = model.sample(4000)
    assert (float(drawn.min()), float(drawn.max())) == pytest.approx((-4, 2), abs=0.02)


@pytest.mark.parametrize("name", functions.names())
def test_a_known_function_is_a_bijection_and_its_slope_is_autograds(name: str) -> None:
    function = functions.build({"name": name}).double()
    z = torch.rand(20, 3, dtype=torch.float64) * 3 - 1
    x, log_det = function.inverse(z)  # type: ignore[operator]
    back, log_det_back = function(x)
    assert torch.allclose(back, z, atol=1e-12)
    assert torch.allclose(log_det, log_det_by_autograd(function.inverse, z), atol=1e-10)
    assert torch.allclose(log_det_back, -log_det, atol=1e-10)


def test_the_experiment_gives_the_numbers_on_paper(genexp, tiny: list[str]) -> None:
    words = [*tiny, "figures.gif=false"]
    scaled = ["model/function=scale", "dataset=uniform", "dataset.low=[0.0]", "dataset.high=[8.0]", "figures.enabled=false"]
    for folder, more in (("exp", []), ("scale", scaled)):
        assert genexp("run", "experiment=change_of_variables", f"run_dir={folder}", *words, *more)[0] == 0
    found = {name: json.loads(Path(name, "metrics.json").read_text()) for name in ("exp", "scale")}
    assert found["exp"]["entropy"] == pytest.approx(1 + math.log(2), abs=1e-5)
    assert found["exp"]["exact/entropy"] == pytest.approx(1 + math.log(2), abs=1e-12)
    assert found["scale"]["entropy"] == pytest.approx(math.log(8), abs=1e-12)
    for name, densities in (("exp", (1 / 4, 1 / 8, 1 / 12)), ("scale", (1 / 8, 1 / 8, 1 / 8))):
        at = [found[name][f"density_at/{x}"] for x in (2, 4, 6)]
        assert at == pytest.approx(densities, abs=1e-7)
        assert [found[name][f"exact/density_at/{x}"] for x in (2, 4, 6)] == pytest.approx(densities, abs=1e-6)
        assert found[name]["kl"] == pytest.approx(0, abs=1e-6)
        assert found[name]["mass"] == pytest.approx(1, abs=1e-6)
    assert {"change_of_variables.png", "density.png"} <= {path.name for path in Path("exp/figures").iterdir()}
    code, _, err = genexp("run", "experiment=double_gaussian", "evaluation.density_at=[1.0]", *tiny)
    assert code == 2
    assert "evaluation.density_at=[1.0]: these data are not of one dimension" in err


def test_mistakes_of_intervals_are_refused() -> None:
    with pytest.raises(UserError, match=r"greater than model\.low"):
        make("change_of_variables", DataSpec((1,)), low=2.0, high=2.0)
    with pytest.raises(UserError, match=r"greater than dataset\.low"):
        LogUniform(Path(), low=2.0, high=1.0)


def test_between_two_marks_lies_a_tenth_of_the_mass() -> None:
    """Of z and of x: the lines of the picture are what its caption says."""

    class Subject:
        knows = frozenset({"line"})

        class settings:  # noqa: N801
            seed = 0

        device = torch.device("cpu")

    found: Mapped = mapped_by(Subject(), worked("exp"))  # type: ignore[arg-type]
    assert found.marks == pytest.approx(0.2 * np.arange(1, 10), abs=0.03)
    assert found.marked == pytest.approx(np.exp(found.marks))
    inside = (found.z > 0.001) & (found.z < 1.999)
    assert found.base[inside] == pytest.approx(0.5)
    assert found.base[(found.z < -0.001) | (found.z > 2.001)].max() == 0


def test_a_histogram_is_a_density_of_what_is_shown() -> None:
    x = np.linspace(-1, 1, 50)
    heights, edges = OnLine(x, x, np.array([-0.5, 0.5, 0.5, 7.0])).histogram
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(3 / 4)  # one of the four lies outside


# --- the film ----------------------------------------------------------------------------------------------------


def test_kept_steps_are_few_and_denser_at_the_beginning() -> None:
    kept = [step for step in range(10_001) if is_kept(step)]
    assert kept[:12] == [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20]
    assert len(kept) == 38


def test_a_resumed_run_keeps_the_same_states(genexp, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And its film shows also those from before it was stopped."""
    words = [word for word in tiny if "max_steps" not in word and "gif_frames" not in word]
    words += [*LINE, "model=planar", "model.depth=2", "figures.learning=true", "trainer.schedule=constant", "trainer.warmup=0"]
    with monkeypatch.context() as quick:
        quick.setattr("genexp.runs.results.draw", lambda *arguments: {})
        assert genexp("run", "run_dir=whole", "trainer.max_steps=5", *words)[0] == 0
        assert genexp("run", "run_dir=parts", "trainer.max_steps=2", *words)[0] == 0
    assert genexp("resume", "parts", "trainer.max_steps=5")[0] == 0
    whole, parts = (checkpoint.load(Path(name, "checkpoints", "last.pt"))["watch"]["states"] for name in ("whole", "parts"))
    assert [step for step, _ in whole] == [step for step, _ in parts] == [0, 1, 2, 3, 4, 5]
    for (_, one), (_, other) in zip(whole, parts, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(whole[0][1]["bijections.0.free_u"], whole[-1][1]["bijections.0.free_u"])
    with Image.open("parts/figures/learning.gif") as film:
        assert film.n_frames >= 4  # type: ignore[attr-defined]


def test_without_being_asked_nothing_is_kept_and_what_has_no_film_is_refused(genexp, tiny: list[str]) -> None:
    assert genexp("run", "run_dir=one", *LINE, "model=normal", *tiny)[0] == 0
    assert checkpoint.load(Path("one/checkpoints/last.pt"))["watch"]["states"] == []
    assert {"components.png", "density.png"} <= {path.name for path in Path("one/figures").iterdir()}
    code, _, err = genexp("run", "experiment=glyphs_vae", "figures.learning=true", *tiny, "dataset.count=60", "model.latent=2")
    assert code == 2
    assert "figures.learning=true: there is no film" in err


def test_a_column_is_drawn_in_its_own_units() -> None:
    x = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    units = Units(("height",), (170.0,), (7.0,))
    told = {"data": SimpleNamespace(units=units), "knows": {"units"}, "log_scale": units.log_scale}
    subject: Any = SimpleNamespace(**told, can=set(), target=x, found={})
    standard = SimpleNamespace(log_prob=lambda x: torch.distributions.Normal(0.0, 1.0).log_prob(x[:, 0]))
    shown = density_of(subject, standard)
    assert shown.name == "height"
    assert np.trapezoid(shown.model, shown.x) == pytest.approx(1, abs=2e-3)
    assert np.trapezoid(shown.model * shown.x, shown.x) == pytest.approx(170, abs=0.5)
    assert shown.data.mean() == pytest.approx(170, abs=0.5)
