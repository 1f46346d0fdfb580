"""Which data a run was trained on: what changes the digests, what does not, and who heeds them."""

import gzip
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from genexp.config.composition import compose
from genexp.data.digest import digests, origin_digest, rounded
from genexp.errors import UserError
from genexp.folder.data_digests import DataDigests, read_digests
from genexp.measures.take import Taken
from genexp.plugins import load_plugin
from genexp.registry import datasets
from genexp.runs.circumstances import data_record
from genexp.runs.resuming import check_data
from genexp.settings import RunSettings
from genexp.subject import Subject
from genexp.sweep.data import put_others_aside
from genexp.sweep.plan import Plan, SweepSettings
from genexp.sweep.run import _sweep

PICTURES = ["experiment=glyphs_vae", "dataset=image_folder", "dataset.size=8", "dataset.channels=1"]
POINTS = "experiment=double_gaussian"
FILES = {
    "mnist": ["experiment=mnist_vae", "dataset.validation=50", "data_dir=here"],
    "fruit": ["experiment=fruit_vae", "dataset.size=8", "dataset.split=seminar", "data_dir=here"],
    "image_folder": [*PICTURES, "dataset.path=fruit", "data_dir=here"],
    "qr": ["experiment=qr_flowmatch", "dataset.image=fruit/train/apples/Fruit_0.jpg", "data_dir=here"],
}
CHANGED = {"mnist": "MNIST/raw/train-images-idx3-ubyte"}


def settings_of(words: list[str]) -> RunSettings:
    return compose(words).settings


def digests_of(settings: RunSettings) -> DataDigests:
    return digests(datasets.build(settings.dataset, Path(settings.data_dir)), settings)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> Path:
    """A folder of data of one's own, to change."""
    monkeypatch.chdir(tmp_path)
    for name in ("MNIST", "fruit"):
        shutil.copytree(data_folder / name, tmp_path / "here" / name, ignore=shutil.ignore_patterns(".*"))
    return tmp_path / "here"


# --- data sets of files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_same_files_elsewhere_are_the_same_data_and_one_other_value_is_not(here: Path, name: str) -> None:
    settings = settings_of(FILES[name])
    first = digests_of(settings)
    assert first.origin == origin_digest(settings)
    here.rename("moved")
    assert digests_of(settings.model_copy(update={"data_dir": "moved"})) == first
    changed = Path("moved", CHANGED.get(name, "fruit/train/apples/Fruit_0.jpg"))
    if name == "mnist":
        content = bytearray(changed.read_bytes())
        content[-1] ^= 1
        changed.write_bytes(content)
    else:
        Image.new("RGB", (40, 40), "black").save(changed)
    then = digests_of(settings.model_copy(update={"data_dir": "moved"}))
    assert then.origin != first.origin
    assert (then.examples != first.examples) == (name != "qr")  # whose every example is drawn anew
    assert not then.agree(first)


def test_half_the_photographs_are_other_data(here: Path) -> None:
    settings = settings_of(FILES["fruit"])
    first = digests_of(settings)
    for path in sorted((here / "fruit" / "train").rglob("*.jpg"))[::2]:
        path.unlink()
    assert not digests_of(settings).agree(first)


def test_a_packed_file_is_another_file_and_the_same_data(here: Path) -> None:
    settings = settings_of(FILES["mnist"])
    first = digests_of(settings)
    plain = here / CHANGED["mnist"]
    plain.with_name(plain.name + ".gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
    plain.unlink()
    packed = digests_of(settings)
    assert packed.origin != first.origin
    assert packed.agree(first)


# --- data sets that are drawn ------------------------------------------------------------------------------------

SMALL = ["dataset.validation=10", "dataset.test=10"]
DRAWN = {  # mean and mean square of 64 held-out examples
    "double_gaussian": ([POINTS], 0.02021, 2.18006),
    "qr": (["experiment=qr_flowmatch"], -0.02191, 0.21863),
    "glyphs": (["experiment=glyphs_vae", "dataset.count=20", *SMALL], 0.124, 0.108),
    "drawn_fruit": (["experiment=drawn_fruit_vae_iaf", "dataset.count=12", "dataset.size=16", *SMALL], 0.8055, 0.7408),
    "banana": (["dataset=banana"], 0.06774, 0.87790),
    "checkerboard": (["dataset=checkerboard"], 0.09441, 6.26519),
    "eight_gaussians": (["dataset=eight_gaussians"], -0.05748, 4.14554),
    "funnel": (["dataset=funnel"], 0.10099, 1.52132),
    "mixture": (["dataset=mixture"], 0.00964, 1.83696),
    "normal": (["dataset=normal"], 0.04051, 0.70538),
    "pinwheel": (["dataset=pinwheel"], 0.00132, 2.13608),
    "rings": (["dataset=rings"], 0.04063, 2.37983),
    "swiss_roll": (["dataset=swiss_roll"], 0.07977, 1.95877),
    "two_moons": (["dataset=two_moons"], -0.09507, 1.99516),
    "two_spirals": (["dataset=two_spirals"], 0.04959, 2.26029),
    "uniform": (["dataset=uniform"], -0.04013, 0.33843),
    "digits": (["dataset=digits"], 0.30992, 0.23801),
}


@pytest.mark.parametrize("name", DRAWN)
def test_who_changes_what_a_generator_draws_counts_up_its_version(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where these numbers have to be others: `version = 2` in the class, as runs of before are of other data."""
    words, mean, square = DRAWN[name]
    settings = settings_of(words)
    x = datasets.build(settings.dataset, Path("nowhere")).heldout(64, 0).x.double()
    assert (float(x.mean()), float(x.square().mean())) == pytest.approx((mean, square), abs=2e-3)
    first = digests_of(settings)
    assert digests_of(settings) == first
    monkeypatch.setattr(datasets[name], "version", 9, raising=False)
    assert digests_of(settings).origin != first.origin


def test_the_last_digits_of_another_machine_do_not_matter_and_a_percent_does() -> None:
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-20, 1.0, 1e9):
        x = scale * torch.randn(64, 2, generator=generator, dtype=torch.float64)
        noise = scale * 1e-8 * torch.randn(64, 2, generator=generator, dtype=torch.float64)
        assert torch.equal(rounded(x), rounded(x + noise))
        assert not torch.equal(rounded(x), rounded(1.01 * x))
    assert torch.equal(rounded(torch.zeros(3)), torch.zeros(3, dtype=torch.long))
    assert rounded(torch.tensor([float("nan"), float("inf"), 1.0])).shape == (3,)


# --- data sets of plugins ----------------------------------------------------------------------------------------

DENSITY = """
import numpy as np, torch
from genexp.data.base import DataSpec, FreshData
from genexp.registry import datasets

@datasets.register("noise_of_a_test")
class Noise(FreshData):
    def __init__(self, data_dir) -> None:
        self.spec = DataSpec(shape=(2,))
        self.scale = float((data_dir / "scale.txt").read_text())
    def describe(self): return "noise"
    def sample(self, n, generator=None):
        return self.scale * torch.randn(n, 2, generator=generator)
"""
PICTURES_OF_A_PLUGIN = """
import torch
from genexp.data.images import ImageData, ImageSet
from genexp.registry import datasets

@datasets.register("noise_of_a_test")
class Noise(ImageData):
    def __init__(self, data_dir) -> None:
        parts = [ImageSet(torch.full((3, 1, 8, 8), value, dtype=torch.uint8)) for value in (1, 2, 3)]
        self.parts(*parts)
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], DataDigests]]:
    """The digests of the plugin's data set that a text defines."""
    monkeypatch.chdir(tmp_path)
    Path("scale.txt").write_text("0.5")
    settings = settings_of([POINTS, "data_dir=."])

    def load(text: str) -> DataDigests:
        Path("noise.py").write_text(text)
        load_plugin(Path("noise.py"))
        return digests_of(settings.model_copy(update={"dataset": {"name": "noise_of_a_test"}}))

    datasets.names()
    yield load
    datasets._builders.pop("noise_of_a_test", None)


def test_a_density_of_a_plugin_is_its_source_and_what_it_reads(plugin: Callable[[str], DataDigests]) -> None:
    first = plugin(DENSITY)
    assert plugin(DENSITY) == first
    assert not plugin(DENSITY.replace("torch.randn", "torch.rand")).agree(first)
    assert not plugin(DENSITY + "# changed\n").agree(first)
    Path("scale.txt").write_text("0.52")
    assert not plugin(DENSITY).agree(first)


def test_a_density_that_heeds_no_seed_is_the_same_as_itself(plugin: Callable[[str], DataDigests]) -> None:
    text = DENSITY.replace(
        "torch.randn(n, 2, generator=generator)", "torch.from_numpy(np.random.default_rng().normal(size=(n, 2)))"
    )
    assert plugin(text) == plugin(text)


def test_pictures_of_a_plugin_are_the_same_as_long_as_they_are(plugin: Callable[[str], DataDigests]) -> None:
    first = plugin(PICTURES_OF_A_PLUGIN)
    assert plugin(PICTURES_OF_A_PLUGIN + "# changed\n").agree(first)
    for other in ("(1, 2, 4)", "(1, 4, 3)", "(4, 2, 3)"):
        assert not plugin(PICTURES_OF_A_PLUGIN.replace("(1, 2, 3)", other)).agree(first)


# --- who heeds them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("a", "x"), ("a", "x"), True),
        (("a", "x"), ("a", "y"), True),  # read otherwise by other libraries
        (("a", "x"), ("b", "x"), True),  # packed otherwise
        (("a", "x"), ("b", "y"), False),
        (("a", None), ("b", None), False),
        (("a", None), ("a", None), True),
        ((None, None), ("a", "x"), True),  # of an earlier version
        (("a", None), (None, "x"), True),
    ],
)
def test_data_are_the_same_if_made_of_the_same_or_of_the_same_examples(one: tuple, other: tuple, same: bool) -> None:
    assert DataDigests(*one).agree(DataDigests(*other)) == DataDigests(*other).agree(DataDigests(*one)) == same


@pytest.mark.parametrize("data", [None, [], {"digest": []}, {"digest": {"origin": 3, "examples": ["x"]}}, {"digest": "x"}])
def test_a_record_that_is_none_says_nothing(data: object) -> None:
    assert read_digests({"data": data}) == DataDigests()


def test_a_run_goes_on_with_its_own_data_alone(here: Path) -> None:
    settings = settings_of(FILES["mnist"])
    subject = Subject(None, datasets.build(settings.dataset, here), settings, torch.device("cpu"))
    record = {"data": data_record(subject)}
    assert check_data({}, subject, "run") == check_data(record, subject, "run") == []  # a run of an earlier version is trusted

    def told(**changes: object) -> list[str]:
        return check_data({"data": {**record["data"], **changes}}, subject, "run")

    of_other_libraries = {**record["data"]["digest"], "examples": "0" * 64}
    assert "a little otherwise" in told(digest=of_other_libraries)[0]
    with pytest.raises(UserError) as refused:
        told(digest={"origin": "0" * 64})
    assert refused.value.message == "run: the data are not those that it was trained on"
    with pytest.raises(UserError, match=r"\(then 5 pictures; now grey pictures of 28×28, 10 classes: "):
        told(digest={"origin": "0" * 64}, description="5 pictures")


def test_resume_refuses_other_data_and_evaluate_says_why_numbers_differ(genexp, runs: Path, monkeypatch) -> None:
    monkeypatch.setattr("genexp.runs.evaluation.take", lambda *_: Taken({"nll": 1.0}))
    run = Path(shutil.copytree(runs / "gaussian", "run"))
    record = json.loads((run / "run.json").read_text())
    assert read_digests(record).origin == origin_digest(settings_of([POINTS]))
    assert "the data are" not in genexp("evaluate", "run")[1]
    data = {**record["data"], "digest": {"origin": "0" * 64}, "description": "\x1b[31mthree peaks" + 999 * "!"}
    (run / "run.json").write_text(json.dumps({**record, "data": data}))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, err = genexp("resume", "run", "trainer.max_steps=3")
    assert code == 2
    assert err.startswith("error: run: the data are not those that it was trained on (then ")
    assert err.splitlines()[1].startswith("hint: put back")
    code, out, _ = genexp("evaluate", "run")
    assert code == 0
    assert out.splitlines()[-2].startswith("the data are not those that it was trained on (then ")
    assert out.splitlines()[-2].endswith("numbers may differ for that reason")
    for said in (err, out):
        assert "three peaks" in said
        assert "\x1b" not in said
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.fixture
def plan(here: Path) -> Plan:
    """A sweep over two folders of the same data, and two seeds, all of it finished; nothing was trained."""
    Path("here").rename("a")
    shutil.copytree("a", "b")
    jobs = [(*PICTURES, "dataset.path=fruit", f"data_dir={place}", f"seed={seed}") for place in "ab" for seed in (0, 1)]
    for number, job in enumerate(jobs):
        folder, settings = Path("s", str(number)), settings_of(list(job))
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
        (folder / "run.json").write_text(json.dumps({"status": "finished", "data": {"digest": digests_of(settings).record()}}))
    return Plan(Path("s"), tuple(jobs), (), (), SweepSettings(skip_finished=True))


def test_a_job_of_other_data_has_not_finished(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    put_others_aside(plan)
    assert [plan.status(number) for number in range(4)] == ["finished"] * 4
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("b/fruit/test/kiwis/another.png")
    config = Path("s/1/config.yaml")
    config.write_text(config.read_text().replace("data_dir: a", "data_dir: b"))  # today they lie in a
    put_others_aside(plan)
    assert [plan.status(number) for number in range(4)] == ["finished"] * 2 + ["not started"] * 2
    assert sorted(path.name[0] for path in Path("s/_aside").iterdir()) == ["2", "3"]
    assert "job 2 (data_dir=b seed=0) was trained on other data, and begins anew" in capsys.readouterr().out
    shutil.rmtree("a")  # what cannot be read today is no other data
    put_others_aside(plan)
    assert [plan.status(number) for number in range(2)] == ["finished"] * 2


def test_a_sweep_shows_every_folder_of_data_and_does_again_what_was_of_other_data(
    plan: Plan, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[list[int]] = []
    monkeypatch.setattr("genexp.sweep.run._launch", lambda plan, todo, news: launched.append(todo))
    for number in range(4):
        Path("s", str(number), "metrics.json").write_text(json.dumps({"nll": number / 4}))
    assert _sweep(plan) == 0
    assert not launched
    table = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:4] for row in table if row[1:2] == ["+1"]] == [["0", "+1", "2", "a"], ["2", "+1", "2", "b"]]
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("a/fruit/test/kiwis/another.png")
    _sweep(plan)
    assert launched == [[0, 1]]
