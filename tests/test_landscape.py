"""`genexp landscape`: what run folders say of their models is told, compared and drawn as it is; `compare --results` likewise."""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from genexp.data.base import DataSpec
from genexp.errors import Interrupted, UserError
from genexp.figures.landscape import Dot, frontier, overlap
from genexp.folder.records import read_record
from genexp.folder.samples import kept_arrays
from genexp.landscape import carry_out as doing
from genexp.landscape import plan as planning
from genexp.landscape.carry_out import alone_in, carry_out
from genexp.landscape.entries import Entry, entry_of, number_of, read_entries
from genexp.landscape.families import AUTOREGRESSIVE, DIFFUSION, ENERGY, FLOWS, LATENT, MIXTURES, OTHER, Declared
from genexp.landscape.fields import Field, fields_of
from genexp.landscape.frontier import best_of_each, draw, names
from genexp.landscape.frontier import data as data_of
from genexp.landscape.gallery import grid_of, toys_of
from genexp.landscape.glance import glance
from genexp.landscape.page import Shown, page, run_data
from genexp.landscape.plan import Wanted, by_the_recipe, plan
from genexp.landscape.tables import at_a_glance, in_markdown, kl_text, note, on_toys
from genexp.landscape.thumbnails import histogram, of_pictures, of_run
from tests.conftest import TINY

PLANE, DIGIT_PICTURES, DIGIT_POINTS = DataSpec((2,)), DataSpec((1, 8, 8), kind="unit", levels=17), DataSpec((64,), kind="unit")
NOISE = {"nll": -57.4, "bits_per_dim": -57.4 / (64 * math.log(2)) + math.log2(17)}


def can(*words: str, **others: Any) -> Declared:
    return Declared(frozenset(words), **others)


def test_a_family_follows_from_what_is_declared() -> None:
    told = {
        FLOWS: [can("exact", "layers"), can("estimate", "dequantised", "reversible")],
        AUTOREGRESSIVE: [can("autoregressive", "discrete", "exact", "reversible")],
        DIFFUSION: [can("exact", "velocity"), can("diffusion", "exact", "velocity"), can("sample", objective="flow_matching")],
        ENERGY: [can("energy", "exact"), can("energy")],
        LATENT: [can("bound", "latents", "posterior"), can("codes"), can("latents", "prior")],
        MIXTURES: [can("exact", "gaussians"), can("dequantised", "estimate", fitter="em"), can("exact", fitter="none")],
        OTHER: [can("chains"), can(), can("bits", fitter="none")],
    }
    for family, examples in told.items():
        for declared in examples:
            assert declared.family is family


def test_noise_makes_a_bound_of_what_is_exact() -> None:
    assert can("exact", "layers").likelihood == "exact"
    assert (
        can("dequantised", "exact").likelihood == can("dequantised", "estimate").likelihood == can("bound").likelihood == "bound"
    )
    assert can("estimate").likelihood == "estimate"
    assert can("latents").likelihood == "none"


def test_latents_and_how_one_comes_there() -> None:
    assert can("latents", "posterior", "pairs", latent=2).latents(784) == "2, encoder"
    assert can("latents", "pairs", latent=2).latents(784) == "2, no encoder"
    assert can("latents", latent=8).latents(784) == "8, encoder"
    assert can("layers").latents(2) == "2, exact inverse"
    assert can("autoregressive").latents(64) == "none"


def number(metrics: dict[str, Any], declared: Declared, spec: DataSpec, **others: Any) -> Any:
    return number_of(metrics, declared, spec, others.pop("settings", {}), **others)


def test_the_curve_of_a_table_is_in_the_units_of_its_columns_as_its_number_is() -> None:
    found = number({"nll": 14.4}, can("exact", "layers"), PLANE, log_scale=11.5)
    assert (found.value, found.scale, found.shift) == (14.4, 1.0, 11.5)


def test_bits_are_those_of_greys_whichever_way_a_model_comes_by_them() -> None:
    exact = number({"nll": 81.7, "bits_per_dim": 81.7 / (64 * math.log(2))}, can("discrete", "exact"), DIGIT_PICTURES)
    assert (exact.kind, exact.shift) == ("exact", pytest.approx(0, abs=1e-12))
    noisy = number(NOISE, can("dequantised", "estimate"), DIGIT_PICTURES)
    assert (noisy.kind, noisy.shift) == ("bound", pytest.approx(math.log2(17)))
    assert noisy.scale * NOISE["nll"] + noisy.shift == pytest.approx(noisy.value)
    points = number(NOISE, can("exact", "gaussians"), DIGIT_POINTS)  # an exact density of noise is a bound of greys
    assert (points.kind, points.value) == ("bound", NOISE["bits_per_dim"])


def test_a_bound_in_nats_of_points_with_noise_is_told_in_bits() -> None:
    """A density of one on [0, 1]⁶⁴ costs what equal probabilities do: log₂ of the levels."""
    gaussian = {"likelihood": {"name": "gaussian"}}
    vae = can("bound", "latents", "posterior")
    found = number({"iwae_nll": 0.0, "iwae_nll_error": 64 * math.log(2)}, vae, DIGIT_POINTS, settings=gaussian, noisy_levels=17)
    assert (found.kind, found.value, found.error) == ("bound", pytest.approx(math.log2(17)), pytest.approx(1))
    assert number({"iwae_nll": 10.0}, vae, DIGIT_POINTS, settings={"likelihood": {"name": "bernoulli"}}, noisy_levels=17) is None


def test_what_cannot_be_compared_has_no_number() -> None:
    vae = can("bound", "latents", "posterior")
    assert number({"neg_elbo": 100.0}, vae, DIGIT_PICTURES, settings={"likelihood": {"name": "bernoulli"}}) is None
    assert number({"bits_per_dim": 7.6, "neg_elbo": -15.0}, vae, DIGIT_PICTURES) is None  # of bytes
    assert number({"bits_per_dim": 3.8}, vae, DataSpec((1, 28, 28), kind="unit")).kind == "bound"
    assert number({"nll": float("inf")}, can("exact"), PLANE) is None
    assert number({"nll": None}, can("exact"), PLANE) is None
    assert number({"neg_elbo": 3.0}, vae, PLANE, settings={"likelihood": {"name": "bernoulli"}}) is None


def test_of_several_likelihoods_the_sharpest_is_taken() -> None:
    vae, bits = can("bound", "latents", "posterior"), DataSpec((1, 28, 28), kind="bits")
    metrics = {"neg_elbo/dynamic": 90.0, "iwae_nll/dynamic": 87.0, "floor/iwae_nll/dynamic": 54.7}
    found = number(metrics, vae, bits, draw="dynamic")
    assert (found.metric, found.kind, found.value, found.floor, found.unit) == ("iwae_nll/dynamic", "bound", 87.0, 54.7, "nats")
    assert number({**metrics, "quadrature_nll/dynamic": 86.0}, vae, bits, draw="dynamic").kind == "exact"
    assert number({"neg_elbo": 3.0, "nll": 2.5}, can("exact", "velocity"), PLANE).metric == "nll"
    assert number({"nll/dynamic": 84.0}, can("exact", "discrete", "autoregressive"), bits, draw="dynamic").kind == "exact"


def folder(
    path: Path,
    model: str,
    words: list[str],
    metrics: dict[str, Any],
    dataset: str = "two_moons",
    shape: tuple[int, ...] = (2,),
    history: tuple[dict[str, float], ...] = (),
    **others: Any,
) -> Path:
    """A run folder as a finished run leaves it."""
    (path / "samples").mkdir(parents=True)
    about = {"shape": list(shape), "classes": [], "kind": "real" if shape == (2,) else "unit", "digest": {"origin": dataset}}
    run = {"status": "finished", "data": about, "model": {"can": words, "objective": "nll", "fitter": "gradient"}}
    run |= {"device": "cpu", "machine": "Linux x86_64, 2 CPUs", "threads": 1, "words": {"measures": {"nll": {"headline": 40}}}}
    (path / "run.json").write_text(json.dumps(run))
    seed, density = others.pop("seed", 0), {"name": dataset, **others.pop("density", {})}
    named = others.pop("experiment", "landscape")
    config = {"experiment": named, "seed": seed, "model": {"name": model, **others}, "dataset": density}
    (path / "config.yaml").write_text(
        yaml.safe_dump({**config, "overrides": [f"model={model}", f"seed={seed}", f"run_dir={path}"]})
    )
    (path / "metrics.json").write_text(json.dumps(metrics))
    (path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))
    rng = np.random.default_rng(0)
    points = rng.normal(size=(1500, 2)) if shape == (2,) else rng.random((30, *shape))
    np.savez(path / "samples" / "samples.npz", samples=points, **({"target": points} if shape == (2,) else {}))
    return path


def measured(nll: float, seconds: float, floor: float = 2.0, **others: Any) -> dict[str, Any]:
    return {
        "nll": nll,
        "floor/nll": floor,
        "cpu_seconds_train": seconds,
        "seconds_train": 5 * seconds,
        "seconds_density": 0.1,
        **others,
    }


FLOW = ["exact", "layers", "sample"]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    history = tuple(
        {"step": n, "seconds": 9.0 * n, "cpu_seconds": 1.0 * n, "heldout/loss": y} for n, y in ((1, 4.0), (2, 3.0), (3, 3.5))
    )
    return [
        folder(tmp_path / "a0", "maf", FLOW, measured(2.4, 10.0, **{"floor/heldout_loss": 1.5}), history=history, depth=5),
        folder(tmp_path / "a1", "maf", FLOW, measured(2.6, 12.0), seed=1, depth=5),
        folder(tmp_path / "b", "maf", FLOW, measured(3.0, 1.0), depth=9),
        folder(tmp_path / "c", "gmm", ["exact", "gaussians"], measured(2.45, 2.0, kl=0.3)),
        folder(tmp_path / "d", "gmm", ["exact", "gaussians"], measured(2.7, 1.0), dataset="rings"),
        folder(tmp_path / "e", "maf", FLOW, measured(2.5, 1.0), dataset="rings"),
    ]


def entry(path: Path) -> Entry:
    found = entry_of(read_record(path))
    assert found is not None
    return found


def test_a_row_is_the_mean_over_seeds_of_the_best_configuration(runs: list[Path]) -> None:
    moons, rings = fields_of(read_entries(runs))
    assert (moons.title, moons.unit, len(moons.points), rings.title) == ("two_moons", "nats", 4, "rings")
    flows, mixtures = glance(moons)
    assert [part.family for part in (flows, mixtures)] == [FLOWS, MIXTURES]
    (row,) = flows.models
    assert row.cells[:5] == ("2.5 ± 0.1 (2 seeds)", "exact", "0.1", "—", "11")
    assert flows.row.cells[0] == "2.5 ± 0.1 (2 seeds) maf"
    assert mixtures.models[0].cells[0] == "2.45"


def test_another_density_of_the_same_name_is_another_field(tmp_path: Path) -> None:
    """A funnel of ten dimensions is none of the plane, and a noisier one of the plane is not this one."""
    funnels = {"plane": ((2,), 1.0), "wide": ((2,), 3.0), "ten": ((10,), 3.0)}
    paths = [
        folder(
            tmp_path / f"{name}{model}",
            model,
            FLOW,
            measured(2.5, 1.0),
            "funnel",
            shape,
            density={"dimension": shape[0], "std": std},
        )
        for name, (shape, std) in funnels.items()
        for model in ("maf", "nice")
    ]
    fields = fields_of(read_entries(paths))
    titles = [f"funnel, dimension={shape[0]} std={std}" for shape, std in funnels.values()]
    assert [(field.title, len(field.points)) for field in fields] == [(title, 2) for title in titles]
    assert [toy.field.title for toy in toys_of(fields)] == titles[:2]


def test_what_is_another_density_is_told_as_shortly_as_can_be(tmp_path: Path) -> None:
    means = {"one": ((1,), [[-1.5], [1.5]]), "two": ((2,), [[-1.5, 0.0], [1.5, 0.0]])}
    paths = [
        folder(tmp_path / f"{name}{model}", model, FLOW, measured(2.5, 1.0), "mixture", shape, density={"means": of})
        for name, (shape, of) in means.items()
        for model in ("maf", "nice")
    ]
    assert [field.title for field in fields_of(read_entries(paths))] == ["mixture of 1 number", "mixture of 2 numbers"]
    evenly = folder(
        tmp_path / "even", "gmm", FLOW, measured(2.5, 1.0), "mixture", density={"means": means["two"][1], "draw": "even"}
    )
    assert {len(field.points) for field in fields_of(read_entries([*paths, evenly]))} == {2, 3}


def test_seconds_are_those_of_the_cpu_where_they_were_counted(runs: list[Path]) -> None:
    assert (entry(runs[0]).seconds, entry(runs[0]).on_cpu) == (10.0, True)
    path = runs[0] / "metrics.json"
    path.write_text(json.dumps({name: value for name, value in json.loads(path.read_text()).items() if name[:3] != "cpu"}))
    assert (entry(runs[0]).seconds, entry(runs[0]).on_cpu) == (50.0, False)
    assert [seconds for seconds, _ in entry(runs[0]).curve()] == [9.0, 18.0, 27.0]


def test_a_curve_is_the_best_so_far_in_the_unit_of_its_dot(runs: list[Path]) -> None:
    first = entry(runs[0])
    assert first.curve() == [(1.0, 4.0), (2.0, 3.0), (3.0, 3.0)]
    assert first.curve(above_floor=True) == [(1.0, 2.5), (2.0, 1.5), (3.0, 1.5)]
    assert entry(runs[1]).curve(above_floor=True) == []


def test_a_curve_that_begins_at_once_has_a_place_on_an_axis_of_logarithms(runs: list[Path]) -> None:
    """At 0 s it had none, and with it no dot of the page."""
    quick = tuple({"step": n, "seconds": 0.002 * n, "cpu_seconds": 0.002 * n, "heldout/loss": 4.0 - n} for n in (1, 2))
    metrics = measured(2.3, 0.02, **{"floor/heldout_loss": 1.0})
    others = [folder(runs[0].parent / name, name, FLOW, metrics, history=quick) for name in ("q", "r")]
    (field,) = fields_of(read_entries(others))
    points = data_of(field, {id(each): n for n, each in enumerate(field.points)})["points"]
    assert [point["curve"][0] for point in points] == [[0.002, 2.0]] * 2


def test_heights_above_the_floor_are_those_by_quadrature_where_there_are(runs: list[Path]) -> None:
    moons = fields_of(read_entries(runs))[0]
    assert moons.is_logarithmic
    heights = {each.record.path.name: moons.height(each) for each in moons.points}
    assert heights == {"a0": pytest.approx(0.4), "a1": pytest.approx(0.6), "b": 1.0, "c": 0.3}
    below = folder(runs[0].parent / "z", "nice", FLOW, measured(1.9, 1.0))  # than is possible, by chance
    moons = fields_of(read_entries([*runs, below]))[0]
    assert not moons.is_logarithmic
    assert moons.height(entry(runs[0])) == 2.4


def test_none_is_left_and_below_of_a_run_on_the_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    paths = [folder(tmp_path / str(n), f"m{n}", FLOW, measured(*rng.uniform(2.1, 3.0, 2))) for n in range(14)]
    (field,) = fields_of(read_entries(paths))
    places = {each.record.path.name: (each.seconds, each.number.value) for each in field.points if each.number}
    beaten = {name for name, (x, y) in places.items() if any(a <= x and b <= y and (a, b) != (x, y) for a, b in places.values())}
    assert [each.record.path.name for each in field.pareto] == sorted({*places} - beaten, key=lambda name: places[name][0])


def test_several_experiments_of_a_model_go_by_their_names(runs: list[Path]) -> None:
    others = [
        folder(runs[0].parent / name, "maf", FLOW, measured(nll, 3.0), experiment=name) for name, nll in (("f", 2.2), ("g", 2.1))
    ]
    moons = fields_of(read_entries([*runs, *others]))[0]
    assert {*names(moons).values()} == {"maf", "gmm", "f", "g"}
    assert {names(moons)[id(one)] for one in moons.points if id(one) in best_of_each(moons)} == {"maf", "gmm", "f", "g"}


def test_seconds_within_two_decades_are_marked_between_powers_of_ten(runs: list[Path]) -> None:
    figure = draw(fields_of(read_entries(runs))[0])
    figure.canvas.draw()
    marks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert {"2", "5", "10"} <= {*marks}


def test_the_gallery_has_the_nearest_run_in_each_cell(runs: list[Path]) -> None:
    grid = grid_of(toys_of(fields_of(read_entries(runs))))
    assert grid is not None
    names = {
        name: [[each.record.path.name for each in group.entries] for group in row if group] for name, row in grid.rows.items()
    }
    assert names == {"maf": [["a0", "a1"], ["e"]], "gmm": [["c"], ["d"]]}
    assert [grid.best(column).first.record.path.name for column in (0, 1)] == ["c", "e"]  # type: ignore[union-attr]
    assert grid_of(toys_of(fields_of(read_entries(runs[:4])))) is None


def test_samples_that_are_torn_or_no_numbers_stop_no_page(runs: list[Path]) -> None:
    torn, wild = (path / "samples" / "samples.npz" for path in runs[:2])
    torn.write_bytes(torn.read_bytes()[:1000])
    np.savez(wild, samples=np.full((1500, 2), np.nan))
    assert of_run(runs[0], (2,)) is None
    assert str(of_run(runs[1], (2,))).startswith("data:image/png")
    np.savez(wild, samples=np.zeros((0, 2)), target=np.zeros((1500, 3)))
    assert of_run(runs[1], (2,)) is None
    np.savez(wild, samples=np.zeros((0, 1, 8, 8)))
    assert of_run(runs[1], (1, 8, 8)) is None
    assert [toy.field.title for toy in toys_of(fields_of(read_entries([*runs[:2], *runs[4:]])))] == ["rings"]


def test_of_kept_arrays_none_is_read_that_is_no_numbers_too_large_or_elsewhere(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, why = runs[0] / "samples" / "samples.npz", list[str]()
    np.savez(file, words=np.array(["a", "b"]), few=np.arange(3), many=np.arange(1000))
    monkeypatch.setattr("genexp.folder.samples.MOST_BYTES", 1000)
    assert [*kept_arrays(runs[0], ("words", "few", "many", "none"), why.append)] == ["few"]
    (runs[0] / "figures").mkdir()
    (runs[0] / "figures" / "link.png").symlink_to(runs[1] / "run.json")  # of which it is not asked
    assert [*kept_arrays(runs[0], ["few"], why.append)] == ["few"]
    file.unlink()
    assert kept_arrays(runs[0], ["samples"], why.append) == {}
    assert why == []
    file.symlink_to(runs[1] / "samples" / "samples.npz")
    assert kept_arrays(runs[0], ["samples"], why.append) == {}
    file.unlink()
    file.write_bytes(b"PK no archive")
    assert kept_arrays(runs[0], ["samples"], why.append) == {}
    assert why == ["ValueError", "BadZipFile"]


def test_what_a_foreign_folder_says_of_seed_and_noise_stops_no_page(runs: list[Path]) -> None:
    """NaN is no JSON, and the script of the page would read none of it."""
    config, run = runs[0] / "config.yaml", runs[0] / "run.json"
    config.write_text(config.read_text().replace("seed: 0", "seed: .nan"))
    said = json.loads(run.read_text())
    run.write_text(json.dumps({**said, "data": {**said["data"], "noisy_levels": -1}}))
    assert json.loads(json.dumps(run_data(entry(runs[0]), None), allow_nan=False))["seed"] == "nan"


def test_a_toy_has_one_window_for_however_many_runs(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    windows = []
    monkeypatch.setattr("genexp.landscape.page.of_run", lambda path, shape, ends: windows.append(ends))
    entries = [replace(entry(runs[0])) for _ in range(500)]
    (toy,) = toys_of([Field("two_moons", "nats", tuple(entries))])
    page(Shown([], [toy], None, entries))
    assert windows == [toy.ends] * 500


def test_more_seeds_are_no_advantage_in_the_gallery(runs: list[Path]) -> None:
    """maf has 0.4 with one seed and 0.6 with the other: another configuration, of one seed with 0.45, is nearer."""
    other = folder(runs[0].parent / "f", "maf", FLOW, measured(2.45, 3.0), depth=7)
    grid = grid_of(toys_of(fields_of(read_entries([*runs, other]))))
    assert grid is not None
    assert [group.first.record.path.name for group in grid.rows["maf"] if group] == ["f", "e"]


def test_tables_are_those_of_the_page(runs: list[Path]) -> None:
    fields = fields_of(read_entries(runs))
    grid = grid_of(toys_of(fields))
    assert grid is not None
    table = on_toys(grid)
    assert table.header == ["model", "two moons", "rings", "training, CPU s"]
    assert table.rows == [["maf", "0.5 ± 0.1", "0.5", "1 to 11"], ["gmm", "0.3", "0.7", "1 to 2"]]
    assert table.feet == [["nearest", "gmm", "maf", ""]]
    assert [row[:3] for row in at_a_glance(fields[0]).rows][:2] == [
        ["normalising flows", "", ""],
        ["– maf", "2.5 ± 0.1 (2 seeds)", "exact"],
    ]
    text = in_markdown(fields, grid)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "### two moons (entropy 2)",
        "### rings (entropy 2)",
        "### Every model on every toy",
    ]
    assert "1 to 2 seeds" in text


def test_tables_say_the_unit_what_is_missing_and_which_seconds_are_the_clocks(runs: list[Path]) -> None:
    moons = fields_of(read_entries(runs))[0]
    assert at_a_glance(moons).header[1] == "−ln p(x), nats"
    assert "clock" not in note(moons.entries)
    metrics = {name: value for name, value in measured(2.1, 3.0).items() if not name.startswith("cpu")}
    later = folder(runs[0].parent / "t", "nice", FLOW, metrics)
    energy = folder(runs[0].parent / "u", "ebm", ["energy"], {"cpu_seconds_train": 4.0})
    kde = [folder(runs[0].parent / f"v{n}", "kde", FLOW, measured(2.4, 1.0, kl=kl), seed=n) for n, kl in enumerate((0.2, 0.6))]
    (moons,) = fields_of(read_entries([*runs[:4], later, energy, *kde]))
    assert note(moons.entries).startswith("8 runs;")
    assert "*: by the clock" in note(moons.entries)
    seconds = {row.name: row.cells[4] for part in glance(moons) for row in part.models}
    assert seconds == {"maf": "11", "gmm": "2", "nice": "15*", "ebm": "4", "kde": "1"}
    groups = {group.first.model: group for group in moons.groups}
    assert [kl_text(groups.get(name)) for name in ("nice", "ebm", "none")] == ["0.1", "no density", "—"]
    bound = ["bound", "latents", "posterior"]  # what the entropy is, the other runs know
    many = [
        folder(runs[0].parent / name, name, bound, {name: 2.5, "seconds_train": 1.0}) for name in ("quadrature_nll", "iwae_nll")
    ]
    (moons,) = fields_of(read_entries([*runs[:4], *many]))
    groups |= {group.first.model: group for group in moons.groups if group.first.model in ("quadrature_nll", "iwae_nll")}
    assert [kl_text(groups[name]) for name in ("quadrature_nll", "iwae_nll")] == ["0.5", "≤ 0.5"]
    assert kl_text(groups["kde"]) == "0.4 ± 0.3"  # of that which is shown, and not of the likelihoods

    noisy = can("dequantised", "estimate", "reversible")
    paths = [
        folder(runs[0].parent / name, name, [*noisy.can], {**NOISE, "seconds_train": 1.0}, "digits", (1, 8, 8)) for name in "xy"
    ]
    assert at_a_glance(fields_of(read_entries(paths))[0]).header[1] == "−log₂ p(x), bits/dim"


def test_a_histogram_is_a_density_with_y_upwards() -> None:
    points = np.random.default_rng(0).normal((1.0, -2.0), 0.2, (5000, 2))
    found = histogram(points, (-4, 4, -4, 4), 40)
    assert found.sum() * (8 / 40) ** 2 == pytest.approx(1, abs=1e-6)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert (column + 0.5) / 5 - 4 == pytest.approx(1, abs=0.3)
    assert (row + 0.5) / 5 - 4 == pytest.approx(-2, abs=0.3)


def test_pictures_of_any_size_are_laid_out() -> None:
    for shape in ((30, 1, 8, 8), (3, 3, 28, 28), (1, 1, 5, 9)):
        assert of_pictures(np.full(shape, np.nan)).startswith("data:image/png;base64,")


def test_names_cover_neither_one_another_nor_dots() -> None:
    rng = np.random.default_rng(3)
    dots = [
        Dot(10 ** rng.uniform(-1, 2), rng.uniform(1, 2), f"model_{n}", n % 6, n % 2 == 0, np.zeros((0, 2)), True)
        for n in range(25)
    ]
    dots.append(Dot(5.0, 9.0, "far", 1, True, np.zeros((0, 2)), True))
    figure = frontier(dots, [("flows", 0)], np.array([(dots[0].x, dots[0].y)]), "nats", "seconds", log=False)
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [text.get_window_extent(renderer) for text in axes.texts]
    edges = [(box.x0, box.y0, box.x1, box.y1) for box in boxes]
    assert len(edges) > 12
    assert not any(overlap(one, other) for at, one in enumerate(edges) for other in edges[:at])
    places = axes.transData.transform([(dot.x, dot.y) for dot in dots])
    assert not any(overlap(box, (x - 3, y - 3, x + 3, y + 3)) for box in edges for x, y in places)
    assert any(text.get_text() == "far 9" for text in axes.texts)  # it is outside, and its number said
    hollow = [line.get_markerfacecolor() == "white" for line in axes.lines if line.get_marker() in "o^"]
    assert hollow == [dot.bound for dot in dots]


def test_names_of_a_column_of_dots_stand_in_its_order() -> None:
    heights = (82.8, 84.7, 86.17, 86.41, 87.63, 87.78, 87.85, 95.3)
    dots = [Dot(240.0, y, f"experiment_{n}", n % 6, True, np.zeros((0, 2)), True) for n, y in enumerate(heights)]
    dots += [Dot(60.0, y + 4, "other", 1, True, np.zeros((0, 2)), False) for y in heights]
    (axes,) = frontier(dots, [("flows", 0)], np.array([(60.0, 86.8), (240.0, 82.8)]), "nats", "seconds", log=False).axes
    said = sorted((text.get_window_extent().y0, text.get_text()) for text in axes.texts)
    assert len(said) >= 6
    assert [name for _, name in said] == sorted(name for _, name in said)


def test_the_page_holds_every_run_and_no_address(genexp: Callable[..., Any], runs: list[Path]) -> None:
    pictures = [
        folder(
            runs[0].parent / name,
            name,
            ["dequantised", "estimate", "reversible"],
            {**NOISE, "cpu_seconds_train": 2.0},
            "digits",
            (1, 8, 8),
        )
        for name in ("glow", "</script><b>")
    ]
    code, out, err = genexp("landscape", *map(str, [*runs, *pictures]), "--out", "page.html")
    assert code == 0, err
    assert "8 runs" in out
    page = Path("page.html").read_text()
    assert in_markdown([], None).strip() == ""
    assert "| – glow | ≤ 2.79" in Path("page.md").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<b>" not in page.replace("&lt;b&gt;", "").replace("<b>A", "")
    (policy,) = re.findall(r"script-src 'sha256-([^']+)'", html.unescape(page))
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)[-1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == policy
    charts = json.loads(re.search(r'id="landscape-charts">(.*?)</script>', page, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert [(chart["title"], len(chart["points"]), chart["log"]) for chart in charts] == [
        ("two_moons", 4, True),
        ("rings", 2, True),
        ("digits", 2, False),
    ]
    told = json.loads(re.search(r'id="landscape-runs">(.*?)</script>', page, re.DOTALL).group(1))  # type: ignore[union-attr]
    assert [run["likelihood"] for run in told] == ["exact"] * 6 + ["bound"] * 2
    assert told[1]["command"] == "genexp run model=maf seed=1"
    assert all(run["picture"].startswith("data:image/png") for run in told)
    for name in ("frontier_two_moons.png", "frontier_digits.png", "gallery.png"):
        assert Path(name).stat().st_size > 0


def test_runs_of_an_earlier_version_are_built_again(runs: list[Path]) -> None:
    path = runs[3] / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": None}))
    assert entry(runs[3]).family is MIXTURES
    path = runs[0] / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model": None}))
    config = yaml.safe_load((runs[0] / "config.yaml").read_text())
    (runs[0] / "config.yaml").write_text(
        yaml.safe_dump({**config, "model": {"name": "maf", "wings": 2}})
    )  # nobody has such today
    assert entry(runs[0]).family is OTHER
    assert read_entries(runs)[0].family is FLOWS  # as another run of the same model says


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        (["landscape", "--seconds", "3"], "--seconds says nothing without --run"),
        (["landscape", "--run", "--seconds", "0"], "0 is no list of seconds"),
        (["landscape", "--run", "--data", "two_moon", "--plan"], "did you mean 'two_moons'"),
        (["landscape", "--run", "--only", "glov", "--plan"], "did you mean 'glow'"),
        (["landscape", "--run", "--data", "two_moons", "--only", "glow", "--plan"], "glow does not learn two_moons"),
        (["landscape", "seed=1"], "seed=1 says nothing without --run"),
        (["landscape", "--run", "--only", "normal", "evaluation.num_point=9", "--plan"], "did you mean 'evaluation.num_points'"),
        (["landscape", "--run", "--plan", "seed=1"], "seed=1: the runs are planned by --seeds"),
        (["landscape", "nowhere"], "no run 'nowhere' here"),
    ],
)
def test_mistakes(genexp: Callable[..., Any], typed: list[str], error: str) -> None:
    code, _, err = genexp(*typed)
    assert code == 2
    assert error in err


def test_a_single_run_is_no_landscape(genexp: Callable[..., Any], runs: list[Path]) -> None:
    code, _, err = genexp("landscape", str(runs[0]))
    assert code == 2
    assert "no two finished runs" in err


def test_pictures_become_points_where_only_so_they_can_be_compared() -> None:
    assert by_the_recipe("vae", "digits") == ("dataset.flat=true", "model/likelihood=gaussian")
    assert by_the_recipe("normal", "digits") == ("dataset.flat=true",)
    assert by_the_recipe("made", "digits") == ()
    assert by_the_recipe("planar", "two_moons") == ("trainer.lr=2e-2",)  # 80 weights
    assert by_the_recipe("maf", "two_moons") == ()
    assert by_the_recipe("chains", "two_moons") is None  # they learn no examples


def test_an_experiment_on_another_density_of_the_name_is_planned_only_by_its_own_name(tmp_path: Path) -> None:
    labels = [label for label, _ in planning.recipes("funnel", ["iaf"])]
    assert labels == ["iaf"]  # and not funnel_flow, of ten dimensions
    assert [label for label, _ in planning.recipes("funnel", ["funnel_flow"])] == ["funnel_flow"]
    assert "gmm_em" in [label for label, _ in planning.recipes("double_gaussian", ["gmm"])]


def test_the_plan_goes_seed_after_seed_and_no_run_is_done_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "experiment_on", lambda name, dataset: None)
    wanted = plan(tmp_path / "f", ["two_moons"], [3.0, 1.0], [0, 1], ["normal", "linear_flow"], TINY)
    names = ["linear_flow_1s_seed0", "normal_1s_seed0", "linear_flow_3s_seed0", "normal_3s_seed0", "linear_flow_1s_seed1"]
    assert [one.path.name for one in wanted][:5] == names
    assert "trainer.max_seconds=3" in wanted[2].overrides
    done = []

    def run(composed: Any, path: str) -> None:
        done.append(path)
        if "linear" in path:
            raise UserError("no")
        Path(path).mkdir(parents=True)
        (Path(path) / "run.json").write_text('{"status": "finished"}')

    monkeypatch.setattr("genexp.runs.experiment.run", run)
    with alone_in(tmp_path / "f"):
        assert {*carry_out(wanted[:4])} == {"two_moons/linear_flow_1s_seed0", "two_moons/linear_flow_3s_seed0"}
        assert len(done) == 4
        carry_out(wanted[:4])
        assert len(done) == 6  # what failed alone
        with pytest.raises(UserError, match="another process"), alone_in(tmp_path / "f"):
            pass

    def stop(composed: Any, path: str) -> None:
        raise Interrupted(2)

    monkeypatch.setattr("genexp.runs.experiment.run", stop)
    with pytest.raises(Interrupted):
        carry_out(wanted[:1])


def test_settings_on_the_line_are_those_of_every_run(genexp: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Wanted] = []
    monkeypatch.setattr("genexp.landscape.carry_out.carry_out", lambda wanted, at_once: made.extend(wanted) or {})
    genexp("landscape", "--run", "--data", "two_moons", "--only", "normal,maf", "model.depth=3", "evaluation.num_points=64")
    assert len(made) == 2  # that a Gaussian has no depth is said when its turn comes
    assert all({"model.depth=3", "evaluation.num_points=64"} <= {*one.overrides} for one in made)


def test_a_run_of_the_plan_is_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "experiment_on", lambda name, dataset: None)
    (wanted,) = plan(tmp_path, ["two_moons"], [1.0], [0], ["normal"], TINY)
    assert doing.carry_out([wanted]) == {}
    assert isinstance(wanted, Wanted)
    found = entry(wanted.path)
    assert (found.family, found.likelihood, found.on_cpu) == (MIXTURES, "exact", True)
    assert found.number is not None
    assert found.number.value > 2


def test_a_field_without_a_floor_is_drawn_as_it_is(tmp_path: Path) -> None:
    paths = [folder(tmp_path / name, name, FLOW, {"nll": 3.0, "seconds_train": 1.0}) for name in "ab"]
    (field,) = fields_of(read_entries(paths))
    assert isinstance(field, Field)
    assert (field.floor, field.is_logarithmic, [field.height(each) for each in field.points]) == (None, False, [3.0, 3.0])


def test_no_file_of_the_users_and_no_page_of_another_kind_is_replaced(genexp: Callable[..., Any], runs: list[Path]) -> None:
    notes, words = runs[0].parent / "l.md", ["landscape", *map(str, runs), "--out"]
    for theirs in (notes, notes.with_name("frontier_two_moons.png")):  # without a page, and beside one
        theirs.write_text("mine")
        code, _, err = genexp(*words, str(notes.with_suffix(".html")))
        assert (code, theirs.read_text()) == (2, "mine")
        assert f"{theirs.name} exists and was not made by genexp landscape" in err
        theirs.unlink()
        assert genexp(*words, str(notes.with_suffix(".html")))[0] == 0  # in the end over its own
    code, _, err = genexp("report", str(runs[0]), "--out", str(notes.with_suffix(".html")))
    assert code == 2
    assert "exists and is not a report of genexp's" in err


def test_results_have_their_command_seeds_and_machine(genexp: Callable[..., Any], runs: list[Path]) -> None:
    code, out, err = genexp("compare", *map(str, runs[:3]), "--results", "--columns", "nll,seconds_density")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[2] == "| `model=maf` | 11 s of CPU | nll | 2.50 ± 0.14 | floor 2 |"
    assert lines[3] == "|  |  | seconds_density | 0.1 |  |"
    assert lines[4].startswith("| `model=maf seed=0` | 1 s of CPU | nll | 3 |")
    assert "seeds 0, 1, mean ± standard deviation; Linux x86_64, 2 CPUs, 1 thread, cpu." in out
    assert "seed 0; Linux x86_64" in out
    without = genexp("compare", *map(str, runs[:3]), "--results", "--columns", "nll,seconds_density", "--drop", "nll")[1]
    assert without.splitlines()[2] == "| `model=maf` | 11 s of CPU | seconds_density | 0.1 |  |"
    assert "| nll |" not in genexp("compare", *map(str, runs[:3]), "--results", "--drop", "nll")[1]
