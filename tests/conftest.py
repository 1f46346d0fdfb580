"""Fixtures that many tests share."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genexp.config.composition import compose
from genexp.data.cells import UniformCells
from genexp.data.drawn_fruit import draw_fruit
from genexp.data.fruit import CLASSES
from genexp.data.glyphs import draw_glyphs
from genexp.failures.base import failures
from genexp.figures.style import OurFigure
from genexp.measures import barcode, cost, guidance, quadrature
from genexp.measures.on_trial import tried
from genexp.measures.record import films, measures, pictures, terms
from genexp.measures.suggestion import rules
from genexp.models import diffusion, flow_matching
from genexp.registry import datasets, kinds, models
from tests import browser
from tests.forking import Forks

OURS = ("genexp.", "tests.")  # modules whose members stay
TINY = [
    "trainer.max_steps=2",
    "trainer.batch_size=32",
    "trainer.eval_size=64",
    "trainer.log_every=1",
    "evaluation.num_samples=400",
    "evaluation.batch_size=512",
    "evaluation.num_points=128",
    "evaluation.ode_points=16",
    "evaluation.importance_samples=4",
    "evaluation.quadrature_side=8",
    "evaluation.classifier_steps=2",
    "figures.log_density_side=4",
    "figures.manifold_side=3",
    "figures.gif_points=50",
    "figures.gif_frames=3",
]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` has filled: by the first process of this test run that asks for it; another one waits for that."""
    base = factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, whole = base / name, base / f"{name}.whole"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not whole.exists():
            shutil.rmtree(folder, ignore_errors=True)  # begun by one that failed
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small data sets in the formats of the real ones."""
    return made_once(tmp_path_factory, "data", draw_data)


def draw_data(root: Path) -> None:
    """MNIST, its zeros and ones, Fashion-MNIST, fruit and a table, all drawn."""
    rows = np.random.default_rng(0).normal([1.0, -200.0, 3e4], [0.01, 30.0, 500.0], (300, 3))
    np.savetxt(root / "table.csv", rows, delimiter=",", header="a,b,c", comments="")
    for name, seed in (("MNIST", 0), ("FashionMNIST", 1)):
        glyphs = draw_glyphs(300, 28, 1.0, (seed,))
        for part, repeats in (("train", 18), ("t10k", 1)):
            write_idx(root / name / "raw" / f"{part}-images-idx3-ubyte", glyphs.x[:, 0].repeat(repeats, 1, 1).numpy())
            write_idx(root / name / "raw" / f"{part}-labels-idx1-ubyte", glyphs.label.repeat(repeats).numpy().astype(np.uint8))
    (root / "binary_mnist").mkdir()
    for part in ("train", "valid", "test"):
        np.savetxt(root / "binary_mnist" / f"binarized_mnist_{part}.amat", glyphs.x.flatten(1)[:40] > 127, fmt="%d")
    for part, count in (("train", 60), ("test", 6)):
        fruit = draw_fruit(count, 100, (count,))
        for index, (x, label) in enumerate(zip(fruit.x, fruit.label.tolist(), strict=True)):
            path = root / "fruit" / part / CLASSES[label] / f"Fruit_{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(x.permute(1, 2, 0).numpy()).save(path)


@pytest.fixture(autouse=True)
def _plugins_are_of_one_test() -> Iterator[None]:
    """What a plugin has registered is forgotten after the test that has read it."""
    yield
    for collection in (measures, pictures, films, terms, rules):
        collection._records[:] = [each for each in collection._records if each.function.__module__.startswith(OURS)]
    tried[:] = [each for each in tried if each.function.__module__.startswith(OURS)]
    for registry in (datasets, models, failures, *kinds.values()):
        for name in [name for name, builder in registry._builders.items() if not builder.__module__.startswith(OURS)]:
            del registry._builders[name]


@pytest.fixture(autouse=True)
def _small_data(monkeypatch: pytest.MonkeyPatch, data_folder: Path) -> None:
    monkeypatch.setenv("GENEXP_DATA", str(data_folder))


def write_idx(path: Path, array: np.ndarray) -> None:
    """An array of bytes as an IDX file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = (0x0800 + array.ndim).to_bytes(4, "big") + b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def small_parts(experiment: str) -> list[str]:
    """Overrides that make the data and the network of one experiment small."""
    settings = compose([f"experiment={experiment}"]).settings
    words = []
    if settings.dataset["name"] in ("glyphs", "drawn_fruit", "sprites"):
        words += ["dataset.count=120", "dataset.validation=30", "dataset.test=30"]
    if settings.model.get("network", {}).get("name") == "conv":
        words += ["evaluation.num_samples=64", "evaluation.batch_size=64"]  # so many are drawn at once
    if settings.model.get("network", {}).get("name") == "principal":
        words += ["model.network.components=12", "model.latent=4"]
    if settings.model.get("network", {}).get("name") == "warped":
        words += ["model.network.components=12", "model.network.degree=1", "model.latent=10", "model.posterior.steps=2"]
    if settings.model.get("network", {}).get("name") == "exemplars":
        words += ["model.network.count=40", "model.posterior.training_steps=2", "model.posterior.steps=2"]
    if "couplings" in settings.model:
        words += ["model.width=6", "model.couplings=[1,1]", "evaluation.num_samples=40", "evaluation.num_points=40"]
    if "dequantisation" in settings.model:
        words += ["evaluation.num_points=40"]
    if settings.model.get("space", {}).get("name") == "principal":
        words += ["model.space.components=12", "model.field.width=16"]
    if "burn_in" in settings.model:
        words += ["model.burn_in=0", "model.chains=6"]
    if settings.dataset["name"] == "text":
        words += ["dataset.length=24", "evaluation.num_points=64", "model.depth=1"]
    if settings.model["name"] in ("made", "causal_transformer", "pixelcnn", "pixel_flow", "patch_flow"):
        words += [f"model.{key}=16" for key in ("width", "channels") if key in settings.model]
        words += ["evaluation.num_samples=40", "evaluation.batch_size=40"]  # one number after another
    if settings.model["name"] == "gtm":
        words += ["model.decoder_widths=[32]", "model.side=8", "model.inference_side=16"]
    for asked in ("amortization_images", "gradient_images"):
        if getattr(settings.evaluation, asked):
            words.append(f"evaluation.{asked}=2")
    if "temperatures" in settings.model:
        words += ["model.points=200", "model.temperatures=8"]
    if "annealing" in settings.model:
        words += ["model.annealing=2", "model.settling=1", "model.leaps=1"]
    if "repetitions" in settings.model:
        words += ["model.repetitions=2", "model.failing=1", "model.samples=20", "model.rungs=1", "model.examples=200"]
    if "repeats" in settings.model:
        words += ["model.repeats=2", "model.dimensions=[1,3]", "model.sizes=[16,32]"]
    if "tested" in settings.model:
        words += ["model.tested=2000"]
    return words


RUNS = {
    "qr": ["experiment=qr_flowmatch"],
    "gaussian": ["experiment=double_gaussian", "evaluation.batch_size=512"],  # integrals in parts of 64 take seconds
    "glyphs": ["experiment=glyphs_vae", "dataset.count=200", "dataset.validation=40", "dataset.test=40"],
    "fruit": [
        *[
            "experiment=drawn_fruit_vae_iaf",
            "model.conditional=true",
            "model.network.components=8",
            "model.latent=3",
            "dataset.size=16",
        ],
        *["dataset.count=60", "dataset.validation=10", "dataset.test=12"],
    ],
    "codes": ["dataset=digits", "model=vq_vae", "model.width=4", "model.codes=6"],
    "gtm": ["experiment=mnist_gtm", "dataset=glyphs", "dataset.count=200", "dataset.validation=40", "dataset.test=40"],
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, data_folder: Path) -> Path:
    """A folder with one small trained run of each family. Nobody changes anything in it: copy what is to be changed."""
    from genexp.cli import main

    small = [*TINY, f"data_dir={data_folder}", "figures.enabled=false", "evaluation.batch_size=64"]

    def train(root: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            roughen(patch)
            for name, words in RUNS.items():
                assert main(["run", f"run_dir={root / name}", *small, *words]) == 0

    return made_once(tmp_path_factory, "runs", train)


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Commands in processes of their own, each started in no time."""
    with Forks() as forks:
        yield forks


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Browser]:
    """A real browser; who asks for it is skipped where there is none."""
    yield from browser.start(tmp_path_factory.mktemp("browser"))


def roughen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make what a run measures rough: what is asked of whole runs is not whether an integral is right."""
    monkeypatch.setattr(flow_matching, "LIKELIHOOD_STEPS", 8)
    monkeypatch.setattr(diffusion, "LIKELIHOOD_STEPS", 2)
    monkeypatch.setattr(guidance, "STEPS", 2)
    monkeypatch.setattr(quadrature, "GRID_SIDE", 96)
    monkeypatch.setattr(quadrature, "STRIP_SIDE", 48)
    monkeypatch.setattr(barcode, "sights", lambda picture: [picture])  # nothing is read after two steps, from wherever it is seen
    monkeypatch.setattr(cost, "SIZES", (8,))
    monkeypatch.setattr(cost, "LONG_ENOUGH", 0.0)
    monkeypatch.setattr(UniformCells.irreducible_loss, "__defaults__", (256, 0))


@pytest.fixture
def rough(monkeypatch: pytest.MonkeyPatch) -> None:
    roughen(monkeypatch)


@pytest.fixture
def tiny(rough: None) -> list[str]:
    """Overrides that make any experiment a matter of seconds, with rough numbers."""
    return list(TINY)


@pytest.fixture(autouse=True)
def _rough_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are saved small and without the search for a layout, which takes half a second, where nobody looks at them."""
    if Path(request.fspath).stem not in ("test_figure_settings", "test_sample", "test_report", "test_sweep"):
        save = OurFigure.savefig

        def roughly(figure: OurFigure, *arguments: object, **named: object) -> None:
            figure.set_layout_engine("none")
            save(figure, *arguments, **{**named, "dpi": 30})

        monkeypatch.setattr(OurFigure, "savefig", roughly)


@pytest.fixture
def small_cells() -> UniformCells:
    """A lopsided density: five cells of a 3 × 4 grid, off centre."""
    mask = torch.tensor([[1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.bool)
    return UniformCells(mask, left=-0.7, top=0.5, cell=0.3)


@pytest.fixture
def genexp(rough: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """`genexp("run", …)` in an empty folder, in this process, measuring roughly: exit code, standard output, standard error."""
    from genexp.cli import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["genexp", *arguments])
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return call
