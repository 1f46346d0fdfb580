"""The example notebook: small, executed without a mistake, and its cells still run, with budgets of a few steps."""

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

import genexp
from genexp.config.composition import compose
from genexp.interface.opened import Run
from genexp.interface.showing import Page
from tests.conftest import TINY

PATH = Path(genexp.__file__).parent / "interface" / "example.ipynb"
BRIEF = [*TINY, "evaluation.num_samples=64", "evaluation.num_points=64"]
SMALL = {  # of the experiment that a run begins with
    "experiment=glyphs_vae": ["dataset.count=60", "dataset.validation=30", "dataset.test=30"],
    "experiment=double_gaussian": ["model.depth=1", "model.conditioner.width=8"],
}


@pytest.fixture(scope="module")
def cells() -> list[Any]:
    assert PATH.stat().st_size < 1e6
    return [cell for cell in nbformat.read(PATH, as_version=4).cells if cell.cell_type == "code"]  # type: ignore[no-untyped-call]


def test_it_was_executed_in_order_and_shows_a_page(cells: list[Any]) -> None:
    assert [cell.execution_count for cell in cells] == [*range(1, len(cells) + 1)]
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    shown = [output.data["text/html"] for cell in cells for output in cell.outputs if "text/html" in output.get("data", {})]
    (frame,) = [html for html in shown if "<iframe" in html]
    assert "data-explorer" in frame
    assert "&lt;math" in frame  # the page is text there, and no part of the notebook's own
    assert not re.search(r"/(home|root|work|tmp|Users)/", "".join(str(cell.outputs) for cell in cells))


def test_its_runs_are_ones_that_can_be_typed(cells: list[Any]) -> None:
    calls = [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    lists = [ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "genexp.run"]
    assert len(lists) == 2
    for words in lists:
        assert compose(words).settings.trainer.max_steps


def test_its_cells_run(cells: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    trained, last = genexp.run, None
    monkeypatch.setattr(genexp, "run", lambda words: trained([*words, *BRIEF, *SMALL[words[0]]]))
    names: dict[str, Any] = {}
    for cell in cells:
        *body, end = ast.parse(cell.source).body
        exec(compile(ast.Module([*body], []), "cell", "exec"), names)
        if isinstance(end, ast.Expr):
            last = eval(compile(ast.Expression(end.value), "cell", "eval"), names)
            if isinstance(last, Run | Page):
                assert last._repr_html_().startswith("<")
        else:
            exec(compile(ast.Module([end], []), "cell", "exec"), names)
    page = names["run"].report()
    assert page.save("report.html").read_text() == page.html
    assert 'srcdoc="' in page._repr_html_()
    assert "<script" not in page._repr_html_()
    both = names["run"].report(names["flow"], title="both").html
    assert "<h1>both</h1>" in both
