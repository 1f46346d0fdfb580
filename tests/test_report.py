"""The page of `genexp report`, opened in a real browser; and that a stranger's run folder can do nothing through it."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.config.composition import compose
from genexp.data.base import DataSpec
from genexp.report import cube, explorer, flow, render
from genexp.report.charts import Chart, Floor, Line, apart
from genexp.report.folder import Folder
from genexp.report.gather import Curve, Run, gather
from genexp.report.live import bring_to_life
from genexp.report.packing import quantised, unpacked
from genexp.report.render import report
from genexp.report.side_by_side import charts
from genexp.runs.experiment import run
from genexp.runs.trained import open_run
from genexp.summary import BESIDE
from tests import browser
from tests.conftest import TINY, made_once, roughen, small_parts
from tests.parts import make

SMALL = ["model.field.width=32", "trainer.eval_every=10"]
BRIEF = [*TINY, "figures.manifold_side=3", "evaluation.num_samples=300"]


KINDS = {
    "qr": ["trainer.max_steps=30", *SMALL],
    "other": ["trainer.max_steps=20", *SMALL, "model.field.width=16", "seed=1", "figures.enabled=false"],
    "glyphs": ["experiment=glyphs_vae", *small_parts("glyphs_vae"), "trainer.max_steps=20", "trainer.eval_every=5"],
    "layers": ["experiment=double_gaussian", "model.conditioner.width=8", "figures.enabled=false"],
    "cube": ["experiment=randu", *small_parts("randu"), "figures.enabled=false"],
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind that the page brings to life: a flow of points, layers of points, a latent plane, a cube."""

    def train(root: Path) -> None:
        roughen(patch)
        for name, words in KINDS.items():
            run(compose([*BRIEF, *words]), str(root / name))

    with pytest.MonkeyPatch.context() as patch:
        root = made_once(tmp_path_factory, "runs_to_report", train)
    return {name: root / name for name in KINDS}


@pytest.fixture(scope="session")
def pages(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each run, and `both`: two side by side."""
    chosen = {name: [path] for name, path in runs.items()} | {"both": [runs["qr"], runs["other"]]}

    def write(root: Path) -> None:
        for name, paths in chosen.items():
            (root / f"{name}.html").write_text(report(paths), encoding="utf-8")

    root = made_once(tmp_path_factory, "pages", write)
    return {name: root / f"{name}.html" for name in chosen}


# --- opened ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qr", "glyphs", "layers", "cube", "both"])
def test_the_page_is_whole(chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path], name: str) -> None:
    """No broken picture, no error, nothing asked for outside, every number and figure of the run there."""
    with chromium.open(pages[name]) as page:
        assert page.broken_images() == []
        text = page("document.body.innerText")
        shown = runs[{"both": "qr"}.get(name, name)]
        metrics = json.loads((shown / "metrics.json").read_text())
        for metric in metrics:
            kind, _, of = metric.partition("/")
            assert (of if kind in BESIDE and of in metrics else metric) in text
        assert page("document.querySelectorAll('.numbers .value').length") >= len([key for key in metrics if "/" not in key])
        for figure in (shown / "figures").glob("*.png"):
            assert page(f"document.querySelectorAll('#figures img[alt=\"{figure.stem}\"]').length") == 1
        measured = (shown / "history.jsonl").read_text().splitlines()
        assert page("document.querySelectorAll('.chart svg path').length") > 0 or len(measured) == 1  # nothing was trained
        assert page.errors == []
        assert page.requests == []


def test_numbers_stand_beside_their_floors(chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path]) -> None:
    metrics = json.loads((runs["qr"] / "metrics.json").read_text())
    with chromium.open(pages["qr"]) as page:
        row = page("[...document.querySelectorAll('.numbers tr')].find(row => row.innerText.startsWith('nll')).innerText")
        assert f"{metrics['nll']:.4g}" in row
        assert f"floor {metrics['floor/nll']:.4g}" in row


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["qr", "glyphs", "both"])
def test_it_fits_a_phone_in_light_and_dark(chromium: browser.Browser, pages: dict[str, Path], name: str, dark: bool) -> None:
    with chromium.open(pages[name], width=360, height=740, dark=dark) as page:
        assert page("document.documentElement.scrollWidth") == 360
        paper, ink = page("['backgroundColor', 'color'].map(key => getComputedStyle(document.documentElement)[key])")
        light, dark_ = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in (paper, ink))
        assert (light > dark_) != dark
        page.page.click("#theme")
        assert page("getComputedStyle(document.documentElement).backgroundColor") != paper
        assert page.errors == []


def test_the_explorer_decodes_under_the_pointer(chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path]) -> None:
    """Moving the pointer, a key, a click on `walk` changes the picture; the page decodes as the checkpoint does."""
    model = open_run(runs["glyphs"]).model
    places = np.random.default_rng(0).normal(size=(20, 2)) * 1.5
    with torch.no_grad():
        own = model.decode(torch.as_tensor(places, dtype=torch.float32)).flatten(1).numpy()
    with chromium.open(pages["glyphs"]) as page:
        decoded = page("places => places.map(z => [...genexp.explorers['explorer-0'].decode(z)])", places.tolist())
        assert np.abs(np.array(decoded) - own).max() < 2e-3
        picture = "document.querySelector('.picture').getContext('2d').getImageData(0, 0, 28, 28).data.join()"
        seen = {page(picture)}
        page.page.locator(".plane").scroll_into_view_if_needed()
        box = page.page.locator(".plane").bounding_box()
        page.page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 0.3 * box["height"])
        seen.add(page(picture))
        z = page("genexp.explorers['explorer-0'].state().z")
        extent = page("genexp.data('explorer-0').extent")
        assert z == pytest.approx([-0.5 * extent, 0.4 * extent], abs=0.02 * extent)
        shown = np.array(page(picture).split(","), dtype=float).reshape(-1, 4)[:, 0] / 255
        with torch.no_grad():
            assert np.abs(shown - model.decode(torch.tensor([z])).flatten().numpy()).max() < 6e-3  # bytes
        page.page.focus(".plane")
        page.page.keyboard.press("Shift+ArrowRight")
        seen.add(page(picture))
        assert len(seen) == 3
        page.page.click("button.pictures")
        page.until("document.querySelector('button.pictures').getAttribute('aria-pressed') === 'true'")
        assert page("document.querySelectorAll('.legend li').length") > 1
        assert page.errors == []


def test_the_flow_has_a_slider_through_time(chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path]) -> None:
    """The canvas changes with the slider; at both ends stand the model's own points; it plays and pauses."""
    canvas = "document.querySelector('.flow canvas').toDataURL()"
    with chromium.open(pages["qr"]) as page:
        slider = page.page.locator(".flow input[type=range]")
        state = "genexp.flows['flow-0'].state()"
        last = page("genexp.data('flow-0').moments.length") - 1
        assert page(state) == {"position": last, "playing": False}  # this reader wants no motion
        slider.fill("0")
        before = page(canvas)
        slider.fill(str(last))
        assert page(canvas) != before
        assert "1.000" in page("document.querySelector('.flow output').value")
        packed = bring_to_life(gather(runs["qr"])).flow
        assert packed is not None
        path = unpacked(packed.data["points"], "i2").reshape(-1, 2 * flow.POINTS) * packed.data["unit"]
        assert np.abs(np.array(page("Object.values(genexp.flows['flow-0'].at(1e9))")) - path[-1]).max() < 1e-3
        page.page.click(".flow .play")
        page.until(f"{state}.playing && {state}.position > 0 && {state}.position < {last}")
        page.page.click(".flow .play")
        assert not page(f"{state}.playing")
        assert page.errors == []


def test_the_cube_turns_under_the_pointer_until_its_planes_appear(
    chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path]
) -> None:
    """Rows of the view stay at right angles; near points follow the pointer; along the planes the points are at whole numbers."""
    live = bring_to_life(gather(runs["cube"])).cube
    assert live is not None
    points = unpacked(live.data["points"], "u2").reshape(-1, 3) / live.data["side"]
    assert len(points) == cube.POINTS
    assert live.planes == 15
    with chromium.open(pages["cube"]) as page:
        picture = "document.querySelector('.turns').toDataURL()"
        seen, before = page(picture), np.array(page("genexp.cubes['cube-0'].state()"))
        page.page.locator(".turns").scroll_into_view_if_needed()
        box = page.page.locator(".turns").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.page.mouse.move(x, y)
        page.page.mouse.down()
        page.page.mouse.move(x + 40, y + 20, steps=4)
        page.page.mouse.up()
        page.page.mouse.move(x - 100, y)
        after = np.array(page("genexp.cubes['cube-0'].state()"))
        assert np.allclose(after @ after.T, np.eye(3), atol=1e-6)
        assert np.linalg.det(after) == pytest.approx(1)
        moved = after @ before[2]  # where what was nearest to the eye is now
        assert moved[0] > 0
        assert moved[1] < 0
        assert page(picture) != seen
        page.page.click(".along")
        view = np.array(page("genexp.cubes['cube-0'].state()"))
        place = points @ view[0] * np.sqrt(9**2 + 6**2 + 1**2)  # x₃ = 6 x₂ − 9 x₁ but for a whole number
        assert np.abs(place - place.round()).max() < 0.01
        assert len(np.unique(place.round())) == 15
        page.page.keyboard.press("Tab")
        page.page.locator(".turns").focus()
        page.page.keyboard.press("ArrowLeft")
        assert not np.allclose(view, page("genexp.cubes['cube-0'].state()"))
        assert page.errors == []


def test_films_play_and_pause(chromium: browser.Browser, pages: dict[str, Path], runs: dict[str, Path]) -> None:
    """They start by themselves only for who wants motion."""
    state = "genexp.films['film-0-0'].state()"
    ready = "genexp.films['film-0-0']"
    with chromium.open(pages["qr"]) as page:
        page.until(ready)
        page.page.locator("[data-film]").scroll_into_view_if_needed()
        assert not page(f"{state}.playing")
        with Image.open(runs["qr"] / "figures" / "flow.gif") as film:
            frames = film.n_frames  # type: ignore[attr-defined]
        assert page("genexp.films['film-0-0'].pictures.length") == frames
        page.page.locator("[data-film] input").fill("1")
        assert page("document.querySelector('[data-film] output').value") == f"2 / {frames}"
    with chromium.open(pages["qr"], still=False) as page:
        page.until(ready)
        page.page.locator("[data-film]").scroll_into_view_if_needed()
        page.until(f"{state}.playing")
        page.page.click("[data-film] .play")
        assert not page(f"{state}.playing")
        assert page.errors == []


def test_curves_zoom_and_tell_values(chromium: browser.Browser, pages: dict[str, Path]) -> None:
    with chromium.open(pages["qr"]) as page:
        svg = page.page.locator(".chart svg").first
        svg.scroll_into_view_if_needed()
        box = svg.bounding_box()
        path = "document.querySelector('.chart path').getAttribute('d')"
        whole = page(path)
        page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60)
        assert "step" in page("document.querySelector('.tip').innerText")
        page.page.mouse.down()
        page.page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60)
        page.page.mouse.up()
        zoomed = page(path)
        assert zoomed != whole
        svg.dblclick()
        assert page(path) == whole
        page.page.locator(".chart .log").first.click()
        assert page(path) != whole
        assert page.errors == []


def test_without_scripts_the_page_can_be_read(chromium: browser.Browser, pages: dict[str, Path]) -> None:
    with chromium.open(pages["qr"], script=False) as page:
        assert page.page.locator(".chart svg path").count() > 0
        assert page.page.locator(".chart svg").first.is_visible()
        assert page.page.locator("[data-film] img").first.is_visible()
        assert not page.page.locator(".play").first.is_visible()
        assert page.page.locator(".numbers .value").first.is_visible()


# --- as it is written -----------------------------------------------------------------------------------------


def test_the_packed_decoder_agrees_with_the_checkpoint(runs: dict[str, Path]) -> None:
    """The numpy twin of the page's script, at other points than those that `agreement` was measured at."""
    live = bring_to_life(gather(runs["glyphs"]))
    assert live.explorer is not None
    assert live.explorer.agreement < 2e-3
    z = np.random.default_rng(1).normal(size=(50, 2)) * 2
    with torch.no_grad():
        own = open_run(runs["glyphs"]).model.decode(torch.as_tensor(z, dtype=torch.float32)).numpy()
    assert np.abs(explorer.decode(live.explorer.data, z) - own).max() < 2e-3
    assert live.explorer.data["labels"]


@pytest.mark.parametrize("activation", ["relu", "silu", "gelu", "tanh"])
def test_every_kind_of_decoder_is_packed(
    activation: str, tmp_path: Path, chromium: browser.Browser, pages: dict[str, Path]
) -> None:
    """Conditional, in colour, with and without waves and residual layers, by any activation: script, numpy and torch agree."""
    torch.manual_seed(0)
    spec = DataSpec((3, 5, 4), ("a", "b", "c"))
    waves = 0 if activation == "relu" else 8
    network = {"name": "mlp", "decoder_widths": (16, 12, 12), "activation": activation, "frequencies": waves}
    network["residual"] = activation in ("silu", "gelu")
    model = make("vae", spec, network=network, conditional=True, likelihood="gaussian")
    packed = explorer.pack(model.eval(), spec.classes, Folder(tmp_path))
    assert packed.agreement < 2e-3
    z, label = torch.tensor([[0.3, -1.2]] * 3), torch.arange(3)
    with torch.no_grad():
        own = model.decode(z, label).clamp(0, 1).flatten(1).numpy()
    assert len(np.unique(own.round(4), axis=0)) == 3  # the class matters
    with chromium.open(pages["glyphs"]) as page:
        script = "data => [0, 1, 2].map(label => [...genexp.decoder(data)([0.3, -1.2], label)])"
        assert np.abs(np.array(page(script, packed.data)) - own).max() < 2e-3


def test_a_page_side_by_side_says_what_differs(pages: dict[str, Path]) -> None:
    text = pages["both"].read_text()
    differing = text[text.index("What differs between these runs") :].split("</table>")[0]
    assert "model.field.width" in differing
    assert "seed" in differing
    assert "model.solver" not in differing


def test_a_plane_holds_the_codes_of_a_plain_autoencoder(tmp_path: Path) -> None:
    """They lie anywhere: nothing draws them to N(0, I). Coordinates of half precision come back as they were."""
    z = (20 * np.random.default_rng(0).normal(size=(3000, 2))).astype(np.float16)
    (tmp_path / "samples").mkdir()
    np.savez(tmp_path / "samples" / "samples.npz", latent=z, latent_label=np.zeros(3000, int))
    found = explorer.latent_points(Folder(tmp_path))
    assert (np.abs(z).max(1) > found["extent"]).mean() < 0.01
    for points in (z, *(z * np.float16(0.01 * n) for n in range(1, 20))):
        text, unit = quantised(points)
        assert np.abs(unpacked(text, "i2").reshape(-1, 2) * unit - points).max() <= 0.51 * unit


def test_the_layers_that_are_counted_are_the_models(pages: dict[str, Path]) -> None:
    assert "after each of 3 layers" in pages["layers"].read_text()


def test_marks_of_an_axis_have_as_many_digits_as_tell_them_apart() -> None:
    assert apart([0.68291, 0.68292, 0.68293]) == ["0.68291", "0.68292", "0.68293"]
    assert apart([0.1, 0.2, 0.30000000000000004]) == ["0.1", "0.2", "0.3"]
    assert apart([1000.0]) == ["1e+03"]
    assert apart([2.0, 2.0]) == ["2", "2"]


def test_the_limits_of_an_axis_are_looked_for_once() -> None:
    """And not with every point that is drawn: twelve runs of 600 points took minutes."""

    class Values(list[float]):
        read = 0

        def __iter__(self) -> Iterator[float]:
            self.read += 1
            return super().__iter__()

    values = Values(range(1, 101))
    line = Line(0, "training", Curve([float(step) for step in range(100)], [0.0] * 100, values))
    chart = Chart("loss", "loss", [line], [])
    assert chart.path(line).count("L") == 99
    assert values.read < 5


def test_each_run_has_its_own_floor(runs: dict[str, Path], tmp_path: Path, chromium: browser.Browser) -> None:
    """In its colour where they differ; one for all where they are the same; none for a run that knows of none."""
    folder = tmp_path / "harder"
    shutil.copytree(runs["other"], folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    metrics["floor/heldout_loss"] += 0.5
    (folder / "metrics.json").write_text(json.dumps(metrics))
    one, two = gather(runs["other"]), gather(folder)
    low = one.floors["heldout/loss"]

    def floors(*runs: Run) -> list[Floor]:
        return next(chart.floors for chart in charts(runs) if chart.name == "heldout/loss")

    assert floors(one, two) == [Floor(low, 0), Floor(low + 0.5, 1)]
    assert floors(one, one) == floors(one) == [Floor(low)]
    assert floors(one, replace(two, floors={})) == [Floor(low, 0)]

    (tmp_path / "two.html").write_text(report([runs["other"], folder]), encoding="utf-8")
    with chromium.open(tmp_path / "two.html") as page:
        lines = page("[...document.querySelectorAll('.chart svg .floor')].map(line => getComputedStyle(line).stroke)")
        colours = [page(f"getComputedStyle(document.querySelector('.chart path.run-{run}')).stroke") for run in (0, 1)]
        assert set(colours) < set(lines)  # another curve has one floor for all
        assert page.errors == []


def test_of_many_runs_only_the_first_bring_pictures_and_models(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so; their numbers are all there."""
    monkeypatch.setattr(render, "MOST_LIVE", 0)
    monkeypatch.setattr(render, "MOST_PICTURED", 1)
    text = report([runs["layers"], runs["qr"]])
    assert "without models and animations" in text
    assert "without figures" in text
    assert "data-flow=" not in text.split("<script>")[0]
    assert "excess_loss" in text


def test_a_run_without_a_usable_checkpoint_still_has_a_page(runs: dict[str, Path], tmp_path: Path) -> None:
    copy = Path(shutil.copytree(runs["qr"], tmp_path / "copy"))
    (copy / "checkpoints" / "best.pt").write_bytes(b"no checkpoint")
    assert "best.pt is damaged" in report([copy])
    (copy / "checkpoints" / "best.pt").unlink()
    page = report([copy])
    assert "checkpoints/best.pt is missing" in page
    assert "data-flow" not in page.split("<script>")[0]


@pytest.mark.parametrize(("status", "told", "steps"), [("running", 0, "50"), ("interrupted", 57, "57"), ("failed", "many", "50")])
def test_of_a_run_that_has_not_finished_the_history_says_how_far_it_is(
    tmp_path: Path, status: str, told: int | str, steps: str
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"status": status, "steps": told}))
    (tmp_path / "history.jsonl").write_text('{"step": 40, "loss": 2.0}\n{"step": 50, "loss": 1.0}\n{"st')
    assert gather(tmp_path).record["steps"] == steps


def test_a_strangers_folder_cannot_speak_to_the_browser(runs: dict[str, Path], tmp_path: Path, chromium: browser.Browser) -> None:
    """Markup in ids, keys, values and file names is text; links are not followed; what is no picture is not embedded."""
    bad = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    folder = Path(shutil.copytree(runs["glyphs"], tmp_path / "a <b> & <img src=x onerror=alert(3)>"))
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").write_text(json.dumps({**metrics, bad: bad, f"floor/{bad}": bad, "huge": "x" * 10**6}))
    record = json.loads((folder / "run.json").read_text())
    record["data"]["classes"] = [bad] * 10
    (folder / "run.json").write_text(json.dumps({**record, bad: bad, "experiment": bad}))
    with (folder / "history.jsonl").open("a") as file:
        file.write(
            json.dumps({"step": 1, "seconds": 1.0, bad: 1.0}) + "\n" + json.dumps({"step": 2, bad: 2.0}) + "\nnot json\n[]\n"
        )
    secret = tmp_path / "secret.png"
    Image.new("RGB", (8, 8), "red").save(secret)
    (folder / "figures" / "link.png").symlink_to(secret)
    (folder / "figures" / "page.png").write_text("<svg onload=alert(4)>")
    (folder / "figures" / "cut.gif").write_bytes((folder / "figures" / "training.gif").read_bytes()[:200])
    page_file = tmp_path / "page.html"
    text = report([folder])
    page_file.write_text(text, encoding="utf-8")
    assert bad not in text
    assert "x" * 1000 not in text
    assert "links are not followed" in text
    assert "page.png: left out" in text
    assert "cut.gif: left out" in text
    with chromium.open(page_file) as page:
        page.page.on("dialog", lambda dialog: page.errors.append("a script ran"))
        assert page.broken_images() == []
        assert page("document.querySelectorAll('#figures img[alt=link]').length") == 0
        assert page("document.scripts.length") == text.count("<script")
        assert page("document.body.innerText.includes('<img src=x onerror=alert(2)>')")
        assert page.errors == []
        assert page.requests == []


# --- the command ----------------------------------------------------------------------------------------------


def test_the_command_writes_a_page_and_never_over_something_else(genexp, runs: dict[str, Path], tmp_path: Path) -> None:
    code, out, _ = genexp("report", str(runs["layers"]))
    assert code == 0
    assert "report.html" in out
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    assert genexp("report", str(runs["other"]))[0] == 0  # over a report it may, also of another run: that can be written again
    (tmp_path / "mine.html").write_text("my thesis")
    code, _, err = genexp("report", str(runs["layers"]), "--out", "mine.html")
    assert code == 2
    assert "is not a report" in err
    assert (tmp_path / "mine.html").read_text() == "my thesis"
    assert genexp("report", str(runs["layers"]), "--out", "nowhere/page.html")[0] == 2
    code, _, err = genexp("report", str(runs["layers"]), "--out", "page.pdf")
    assert (code, err.splitlines()) == (2, ["error: --out page.pdf: the page is HTML", "hint: it ends in .html: --out page.html"])
    assert genexp("report", "nothing")[0] == 2
