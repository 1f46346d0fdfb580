"""No setting of the user's matplotlib reaches a figure of ours, and none of ours stays behind."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib
import numpy as np

from genexp import figures
from genexp.figures.coordinates import clouds
from genexp.figures.points import loss_curve
from genexp.pictures.training import loss

HISTORY = [{"step": 0, "loss": 1.0, "heldout/loss": 2.0}, {"step": 1, "loss": 0.5, "heldout/loss": 1.0}]
THEIRS = {"text.usetex": True, "font.size": 30.0, "axes.facecolor": "red", "savefig.dpi": 10, "savefig.bbox": "tight"}
THEIRS |= {"axes.formatter.limits": (0, 0), "legend.loc": "lower left", "savefig.transparent": True, "lines.marker": "x"}
ROOT = Path(__file__).parent.parent


def picture() -> bytes:
    with BytesIO() as file:
        loss_curve(HISTORY, 0.3, "heldout/excess_loss").savefig(file, format="png")
        return file.getvalue()


def test_a_figure_is_the_same_whatever_the_user_has_set() -> None:
    plain = picture()
    with matplotlib.rc_context(THEIRS):  # type: ignore[arg-type]
        before = dict(matplotlib.rcParams)
        assert picture() == plain
        assert dict(matplotlib.rcParams) == before


def test_every_function_that_draws_is_kept_from_the_users_settings() -> None:
    found = 0
    for module in pkgutil.iter_modules(figures.__path__):
        for name, function in inspect.getmembers(importlib.import_module(f"genexp.figures.{module.name}"), inspect.isfunction):
            if "= panels(" in inspect.getsource(function):
                assert hasattr(function, "__wrapped__"), f"{module.name}.{name} is not @drawn"
                found += 1
    assert found > 12


def python(code: str, folder: Path, backend: str) -> subprocess.CompletedProcess[bytes]:
    """Code in a process of its own, with that MPLBACKEND and a matplotlibrc that asks for LaTeX."""
    (folder / "matplotlibrc").write_text("text.usetex: True\nfont.size: 30\nbackend: tkagg\n")
    environment = {**os.environ, "MPLBACKEND": backend, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, cwd=folder, check=False)


def test_a_notebooks_backend_and_a_matplotlibrc_end_nothing(tmp_path: Path) -> None:
    code = "from genexp.figures.points import loss_curve; import sys, os\n"
    code += f"figure = loss_curve({HISTORY}, 0.3, 'heldout/excess_loss')\n"
    code += "figure.savefig(sys.stdout.buffer, format='png'); print(os.environ['MPLBACKEND'], file=sys.stderr)"
    ended = python(code, tmp_path, "no_such_backend")
    assert (ended.returncode, ended.stderr) == (0, b"no_such_backend\n")
    assert ended.stdout == picture()


def test_a_notebook_that_draws_itself_keeps_its_backend(tmp_path: Path) -> None:
    code = "import genexp.figures.style, matplotlib as m; print(dict.get(m.rcParams, 'backend'), m.rcParams['font.size'])"
    ended = python(code, tmp_path, "svg")
    assert (ended.returncode, ended.stdout) == (0, b"svg 30.0\n")


def test_an_excess_below_nothing_is_a_gap_of_a_logarithmic_axis_and_a_point_of_an_even_one() -> None:
    excess = "heldout/excess_loss"
    wide = [{"step": step, "heldout/loss": 1.0, excess: value} for step, value in enumerate((100.0, -1.0, 0.01))]
    even = [{"step": step, "heldout/loss": 1.0, excess: value} for step, value in enumerate((2.0, -1.0, 1.0))]
    axes = [loss_curve(history, 0.3, excess).axes[2] for history in (wide, even)]
    assert [each.get_yscale() for each in axes] == ["log", "linear"]
    drawn = [np.asarray(each.lines[0].get_ydata()) for each in axes]
    assert np.isnan(drawn[0]).tolist() == [False, True, False]
    assert drawn[1].tolist() == [2.0, -1.0, 1.0]


def test_no_panel_is_empty() -> None:
    untrained: Any = SimpleNamespace(history=[{"step": 0, "heldout/loss": 2.0}])
    assert loss(untrained) is None
    assert len(loss_curve(HISTORY, 0.3, "heldout/excess_loss").axes) == 3
    assert len(loss_curve(HISTORY, 2.0, "heldout/excess_loss").axes) == 2  # never above its floor


def test_points_in_space_fill_their_panels() -> None:
    cube = np.random.default_rng(0).random((500, 3))
    for axes in clouds({"target": cube, "generated": cube}).axes:
        assert np.allclose(axes.get_xlim(), (0, 1), atol=0.2)
        assert np.allclose(axes.get_ylim(), (0, 1), atol=0.2)


def test_a_table_is_drawn_in_its_own_units() -> None:
    rows = np.random.default_rng(0).random((500, 2)) * (10, 1e-3) + (170, 0)
    [axes] = clouds({"target": rows}, ["height", "a$b$"]).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("height", r"a\$b\$")
    assert np.allclose(axes.get_xlim(), (170, 180), atol=2)
    assert np.allclose(axes.get_ylim(), (0, 1e-3), atol=2e-4)
