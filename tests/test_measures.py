"""Measures and pictures as records: what is taken follows from declarations; a plugin's are told of wherever runs are shown."""

import json
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from genexp.capabilities import ABILITIES, KNOWN, Needs
from genexp.config.catalogue import entries
from genexp.config.composition import compose
from genexp.context import Context
from genexp.data.base import DataSpec, FreshData, Kind
from genexp.errors import UserError
from genexp.fit.base import fitters
from genexp.folder.records import Record
from genexp.measures.record import BESIDE, Collection, Measure, Value, films, measures, pictures, terms
from genexp.measures.take import Taken, take
from genexp.measures.underway import Underway
from genexp.optim.schedule import Rate
from genexp.registry import models
from genexp.runs.words import words_of
from genexp.settings import TrainerSettings
from genexp.subject import Subject
from genexp.suitability import refusal, suitable
from tests.subjects import record

PLUGIN = """
from matplotlib.figure import Figure

from genexp.figures.style import panels
from genexp.measures.record import Value, measure, picture
from genexp.subject import Subject, once


@once
def radii(subject):
    return subject.samples.norm(dim=1)


@measure("median_radius", "how far half the samples lie from the origin", better="exact", headline=1, data={"points"})
def median_radius(subject: Subject) -> Value:
    true = float(subject.target.norm(dim=1).median())
    return Value(float(radii(subject).median()), exact=true, error=float(radii(subject).std()) / len(radii(subject)) ** 0.5)


@measure("broken_radius", "what cannot be had", data={"points"})
def broken_radius(subject: Subject) -> Value:
    raise IndexError("no such\\nradius")


@measure("of_pictures_alone", "what is not asked of points", data={"pictures"})
def of_pictures_alone(subject: Subject) -> Value:
    return Value(1.0)


@picture("radii", "How far samples lie <from> the origin", lead=0, data={"points"})
def draw_radii(subject: Subject) -> Figure:
    figure, [[axes]] = panels(1, 1)
    axes.hist(radii(subject).numpy())
    axes.set(title="radii", xlabel="distance from the origin", ylabel="samples")
    return figure
"""


@pytest.fixture
def _no_trace() -> Any:
    """What a plugin adds is forgotten after the test."""
    collections = (measures, pictures, films, terms)
    before = [list(each.all()) for each in collections]
    yield
    for each, known in zip(collections, before, strict=True):
        each._records = known


@pytest.mark.usefixtures("_no_trace")
def test_a_measure_and_its_picture_are_one_file(genexp, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "radius.py").write_text(PLUGIN)
    words = ["--plugin", "radius.py", "experiment=double_gaussian", *tiny, "figures.gif=false"]
    code, out, err = genexp("run", *words, "run_dir=one")
    assert code == 0, err
    assert "warning: broken_radius is left out: IndexError: no such radius" in out
    assert genexp("run", *words, "run_dir=two", "seed=1")[0] == 0
    metrics = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert metrics["median_radius"] > 0
    assert metrics["exact/median_radius"] == pytest.approx(2, abs=0.2)
    assert metrics["median_radius_error"] > 0
    assert metrics["broken_radius"] is None
    assert "of_pictures_alone" not in metrics
    assert (tmp_path / "one" / "figures" / "radii.png").exists()
    measures._records = [each for each in measures._records if "radius" not in each.name]  # whoever reads has no plugin
    code, out, err = genexp("compare", "one", "two", "--each")
    assert code == 0, err
    assert out.splitlines()[0].split()[2] == "median_radius"  # after the run and the seed
    assert genexp("report", "one", "two", "--out", "page.html")[0] == 0
    page = (tmp_path / "page.html").read_text()
    assert "how far half the samples lie from the origin" in page
    assert "How far samples lie &lt;from&gt; the origin" in page
    assert "the standard error of median_radius" in page


def test_every_need_is_a_word_that_is_explained() -> None:
    for collection in (measures, pictures, films, terms):
        for each in collection.all():
            for needs, words in ((each.needs.model, ABILITIES), (each.needs.data, KNOWN)):
                assert {word for need in needs for word in need.split("|")} <= set(words)
    with pytest.raises(ValueError, match="'exakt' is none of"):
        Needs.of(model={"exakt"})


def test_a_need_of_either_is_met_by_either() -> None:
    needs = Needs.of(model={"exact|estimate"}, data={"points"}, objective="nll")
    assert needs.met({"estimate"}, {"points", "plane"}, "nll")
    assert not needs.met({"sample"}, {"points"}, "nll")
    assert not needs.met({"exact"}, {"pictures"}, "nll")
    assert not needs.met({"exact"}, {"points"}, "other")


def test_of_several_records_of_one_name_the_one_whose_needs_are_met_is_taken() -> None:
    for knows, module in (({"plane", "box"}, "quadrature"), ({"teacher"}, "teacher")):
        subject = SimpleNamespace(can={"exact"}, knows=knows, objective="other")
        (kl,) = [each for each in measures.met_by(subject) if each.name == "kl"]
        assert kl.function.__module__ == f"genexp.measures.{module}"


def test_two_measures_of_one_name_and_needs_are_a_mistake() -> None:
    collection: Collection[Measure] = Collection("measure", "genexp.measures")
    collection.add(record("nll"))
    collection.add(record("nll"))  # the same module, read again

    def of_another_module() -> Value:
        return Value(0.0)

    with pytest.raises(UserError, match=r"'nll' is registered twice: by genexp\.measures\.likelihood and"):
        collection.add(Measure("nll", "", of_another_module, needs=record("nll").needs))


def test_what_is_read_off_a_clock_is_declared_and_nothing_else_is() -> None:
    timed = {each.name for each in measures.all() if each.wall_clock}
    assert timed == {
        *("seconds_density", "seconds_sample", "seconds_train", "cpu_seconds_train", "samples_per_second"),
        *("bits_per_second", "ess_per_second", "seconds_sample_plain"),
        "nanoseconds",
        "teacher_seconds",
    }
    words = {each.name: each.words() for each in (record("seconds_sample"), record("nll"))}
    assert Taken({"seconds_sample": 1.0, "seconds_sample/part": 3.0, "nll": 2.0, "floor/nll": 1.5}, words).timeless() == {
        "nll": 2.0,
        "floor/nll": 1.5,
    }


def test_a_value_is_written_with_all_that_is_known_of_it() -> None:
    value = Value(2.0, floor=1.0, exact=1.5, baseline=3.0, real_vs_real=1.1, ceiling=4.0, error=0.1)
    assert value.metrics("nll") == {
        "nll": 2.0,
        "nll_error": 0.1,
        **{f"{kind}/nll": known for kind, known in zip(BESIDE, (1.0, 1.5, 3.0, 1.1, 4.0), strict=True)},
    }
    assert Value(None).metrics("nll") == {"nll": None}


def test_words_of_a_stranger_are_text_and_numbers_or_nothing() -> None:
    told = {"words": {"measures": {"nll": {"meaning": 7, "headline": "first"}, "kl": 3}, "pictures": [1]}}
    words = words_of([Record(Path(), told, metrics={"nll": 1.0})])
    assert words.meaning("nll") == words.meaning("kl") == ""
    assert words.headline("nll") == float("inf")
    assert words.caption("of_a_stranger") == "of a stranger"


# --- which model can be trained on which data ----------------------------------------------------------------


class Some(FreshData):
    """Fresh examples of any shape and kind."""

    def __init__(self, shape: tuple[int, ...], kind: Kind | None) -> None:
        self.spec = DataSpec(shape, (), kind)

    def describe(self) -> str:
        return "some"

    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        x = torch.rand(n, *self.spec.shape, generator=generator)
        return x.round() if self.spec.kind in ("bits", "tokens", "bytes") else x


SMALL = {
    "vae": {"network": {"name": "mlp", "encoder_widths": (4,), "decoder_widths": (4,)}},
    "gtm": {"decoder_widths": (4,), "side": 4, "inference_side": 4},
    "residual_flow": {"depth": 2, "width": 4},
    "continuous_flow": {"width": 4, "steps": 2},
    "gmm": {"components": 2, "examples": 64, "restarts": 1},
    "mfa": {"components": 2, "latent": 2, "examples": 64},
    "normal": {"examples": 64},
    "flow_matching": {"field": {"name": "noise_aware", "width": 8, "depth": 1, "num_frequencies": 4}},
    "coupling_flow": {
        "depth": 2,
        "transformer": {"name": "spline", "bins": 4},
        "conditioner": {"name": "mlp", "width": 4},
    },
}
SHAPES: tuple[tuple[int, ...], ...] = ((1,), (2,), (3,), (6,), (1, 8, 8), (3, 8, 8))
KINDS: tuple[Kind | None, ...] = (None, "real", "unit", "bytes", "bits", "tokens")


@pytest.mark.parametrize("model", [*entries("models")])
def test_any_model_learns_any_data_or_refuses_them_in_one_line(model: str) -> None:
    """Two steps, and every number whose needs are met: finite, or a word, or none for a reason that is said."""
    accepted = 0
    keys = {"name": model, **SMALL.get(model, {})}
    for shape in SHAPES:
        for kind in KINDS:
            data = Some(shape, kind)
            if (why := refusal(keys, data.spec)) is not None:
                assert "\n" not in why
                continue
            accepted += 1
            built = models.build(keys, data.spec)
            fitter = fitters.build({"name": built.fitter}, built, data, TrainerSettings(max_steps=2, batch_size=8), 0)
            try:
                fitter.begin(new=True)
            except UserError:  # of values that nobody said anything of
                assert kind is None
                continue
            fitter.ready()
            for number in (1, 2):
                if not fitter.finished:
                    assert torch.isfinite(fitter.step(fitter.stream.next(), Rate(1.0), number)["loss"])
            assert {"sample"} <= built.can
            assert built.sample(3).shape == (3, *shape)
    assert (
        accepted or models.build(keys, DataSpec((2,), kind="real"), Context()).learns != "examples"
    )  # which no data here have a density for


BEFOREHAND = {  # of data whose files are not there: some that can be trained on them, and some that cannot
    "mnist": (("vae", "gtm", "normal", "mfa", "nice"), ("flow_matching", "iaf", "change_of_variables")),
    "fruit": (("vae", "gtm", "mfa"), ("normal", "flow_matching", "realnvp")),
    "double_gaussian": (("nice", "flow_matching", "gmm", "normal"), ("vae", "gtm", "change_of_variables")),
}


@pytest.mark.parametrize("name", BEFOREHAND)
def test_what_can_be_trained_on_what_is_known_beforehand(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENEXP_DATA", str(tmp_path))  # no file is there, and none is fetched
    found = suitable(name)
    assert set(found) == {*entries("models")}
    can, cannot = BEFOREHAND[name]
    assert [found[model] for model in can] == [None] * len(can)
    assert all(found[model] for model in cannot)


def test_list_says_which_models_can_be_trained_on_a_data_set(genexp) -> None:
    code, out, _ = genexp("list", "models", "--data", "glyphs")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "no: model=flow_matching learns points" in lines["flow_matching"]
    assert " no: " not in lines["vae"]
    assert genexp("list", "--data", "glyphs")[0] == 2
    assert "did you mean 'glyphs'" in genexp("list", "models", "--data", "glyph")[2]


def test_a_measure_that_takes_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said, heard = [], Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with Underway("measuring", 3, say) as quick:
        quick.now("leak")
    assert not said
    monkeypatch.setattr("genexp.measures.underway.QUIET_SECONDS", 0.01)
    with Underway("measuring", 3, say) as long:
        long.now("leak")
        long.now("nll")
        heard.clear()
        said.clear()
        assert heard.wait(30)
    assert said[-1].startswith("  measuring nll, 2 of 3 ")


def test_what_is_measured_needs_no_shape_that_it_was_not_made_for(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Points of one and of six dimensions: everything that is taken of them succeeds."""
    monkeypatch.setattr("genexp.measures.likelihood.MOST_REFINED", 1)
    monkeypatch.setattr("genexp.models.flow_matching.LIKELIHOOD_STEPS", 4)
    settings = compose([*tiny, "evaluation.num_samples=30", "evaluation.num_points=30", "evaluation.ode_points=5"]).settings
    for shape in ((1,), (6,)):
        data = Some(shape, "real")
        model = models.build({"name": "flow_matching", **SMALL["flow_matching"]}, data.spec).eval()
        taken = take(Subject(model, data, settings, torch.device("cpu")), pytest.fail)
        assert {"nll", "sliced_wasserstein", "heldout_loss"} <= set(taken.metrics)
