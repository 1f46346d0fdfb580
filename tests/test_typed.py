"""What was typed for a key that takes a text is that text, to the end of the run and beyond."""

import random
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from omegaconf import OmegaConf
from pydantic import Field

from genexp.config.composition import compose, compose_stored
from genexp.config.typed import SECTIONS, TEXT, TEXTS, as_hydra_reads, kind_of, parse_override
from genexp.errors import UserError
from genexp.folder.records import read_config
from genexp.folder.run_folder import RunFolder
from genexp.registry import datasets, models
from genexp.sweep.plan import jobs, make_plan

NUMBERS = ["+491701234567", "12.50", "1e3", "1_000", "007", "2026.10", "-0", "nan", "true", "Null", "off"]
WIFI = "WIFI:S:seminar;T:WPA;P:k1wi;;"
SIGNS = [WIFI, "a=b", "a,b", "#1", "{a: b", "[x", "(", "${nope}", "\\${x}", "\\,", "it's", "'tis", " x ", "range(3)"]
SIGNS += ["'a' and 'b'", "", "???", "a\nb", "\x1d", "~", "日本語 😀"]


@pytest.mark.parametrize("text", ["+491701234567", "12.50", "1e3", "true", WIFI, "a=b, c", "{a: #1", "${nope}", ""])
def test_a_text_is_what_was_typed(text: str) -> None:
    assert compose([f"dataset.text={text}"]).settings.dataset["text"] == text


def test_any_text_passes_through_hydra_and_its_interpolations() -> None:
    chance = random.Random(0)
    texts = [*NUMBERS, *SIGNS]
    for letters in ("a'\"\\${}:", "a1.e+'\"\\${}[](),=:; \n\t#"):
        texts += ["b" + "".join(chance.choices(letters, k=chance.randrange(8))) for _ in range(200)]
    for text in texts:
        item = parse_override(f"dataset.text={text}", str | None)
        assert item.value() == text
        composed: Any = OmegaConf.create({"text": parse_override(as_hydra_reads(item, str | None)).value()})
        assert OmegaConf.to_container(composed, resolve=True) == {"text": text}


def test_every_key_of_a_text_takes_it() -> None:
    """The run's own keys, those of its sections, and those of every data set and model."""
    found = set()
    for section, schema in SECTIONS.items():
        for name, field in schema.model_fields.items():
            if kind_of(field.annotation) in (TEXT, TEXTS):
                found.add(f"{section}.{name}".lstrip("."))
    for group, registry in (("dataset", datasets), ("model", models)):
        for name in registry.names():
            for key, field in registry.schema(name).model_fields.items():
                if kind_of(field.annotation) is not None:
                    found.add(f"{group}.{key}")
    assert {"run_dir", "data_dir", "device", "trainer.monitor", "evaluation.anomalies", "figures.between"} <= found
    assert {"dataset.text", "dataset.image", "dataset.path", "dataset.split", "model.mask", "model.name"} <= found
    typed = [
        "run_dir=2026.10",
        "data_dir=1e3",
        "trainer.monitor=1_0",
        "figures.between=[01,2024.10]",
        "evaluation.anomalies=[1e1]",
    ]
    settings = compose([*typed, "dataset=image_folder", "dataset.path=2024.10"]).settings
    assert (settings.run_dir, settings.data_dir, settings.trainer.monitor) == ("2026.10", "1e3", "1_0")
    assert (settings.figures.between, settings.evaluation.anomalies) == (("01", "2024.10"), ("1e1",))
    assert settings.dataset["path"] == "2024.10"
    with pytest.raises(UserError, match=r"model\.mask=1_0: must be one of"):
        compose(["model=coupling_flow", "model.mask=1_0"])


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (str, TEXT),
        (Annotated[str, Field(min_length=1)] | None, TEXT),
        (Literal["a", "b"], TEXT),
        (tuple[str, ...], TEXTS),
        (list[str] | None, TEXTS),
        (Literal[1, 3], None),
        (str | int, None),
        (tuple[str, int], None),
        (bool | None, None),
        (float, None),
        (Any, None),
    ],
)
def test_which_types_take_a_text(annotation: Any, kind: str | None) -> None:
    assert kind_of(annotation) == kind


def test_one_pair_of_quotes_is_taken_off_and_null_is_null() -> None:
    def text(typed: str, annotation: Any = str | None) -> Any:
        return parse_override(f"dataset.text={typed}", annotation).value()

    assert [text(typed) for typed in ("'a, b'", '"12.50"', "'it\\'s'", "'null'")] == ["a, b", "12.50", "it's", "null"]
    assert text("null") is None
    assert text("null", str) == "null"


def test_a_component_of_a_plugin_has_texts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def built(data_dir: Path, *, title: str = "x", count: int = 3) -> None:
        """Of a plugin."""

    monkeypatch.setitem(datasets._builders, "of_a_plugin", built)
    known = {"dataset": {"name": "of_a_plugin", "title": "x", "count": 3}}
    from genexp.config.composition import _checked

    assert _checked("dataset.title=1e3", known).value() == "1e3"
    assert _checked("dataset.count=1_0", known).value() == 10


def test_in_a_sweep_commas_separate_and_digits_stay() -> None:
    def texts(*typed: str) -> list[Any]:
        return [compose(job).settings.dataset["text"] for job in jobs(typed)]

    assert texts("dataset.text=12.50,+49,1e3,'a,b',a\\,b") == ["12.50", "+49", "1e3", "a,b", "a,b"]
    assert texts("dataset.text=12.50", "seed=0,1") == ["12.50", "12.50"]
    assert texts("dataset.text=choice(12.50,true)") == ["12.50", "true"]
    assert jobs(["dataset.text=12,null", "trainer.lr=1e-3"]) == [
        ["dataset.text=12", "trainer.lr=0.001"],
        ["dataset.text=null", "trainer.lr=0.001"],
    ]


def test_the_folder_of_a_sweep_is_what_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = make_plan(["seed=0,1", "dataset.text=1.50,1.5", "sweep.dir=2026.10"], [], [])
    assert plan.root == Path("2026.10")
    assert plan.swept["dataset.text"] == ["1.50", 1.5, "1.50", 1.5]


def test_a_stored_text_is_the_text(tmp_path: Path) -> None:
    """config.yaml gives back what was composed, and a run goes on with it."""
    settings, run = compose([]).settings, tmp_path
    for text in [*SIGNS, *NUMBERS]:
        stored = settings.model_copy(update={"dataset": {**settings.dataset, "text": text}})
        RunFolder(run).write_config(stored.model_dump(), [f"dataset.text={text}"])
        assert read_config(run)[0]["dataset"]["text"] == text
    assert compose_stored(run, ["data_dir=2024.10"]).settings.dataset["text"] == text
    assert read_config(run)[1] == (f"dataset.text={text}",)


def test_a_run_folder_is_called_what_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RunFolder.create("test", compose(["run_dir=2026.10"]).settings.run_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["2026.10"]


@pytest.mark.parametrize("number", ["12.50", "1e3", "+491701234567", "1_000"])
def test_a_number_in_place_of_a_text_in_a_file_is_refused(tmp_path: Path, number: str) -> None:
    """YAML has forgotten how it was written; in quotes it is kept."""
    (tmp_path / "experiment").mkdir()
    for quote, says in (("'", number), ("", None)):
        text = f"# @package _global_\n# of the tests\ndataset: {{text: {quote}{number}{quote}}}\n"
        (tmp_path / "experiment" / "mine.yaml").write_text(text)
        if says is not None:
            assert compose(["experiment=mine"], [tmp_path]).settings.dataset["text"] == says
        else:
            with pytest.raises(UserError, match=r"dataset\.text=.*: a number where a text is meant; put it in quotes"):
                compose(["experiment=mine"], [tmp_path])
