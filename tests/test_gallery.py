"""The gallery of a sweep and the bars of what models cost: from what runs keep and measured, whatever became of some of them."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genexp.figures import gallery as drawings
from genexp.folder.records import Record
from genexp.sweep import gallery
from genexp.sweep.gallery import draw_costs, draw_gallery, draw_histories

SWEPT = {
    "model": ["realnvp", "realnvp", "realnvp", "nice", "nice", "nice"],
    "dataset": ["two_moons", "two_moons", "rings", "two_moons", "two_moons", "rings"],
    "seed": [0, 1, 0, 0, 1, 0],
}


def job(path: Path, status: str = "finished", density: float | None = 1.0, **metrics: float) -> Record:
    (path / "samples").mkdir(parents=True)
    if density is not None:
        plane = np.full((4, 4), density, np.float32)
        np.savez(
            path / "samples" / "samples.npz", density=plane, density_true=plane * 0 + 5, density_ends=np.array([-1, 1, -1, 1])
        )
    return Record(path, {"status": status}, metrics=metrics)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was handed over to be drawn."""
    kept: dict[str, Any] = {}

    def keep(name: str) -> Any:
        draw = getattr(drawings, name)

        def keeping(*arguments: Any) -> Any:
            kept[name] = arguments
            return draw(*arguments)

        return keeping

    for name in ("gallery", "costs"):
        monkeypatch.setattr(gallery, name, keep(name))
    return kept


def test_a_cell_says_the_mean_over_its_seeds_or_why_there_is_none(tmp_path: Path, drawn: Mapping[str, Any]) -> None:
    found: list[Record | None] = [
        job(tmp_path / "0", density=1.0, kl=0.1),
        job(tmp_path / "1", density=2.0, kl=0.3),
        job(tmp_path / "2", status="failed", density=None),
        job(tmp_path / "3", density=3.0, kl=0.5),
        job(tmp_path / "4", status="failed", density=None),
        None,
    ]
    assert draw_gallery(found, SWEPT, None) is not None
    columns, rows = drawn["gallery"]
    assert [column.name for column in columns] == ["two_moons", "rings"]
    assert columns[0].truth.max() == 5
    assert columns[1].truth is None
    words = {name: [cell.words for cell in cells] for name, cells in rows.items()}
    assert words == {"realnvp": ["kl 0.2", "failed"], "nice": ["kl 0.5 (1 of 2)", "not started"]}
    assert rows["realnvp"][0].density.max() == 1.0  # of the first seed
    assert rows["realnvp"][1].density is None


def test_where_nothing_is_to_be_seen_nothing_is_drawn(tmp_path: Path) -> None:
    one, none = job(tmp_path / "0", kl=0.1), job(tmp_path / "1", density=None, kl=0.1)
    assert draw_gallery([one, one], {"seed": [0, 1]}, None) is None  # a single cell
    assert draw_gallery([none, none], {"model": ["a", "b"]}, None) is None
    assert draw_costs([one, none], {"model": ["a", "b"]}) is None
    (tmp_path / "1" / "samples" / "samples.npz").write_bytes(b"PK no archive")
    assert draw_gallery([none, none], {"model": ["a", "b"]}, None) is None


def test_samples_that_were_copied_in_part_are_left_out(tmp_path: Path, drawn: Mapping[str, Any]) -> None:
    found = [job(tmp_path / str(number), density=1.0, kl=0.1) for number in range(2)]
    torn = tmp_path / "0" / "samples" / "samples.npz"
    torn.write_bytes(torn.read_bytes()[:400])
    assert draw_gallery(found, {"model": ["realnvp", "nice"]}, None) is not None
    _, rows = drawn["gallery"]
    assert [row[0].density is None for row in rows.values()] == [True, False]


def test_costs_are_means_over_data_and_seeds(tmp_path: Path, drawn: Mapping[str, Any]) -> None:
    seconds = [1.0, 3.0, 2.0, 10.0, 10.0]
    found = [job(tmp_path / str(n), seconds_density=value, seconds_sample=2 * value) for n, value in enumerate(seconds)]
    picture = draw_costs([*found, job(tmp_path / "5", status="failed", seconds_density=1e9)], SWEPT)
    assert picture is not None
    names, density, sample = drawn["costs"]
    assert (names, density, sample) == (["realnvp", "nice"], (2.0, 10.0), (4.0, 20.0))


def test_each_cell_is_beside_its_model_and_below_its_data() -> None:
    """In the colours of the truth above it, y upwards, its words below."""
    planes = {name: np.arange(6.0).reshape(2, 3) * scale for name, scale in (("a", 1), ("b", 2), ("c", 3), ("d", 4))}
    ends = np.array([-1.0, 1.0, -2.0, 2.0])
    columns = [drawings.Column("left", np.full((2, 3), 7.0), ends), drawings.Column("right", np.full((2, 3), 9.0), ends)]
    rows = {row: [drawings.Cell(planes[name], name) for name in names] for row, names in (("one", "ab"), ("two", "cd"))}
    axes = np.array(drawings.gallery(columns, rows).axes).reshape(3, 2)
    assert [each.get_title() for each in axes[0]] == ["left", "right"]
    assert [each.get_ylabel() for each in axes[:, 0]] == ["true", "one", "two"]
    for each, name, most in zip(axes[1:].flat, "abcd", (7, 9, 7, 9), strict=True):
        (image,) = each.images
        assert np.array_equal(image.get_array(), planes[name])
        assert (image.origin, image.get_extent(), image.get_clim()) == ("lower", ends.tolist(), (0, most))
        assert each.get_xlabel() == name


def test_a_bar_is_as_high_as_the_seconds_that_its_legend_names() -> None:
    (axes,) = drawings.costs(["a", "b"], [1.0, 2.0], [30.0, math.nan]).axes
    heights = {bars.get_label(): [bar.get_height() for bar in bars] for bars in axes.containers if hasattr(bars, "patches")}
    assert heights["density"] == [1, 2]
    assert heights["sampling"] == pytest.approx([30, math.nan], nan_ok=True)


def test_a_sweep_ends_with_its_gallery_though_a_job_fails(genexp, tiny: list[str]) -> None:
    line = ["dataset=mixture", "dataset.means=[[-2.0],[1.5]]", "dataset.covariances=[[[0.3]],[[0.8]]]", "dataset.weights=[1,2]"]
    code, out, _ = genexp("run", "-m", "sweep.dir=s", *line, "model=normal,nice", *tiny, "figures.gif=false")
    assert code == 2  # nice needs two dimensions
    assert "gallery.png" in out
    with Image.open("s/gallery.png") as picture:
        assert picture.height > 2 * picture.width


@pytest.mark.parametrize(
    ("objectives", "label"),
    [
        (("nll", "nll"), "held-out loss, nats"),
        (("bound", "reverse_kl"), "held-out loss, nats"),
        (("nll", "other"), "held-out loss"),
        (("nll", None), "held-out loss"),
    ],
)
def test_losses_are_in_nats_where_they_are_likelihoods(tmp_path: Path, objectives: tuple[str | None, ...], label: str) -> None:
    """A squared error of velocities, or what an earlier run does not say, is in no unit."""
    found = []
    for seed, objective in enumerate(objectives):
        (path := tmp_path / str(seed)).mkdir()
        lines = [{"step": step, "seconds": step, "heldout/loss": 1 / step} for step in (1, 2, 3)]
        (path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run = {"status": "finished", "model": {"objective": objective} if objective else None}
        found.append(Record(path, run, {"model": {"name": "maf"}, "dataset": {"name": "rings"}}))
    (axes,) = draw_histories(found, {"seed": [0, 1]}).axes
    assert axes.get_ylabel() == label
