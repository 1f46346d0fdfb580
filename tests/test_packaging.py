"""An installed wheel works anywhere: conf/ is inside it."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_configuration(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"genexp/{path.relative_to(ROOT).as_posix()}" in inside
    for path in (ROOT / "genexp" / "report" / "page").iterdir():
        assert f"genexp/report/page/{path.name}" in inside
    assert {"genexp/fetch/fruit.sha256", "genexp/completion/genexp.bash", "genexp/completion/genexp.zsh"} <= inside
    assert not [name for name in inside if name.split("/")[0] in ("conf", "tests", "data", "outputs")]


def test_an_installed_wheel_runs_in_an_empty_folder(wheel: Path, tmp_path: Path, tiny: list[str]) -> None:
    site, work = tmp_path / "site", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(site)
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", "import genexp; print(genexp.__file__)"],
        cwd=work, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert where.stdout.startswith(str(site))
    command = [sys.executable, "-m", "genexp", "run", "figures.enabled=false", *tiny]
    answer = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert (work / "outputs" / "qr_flowmatch").is_dir()
