"""An installed wheel works anywhere: conf/ is inside it."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
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


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("readelf")), reason="needs a C compiler")
def test_stand_ins_take_the_place_of_libraries_that_are_not_there(tmp_path: Path) -> None:
    """Of functions with a version and without, and of data, all bound as the library is loaded."""

    def build(library: str, source: str, *options: str) -> None:
        command = ["cc", "-shared", "-fPIC", "-x", "c", "-", f"-Wl,-soname,{library}", "-o", str(tmp_path / library), *options]
        subprocess.run(command, input=source, text=True, check=True)

    (tmp_path / "versions").write_text("libcublas.so.13 { cublasCreate; };")
    build("libcublas.so.13", "int cublasCreate(void) { return 0; }", f"-Wl,--version-script={tmp_path / 'versions'}")
    build("libnccl.so.2", "int ncclSend(void) { return 0; }")
    (tmp_path / "versions").write_text("NVSHMEM { nvshmem_team; };")
    build("libnvshmem_host.so.3", "int nvshmem_team[9];", f"-Wl,--version-script={tmp_path / 'versions'}")
    real = [tmp_path / name for name in ("libcublas.so.13", "libnccl.so.2", "libnvshmem_host.so.3")]
    source = """
        extern int cublasCreate(void), ncclSend(void), nvshmem_team[];
        int ask(void) { return cublasCreate() + ncclSend() + nvshmem_team[0]; }
    """
    (tmp_path / "torch").mkdir()
    build("torch/libtorch_cuda.so", source, "-xnone", *map(str, real), "-Wl,-z,now", "-Wl,-rpath,$ORIGIN")
    for file in real:
        file.unlink()
    ask = f"import ctypes; print(ctypes.CDLL('{tmp_path / 'torch' / 'libtorch_cuda.so'}').ask())"
    before = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    assert "cannot open shared object" in before.stderr
    spec = spec_from_file_location("light", ROOT / "light.py")
    assert spec is not None
    assert spec.loader is not None
    light = sys.modules["light"] = module_from_spec(spec)
    spec.loader.exec_module(light)
    light.main(tmp_path / "torch")
    after = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert int(after.stdout) == 2 * light.NO_DEVICE
