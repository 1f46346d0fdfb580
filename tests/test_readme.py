"""The README and the pages that it leads to are run, not believed: their examples of a data set and a model work as printed."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.parts import arrays

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "genexp" / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "genexp").rglob("*.md")), *sorted((ROOT / "conf").rglob("*.md"))]


def block(name: str) -> str:
    """The code block that follows the mention of a file."""
    found = re.search(rf"`{re.escape(name)}`:\n\n```\w+\n(.*?)```", HOUSE, re.DOTALL)
    assert found, name
    return found.group(1)


@pytest.fixture
def own_files(genexp, tmp_path: Path) -> Path:
    for name in ("circles.py", "gaussian.py", "my_conf/dataset/circles.yaml", "my_conf/model/gaussian.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block(name))
    return tmp_path


def test_the_readmes_data_set_and_model_run_as_printed(genexp, tiny: list[str], own_files: Path) -> None:
    lines = [line for line in HOUSE.splitlines() if line.startswith("genexp run --plugin circles.py")]
    assert len(lines) == 2
    for number, line in enumerate(lines):
        words = [word for word in line.split()[1:] if "max_steps" not in word]
        code, out, err = genexp(*words, *tiny, f"run_dir=run{number}")
        assert code == 0, err
        assert "two rings of radius 0.8" in out
        metrics = json.loads((own_files / f"run{number}" / "metrics.json").read_text())
        assert metrics["sliced_wasserstein"] > metrics["floor/sliced_wasserstein"] > 0
        assert np.isfinite(metrics["nll"])
        own = [word for word in words if word.endswith(".py")]
        suggested = [shlex.split(said.removeprefix("next").rpartition("   ")[0]) for said in out.splitlines()[-3:]]
        for command in suggested:  # with the user's own files, or they would fail
            assert [word for word in command if word.endswith(".py")] == own
        assert suggested[2][suggested[2].index("--config-dir") + 1] == "my_conf"
    code, out, _ = genexp("list", "--config-dir", "my_conf")
    assert code == 0
    assert "two concentric rings" in out
    code, _, err = genexp("run", "--plugin", "circles.py", "--config-dir", "my_conf", "dataset=circles", "dataset.radios=2")
    assert code == 2
    assert "did you mean 'dataset.radius'" in err


def test_the_readmes_measure_and_picture_run_as_printed(genexp, tiny: list[str]) -> None:
    Path("radius.py").write_text(block("radius.py"))
    (line,) = [line for line in HOUSE.splitlines() if line.startswith("genexp run --plugin radius.py")]
    code, out, err = genexp(*line.split()[1:], *tiny, "figures.gif=false", "run_dir=run")
    assert code == 0, err
    assert json.loads(Path("run/metrics.json").read_text())["median_radius"] > 0
    assert "median_radius" in out
    assert Path("run/figures/radii.png").stat().st_size > 0


def test_without_its_file_a_plugins_name_is_unknown(tiny: list[str], own_files: Path, genexp) -> None:
    code, _, err = genexp("run", "--config-dir", "my_conf", "dataset=circles", "dataset.name=circels", *tiny)
    assert code == 2
    assert "unknown dataset 'circels'" in err


def test_the_first_session_runs_as_printed(genexp, tiny: list[str]) -> None:
    """Line by line, with budgets, networks and numbers of samples made small."""
    section = README[README.index("## A first session") :]
    lines = re.search(r"```bash\n(.*?)```", section, re.DOTALL).group(1).splitlines()
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "run":
            figures = ["figures.gif=false", f"figures.enabled={'-m' not in words}"]
            small = [*tiny, *figures, "evaluation.batch_size=400", "model.field.width=16"]
            words = [word for word in words if "max_steps" not in word] + small
        words = ["100" if word == "300000" else word for word in words]
        code, _, err = genexp(*words)
        assert code == 0, f"{line}: {err}"
    runs = {path.parent for path in Path("outputs").rglob("run.json")}
    assert len([run for run in runs if run.parent == Path("outputs/features")]) == 6
    assert len(runs) == 8
    for name in ("report.html", "features.html", "more.npz", "outputs/features/sweep.csv", "outputs/features/sweep.png"):
        assert Path(name).stat().st_size > 0
    assert arrays("more.npz")["samples"].shape == (100, 2)


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_map_has_every_room() -> None:
    rooms = {path.parent.name for path in (ROOT / "genexp").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}/`" not in HOUSE} == set()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_every_command_in_the_readme_is_a_valid_one() -> None:
    """Each `genexp run …` line composes, of a sweep the first and the last job (those with a user's own files are run above)."""
    from genexp.config.composition import compose
    from genexp.sweep.plan import jobs

    joined = "\n".join(page.read_text(encoding="utf-8") for page in PAGES).replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.startswith("genexp run")]
    assert len(lines) > 20
    composed: list[list[str]] = []
    for line in lines:
        words = shlex.split(line, comments=True)[2:]
        if any(word.startswith("--") for word in words):
            continue
        every = jobs([word for word in words if word != "-m"])
        for job in ([word for word in job if not word.startswith("seed=")] for job in (every[0], every[-1])):
            if job not in composed:
                compose(job)
                composed.append(job)
