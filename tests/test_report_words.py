"""The words of the page: equations, what to try next, units; of a folder written by hand, so that nothing is trained."""

import json
from pathlib import Path

import pytest
import yaml

from genexp.config.composition import compose
from genexp.report.gather import gather
from genexp.report.render import report
from genexp.report.side_by_side import headlines
from tests import browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of a coupling flow that has numbers and a history, and no checkpoint."""
    path = tmp_path / "run"
    path.mkdir()
    words = ["experiment=double_gaussian", "model.depth=2"]
    config = compose(words).settings.model_dump(mode="json")
    (path / "config.yaml").write_text(yaml.safe_dump({**config, "overrides": words}))
    measures = {"kl": {"meaning": "KL(data ‖ model) by quadrature, nats", "better": "lower", "headline": 30}}
    (path / "run.json").write_text(
        json.dumps({"id": "run", "status": "finished", "words": {"measures": measures, "pictures": {}}})
    )
    (path / "metrics.json").write_text(json.dumps({"kl": 0.25, "floor/kl": 0.0, "kl_error": 0.01}))
    return path


def test_the_head_of_the_page_says_what_the_model_is(folder: Path) -> None:
    page = report([folder])
    head, body = page.split('<section id="next">')
    assert head.count("<math ") == 3  # two of the model, one of its objective
    assert "Maximum likelihood" in head
    assert "<code>spline</code>" in head
    assert "genexp run experiment=double_gaussian model.depth=4" in body
    assert "cannot see: where the model puts mass" in body
    assert body.count('<td class="unit">nats</td>') == 2  # of the number, and of its standard error


def test_a_p_value_of_nothing_is_suspicious_and_the_most_planes_are_a_ceiling(folder: Path) -> None:
    """As a run of an earlier version has them."""
    numbers = {"ks": 0.1, "exact/ks": 0.001, "ks/p": 0.0, "planes/3d": 15.0, "floor/planes/3d": 2344.4}
    (folder / "metrics.json").write_text(json.dumps(numbers))
    said = {name: {"meaning": "planes", "better": "higher"} for name in ("ks", "planes")}
    (folder / "run.json").write_text(json.dumps({"id": "run", "words": {"measures": said, "pictures": {}}}))
    page = " ".join(report([folder]).split())
    assert '<span class="value whole">0</span> <span class="suspicious">suspicious</span>' in page
    assert page.count('class="suspicious"') == 1
    assert '<span class="beside"><i>ceiling</i> 2344</span>' in page
    assert "<i>floor</i> 2344" not in page
    assert "the ceiling that nothing rises above" in page


@pytest.mark.parametrize("script", [True, False])
def test_the_last_mark_of_an_axis_is_whole_and_no_number_wraps(folder: Path, chromium: browser.Browser, script: bool) -> None:
    (folder / "metrics.json").write_text(json.dumps({"kl": -0.0003716, "nll": 1}))
    lines = [{"step": step, "loss": 1 / step, "heldout/excess_loss": 2 / step} for step in (1000, 3000, 6000)]
    (folder / "history.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    page = folder / "report.html"
    page.write_text(report([folder] * 6))
    with chromium.open(page, script=script, height=3000) as opened:
        marks = """[...document.querySelectorAll('.chart svg')].map(svg => {
            const last = [...svg.querySelectorAll('.tick')].find(tick => tick.textContent === '6,000');
            return svg.getBoundingClientRect().right - last.getBoundingClientRect().right;
        })"""
        assert min(opened(marks)) >= 0
        assert opened("document.querySelector('.chart:nth-child(2) figcaption b').textContent") == "excess loss on held-out data"
        lines_of = """[...document.querySelectorAll('.tile .big')].map(span => span.getClientRects().length)"""
        assert set(opened(lines_of)) == {1}
        across = "[...document.querySelectorAll('.tile')].every(tile => tile.scrollWidth <= tile.clientWidth)"
        assert opened(across)


def test_the_numbers_to_look_at_first_are_those_that_most_runs_have(folder: Path, tmp_path: Path) -> None:
    """Of three runs two have `nll`, though each has a number of its own that is shown sooner."""
    paths = []
    for index in range(3):
        path = tmp_path / f"run{index}"
        path.mkdir()
        own = {f"own{index}{letter}": 1.0 for letter in "abc"}
        said = {name: {"meaning": "x", "headline": 1} for name in own} | {"nll": {"meaning": "nats", "headline": 40}}
        (path / "run.json").write_text(json.dumps({"id": path.name, "words": {"measures": said, "pictures": {}}}))
        (path / "metrics.json").write_text(json.dumps(own | ({} if index == 2 else {"nll": 2.0})))
        paths.append(path)
    assert [row.name for row in headlines([gather(path) for path in paths])] == ["nll", "own0a", "own0b", "own0c"]
    assert [row.name for row in headlines([gather(paths[0])])] == ["own0a", "own0b", "own0c", "nll"]


def test_several_runs_of_one_model_say_it_once(folder: Path) -> None:
    page = report([folder, folder])
    assert page.count('class="about-model"') == 1
    assert page.count("<math ") == 3
    assert 'id="next"' not in page


@pytest.mark.parametrize("name", ["no_such_model", "<script>alert(1)</script>"])
def test_a_model_that_is_not_there_is_left_out(folder: Path, name: str) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"] = {"name": name, "objective": {"name": ["odd"]}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    page = report([folder])
    assert 'class="about-model"' not in page
    assert "alert(1)</script>" not in page
    config["model"] = "odd"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert 'class="about-model"' not in report([folder])


def test_what_a_folder_says_is_no_markup(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["overrides"] = ["experiment=double_gaussian", "run_dir=x", "seed=<b>1</b>"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert "<b>1</b>" not in report([folder])
